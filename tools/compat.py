#!/usr/bin/env python3
"""Loads every EndpointPickerConfig of an llm-d-router checkout and prints docs/compat.md.

usage: tools/compat.py CHECKOUT COMMIT [LLMD] > docs/compat.md

Reads YAML files, Helm templates (control lines dropped, defaults put in), YAML in Markdown and in Go strings. A text
that is a template gets plain values for its placeholders. Nothing of the checkout is kept; only names and results are
printed.
"""

import os
import re
import subprocess
import sys
import tempfile

WHY = {  # rows that need a word
    "deploy/config/epp-mm-embeddings-cache-config.yaml": "llm-d's parameter is cacheSizeInMBPerServer and its decoder "
    "strict, so it refuses its own file, too",
    "config/charts/README.md": "an example with a type that llm-d does not have either",
    "config/charts/routerlib/values.yaml": "an example with a type that llm-d does not have either",
    "docs/architecture.md": "an outline with dots in it",
}
KIND = re.compile(r"^(?P<prefix>.*?)kind:\s*\"?EndpointPickerConfig\"?\s*$")
ENDINGS = (".yaml", ".yml", ".go", ".md", ".json", ".tpl")


def files_of(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", "vendor", "node_modules"))
        for name in sorted(names):
            if name.endswith(ENDINGS):
                yield os.path.join(folder, name)


def blocks_of(text):
    """(line number of the kind, identifier before it, the document's text) of each document."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        match = KIND.match(line)
        if not match or match["prefix"].strip() not in ("", "#"):
            continue
        prefix = match["prefix"]
        inside = lambda candidate: candidate.startswith(prefix) or not candidate.strip() or candidate.strip() == "#"
        first = at
        while first > 0 and inside(lines[first - 1]) and not re.match(r"\s*---|.*`", lines[first - 1]):
            first -= 1
        body = [each[len(prefix):] for each in lines[first:at]]
        head = lines[first - 1] if first > 0 else ""
        if "`" in head and not head.strip().startswith("```") and head.split("`", 1)[1].strip():
            body.insert(0, head.split("`", 1)[1])
        last = at
        while last < len(lines) and inside(lines[last]) and not re.match(r"\s*(---|```|\?\?\?)", lines[last]):
            if "`" in lines[last]:
                body.append(lines[last].split("`")[0][len(prefix):])
                break
            body.append(lines[last][len(prefix):])
            last += 1
        name = ""
        for before in range(first - 1, max(first - 12, -1), -1):
            found = re.search(r"(\w+)\s*(?::=|=|:)\s*`", lines[before]) or re.match(r"func (\w+)", lines[before])
            if found:
                name = found[1]
                break
        yield at + 1, name, "\n".join(body)


def plain_values(document):
    """The document without template syntax, and whether it had any. Of branches the first is taken."""
    template = "{{" in document or re.search(r"%[sdqv]", document) is not None
    lines = []
    branches = []  # of the open blocks: whether their lines count
    for line in document.split("\n"):
        control = re.match(r"\s*\{\{-?\s*(\w*).*\}\}\s*$", line)
        if control:
            if control[1] in ("if", "range", "with"):
                branches.append(True)
            elif control[1] == "else" and branches:
                branches[-1] = False
            elif control[1] == "end" and branches:
                branches.pop()
            continue
        if not all(branches) or line.strip() == "%s":
            continue
        line = re.sub(r"^%s( *- )", r"\1", line)
        line = re.sub(r"\{\{[^}]*default \"([^\"]*)\"[^}]*\}\}", r"\1", line)
        line = re.sub(r"\{\{[^}]*default (\w+)[^}]*\}\}", r"\1", line)
        line = re.sub(r"\{\{[^}]*\}\}", "passthrough-parser" if re.search("type:|pluginRef:", line) else "vllm", line)
        lines.append(re.sub(r"%[sdqv]", "1", line))
    return "\n".join(lines), template


def load(llmd, document):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(document)
        file.flush()
        ran = subprocess.run([llmd, "config", "validate", "--allow-experimental-plugins", file.name], check=False,
                             capture_output=True, text=True)
        return ran.returncode, ran.stdout.replace(file.name, "config"), ran.stderr.replace(file.name, "config")


def result_of(code, err):
    waits = sorted(set(re.findall(r"warning: config:\d+:\d+: (.*?) is not supported by this version", err)))
    if code == 0:
        return "loads" if not waits else "loads; waits: " + ", ".join(waits).replace("plugin type ", "")
    first = re.sub(r" \(known: [^)]*\)", "", err.strip().split("\n")[-1])
    return "refused: " + re.sub(r"^llmd config: \[?\w*\]?:? ?", "", first).replace("|", "\\|")


def main():
    root, commit = sys.argv[1], sys.argv[2]
    llmd = sys.argv[3] if len(sys.argv) > 3 else "build/llmd"
    rows, counts = [], {"loads": 0, "loads; waits": 0, "refused": 0}
    tests_own = meant_wrong = 0
    for path in files_of(root):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        for line, name, document in blocks_of(text):
            document, template = plain_values(document)
            code, _, err = load(llmd, document)
            result = result_of(code, err)
            counts[result.split(":")[0]] += 1
            if re.search(r'plugin type "(test-|mock-|1")', result):
                result += " (a type that only llm-d's tests register)"
                tests_own += 1
            elif name.startswith("error") and result.startswith("refused"):
                result += " (llm-d refuses it, too)"
                meant_wrong += 1
            where = os.path.relpath(path, root)
            if result.startswith("refused") and where in WHY:
                result += f" ({WHY[where]})"
            note = " (template)" if template else ""
            rows.append(f"| llm-d-router/{where}:{line} | {name}{note} | {result} |")
    others = counts["refused"] - tests_own - meant_wrong
    print(f"""# Configurations of llm-d-router and how they load
Every `EndpointPickerConfig` in llm-d/llm-d-router at `{commit}`, read there; made by
`tools/compat.py CHECKOUT COMMIT`. *waits*: the type or parameter is known and checked, `llmd config validate` warns,
and a server of this version refuses to start with it ([plugins.md](plugins.md)).

{len(rows)} configurations: {counts["loads"]} load, {counts["loads; waits"]} load with something that waits,
{counts["refused"]} are refused: {tests_own} name types that only llm-d's own tests register, {meant_wrong} are wrong on
purpose and llm-d refuses them, too, {others} for the reasons in their rows.

| where | name | result |
|---|---|---|""")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
