"""A small reader of C++ text for tools/tidy.py: blanks out comments and literals, and measures functions.

It knows braces and keywords, not the language; that is enough for lengths and nesting in formatted code.
"""

import dataclasses
import re

RAW_STRING = re.compile(r'(?:u8|[uUL])?R"([^()\\\s]{0,16})\(')
CONTROL = re.compile(r"\b(?:if|for|while|switch|do|else|try|catch)\b")
TYPE_BLOCK = re.compile(r"^(?:template\s*<.*>\s*)?(?:typedef\s+)?(?:class|struct|union|enum)\b[^()=]*$", re.DOTALL)
LAMBDA = re.compile(
    r"\[[^\[\]]*\]\s*(?:<[^{}]*>\s*)?(?:\(.*\))?\s*(?:mutable|noexcept|static|constexpr|->\s*[\w:<>&*,\s]+|\s)*$",
    re.DOTALL,
)
FUNCTION_TAIL = re.compile(
    r"\)\s*(?:const|noexcept(?:\([^()]*\))?|override|final|mutable|&&?|->[^;{}]*|requires[^;{}]*|try|\s)*$", re.DOTALL
)


@dataclasses.dataclass
class Function:
    line: int
    name: str
    lines: int
    nesting: int


def end_of_literal(text, start):
    """The index after the string or character literal that begins at `start`."""
    quote = text[start]
    index = start + 1
    while index < len(text) and text[index] != quote and text[index] != "\n":
        index += 2 if text[index] == "\\" else 1
    return min(index + 1, len(text))


def is_digit_separator(text, index):
    return (
        index > 0
        and text[index - 1].isalnum()
        and index + 1 < len(text)
        and text[index + 1].isalnum()
        and bool(re.search(r"(?<![\w'])(?:0[xXbB])?[\da-fA-F][\da-fA-F']*$", text[max(0, index - 40) : index]))
    )


def strip(text):
    """The code alone: comments and the insides of literals are blanks, columns and line ends stay where they were."""
    pieces = []
    index = 0
    while index < len(text):
        raw = RAW_STRING.match(text, index)
        if raw and (index == 0 or not (text[index - 1].isalnum() or text[index - 1] == "_")):
            end = text.find(f'){raw.group(1)}"', raw.end())
            end = len(text) if end < 0 else end + len(raw.group(1)) + 2
        elif text.startswith("//", index):
            end = text.find("\n", index)
            end = len(text) if end < 0 else end
        elif text.startswith("/*", index):
            end = text.find("*/", index + 2)
            end = len(text) if end < 0 else end + 2
        elif text[index] == '"' or (text[index] == "'" and not is_digit_separator(text, index)):
            end = end_of_literal(text, index)
            # The quotes stay, so that an argument that was a literal is still seen as one.
            pieces.append(text[index] + re.sub(r"[^\n]", " ", text[index + 1 : end - 1]) + text[end - 1 : end])
            index = end
            continue
        else:
            pieces.append(text[index])
            index += 1
            continue
        pieces.append(re.sub(r"[^\n]", " ", text[index:end]))
        index = end
    return "".join(pieces)


def without_directives(code):
    """Preprocessor lines, continued ones too, blanked out."""
    lines = code.split("\n")
    continued = False
    for number, line in enumerate(lines):
        directive = continued or line.lstrip().startswith("#")
        continued = directive and line.rstrip().endswith("\\")
        if directive:
            lines[number] = " " * len(line)
    return "\n".join(lines)


def kind_of_block(before, inside_function):
    """What the `{` after the text `before` opens: type, function, lambda, control, case or initializer."""
    text = before.strip()
    if re.search(r"\bnamespace\b[\w:\s]*$", text) or re.search(r'\bextern\s*"\s*"$', text):
        return "type"
    if TYPE_BLOCK.match(text):
        return "type"
    if inside_function:
        if CONTROL.match(text) and (text.endswith(")") or re.search(r"\b(?:do|else|try)$", text)):
            return "control"
        if LAMBDA.search(text):
            return "lambda"
        return "case" if text == "" or text.endswith(":") else "initializer"
    if LAMBDA.search(text):
        return "lambda"
    # A constructor's initialisers may end in `}`, and then the next `{` follows `)` or `}` directly.
    if FUNCTION_TAIL.search(text) or re.search(r"\)\s*(?:noexcept\s*)?:\s*\S.*[})]$", text, re.DOTALL):
        return "function"
    return "initializer"


def without_inner_blocks(text):
    """Text in which each complete {...} has become {}."""
    while (shorter := re.sub(r"\{[^{}]+\}", "{}", text)) != text:
        text = shorter
    return text


def name_of(before):
    match = re.search(r"(operator\s*\S+?|[~\w:]+)\s*\(([^()]*)", before)
    if not match:
        return "?"
    return f"{match.group(1)}({match.group(2).strip()})" if match.group(1).startswith("TEST") else match.group(1)


def functions(text):
    """Every function with a body: its first line, name, length in lines, and deepest control nesting.

    The lines of a lambda count for the function around it; its nesting starts anew.
    """
    code = without_directives(strip(text))
    found = []
    stack = []  # (kind, nesting inside, index where the statement began)
    statement = 0
    current = None  # (stack height, start index, name, deepest nesting)
    parens = 0
    saved = []
    for index, char in enumerate(code):
        if char == "(":
            parens += 1
        elif char == ")":
            parens = max(0, parens - 1)
        elif char == "{":
            before = without_inner_blocks(code[statement:index])
            kind = kind_of_block(before, current is not None)
            outer = stack[-1][1] if stack else 0
            nesting = 0
            if kind == "control":
                controls = len(CONTROL.findall(re.sub(r"\belse\s+if\b", "if", before)))
                nesting = outer + max(1, controls)
            elif kind in ("case", "initializer"):
                nesting = outer
            if kind == "function" and current is None:
                start = statement + re.match(r"\s*", code[statement:index]).end()
                current = [len(stack), start, name_of(before), 0]
            if current:
                current[3] = max(current[3], nesting)
            stack.append((kind, nesting, statement))
            saved.append(parens)
            parens = 0
            statement = index + 1
        elif char == "}":
            if not stack:
                continue
            kind, _, begun = stack.pop()
            parens = saved.pop()
            if current and len(stack) == current[0]:
                first = code.count("\n", 0, current[1]) + 1
                last = code.count("\n", 0, index) + 1
                found.append(Function(first, current[2], last - first + 1, current[3]))
                current = None
            # After an initializer or a lambda the statement around it goes on.
            statement = begun if kind in ("initializer", "lambda") else index + 1
        elif char == ";" and parens == 0:
            statement = index + 1
        elif (
            char == ":"
            and parens == 0
            and re.search(r"\b(?:public|private|protected|default|case\b[^;{}]*)\s*$", code[statement:index])
        ):
            if code[index - 1] != ":" and code[index + 1 : index + 2] != ":":
                statement = index + 1
    return found
