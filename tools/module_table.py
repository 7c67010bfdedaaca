"""Reads cmake/modules.cmake: the modules in their order, what each may use and which libraries it owns."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Module:
    layer: str
    name: str
    uses: tuple
    third_party: tuple
    line: int


def read(path):
    text = path.read_text()
    text = re.sub(r"#[^\n]*", lambda match: " " * len(match.group(0)), text)
    modules = {}
    for match in re.finditer(r"llmd_declare_module\s*\(([^)]*)\)", text):
        words = match.group(1).split()
        layer, name = words[0].split("/")
        fields = {"USES": [], "THIRD_PARTY": []}
        current = None
        for word in words[1:]:
            if word in fields:
                current = word
            else:
                fields[current].append(word)
        line = text.count("\n", 0, match.start()) + 1
        if name in modules:
            raise ValueError(f"{path}:{line}: module {name} is declared twice")
        modules[name] = Module(layer, name, tuple(fields["USES"]), tuple(fields["THIRD_PARTY"]), line)
    return modules
