#!/usr/bin/env python3
"""The tidy test: reads the tree and fails on what the house style forbids and a machine can see.

usage: tools/tidy.py [--root FOLDER] [--only CHECK[,CHECK]] [PATH...]     (PATH: report only on these)
Exemptions, each with a reason, stand in tools/tidy_exemptions.txt; one that exempts nothing is an error too.
"""

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cpp_scan  # noqa: E402
import module_table  # noqa: E402

FUNCTION_LINES_MAX = 70
HEADER_LINES_MAX = 300
SOURCE_LINES_MAX = 700
LINE_COLUMNS_MAX = 120
NESTING_MAX = 4
README_LINES_MAX = 80

# Third-party libraries by the beginning of an include, the longest match counts. The name is that of THIRD_PARTY.
LIBRARIES = {
    "boost/asio": "asio",
    "boost/system": "asio",
    "boost/beast": "beast",
    "boost/": "boost",
    "fmt/": "fmt",
    "spdlog/": "spdlog",
    "openssl/ssl": "tls",
    "openssl/err": "tls",
    "openssl/x509": "tls",
    "openssl/": "crypto",
    "xxhash.h": "xxhash",
    "xxh_x86dispatch.h": "xxhash",
    "yaml-cpp/": "yaml",
    "nlohmann/": "nlohmann",
    "simdjson": "simdjson",
    "resolv.h": "resolv",
    "arpa/nameser": "resolv",
    "CLI/": "cli11",
    "nghttp2/": "nghttp2",
    "google/protobuf": "protobuf",
    "Eigen/": "eigen",
    "llama": "llama",
    "ggml": "llama",
    "gguf": "llama",
    "common/": "llama",
    "jinja/": "llama",
    "chat.h": "llama",
    "common.h": "llama",
    "sampling.h": "llama",
    "json-schema-to-grammar.h": "llama",
    "json-schema.h": "llama",
    "json.h": "llama",
    "peg-parser.h": "llama",
    "log.h": "llama",
    "sqlite3.h": "sqlite",
    "curl/": "curl",
    "zstd": "zstd",
    "lz4": "lz4",
    "liburing": "uring",
    "hiredis/": "hiredis",
    "libmemcached/": "memcached",
    "zmq": "zmq",
    "zlib.h": "zlib",
    "nghttp2/": "nghttp2",
}
# A library whose headers come with another one: whoever owns the key may also include these.
COMPANIONS = {"beast": {"asio", "boost"}, "asio": {"boost"}, "tls": {"crypto"}}
TEST_HEADERS = ("gtest/", "gmock/", "benchmark/", "fuzzer/")
POSIX_FOLDERS = ("sys/", "netinet/", "net/", "arpa/", "linux/", "asm/")

# Calls that src/core must not make: pattern, and what to write instead.
CORE_BANS = [
    (r"\b(?:system|steady|high_resolution)_clock\s*::\s*now\b", "take a Clock& (base/clock.h)"),
    (
        r"\b(?:clock_gettime|gettimeofday|std::time|localtime(?:_r)?|gmtime(?:_r)?)\s*\("
        r"|(?<![\w:.>])time\s*\(\s*(?:nullptr|NULL|0)",
        "take a Clock& (base/clock.h)",
    ),
    (r"\brandom_device\b|\bmt19937|(?<![\w.>])s?rand\s*\(|\bgetrandom\s*\(|\barc4random", "take an Rng& (base/rng.h)"),
    (r"\b(?:secure_)?getenv\s*\(", "let a host read it and pass the value in an options struct"),
    (
        r"\bsleep_(?:for|until)\b|(?<![\w.>])(?:u|nano)?sleep\s*\(",
        "return the time of the next event and let the host's timer wait",
    ),
    (
        r"\bstd::(?:j?thread|async|promise|future|condition_variable|latch|barrier|counting_semaphore"
        r"|binary_semaphore)\b|\bpthread_",
        "stay a value on the caller's thread; hosts own threads",
    ),
    (
        r"(?<![\w.>:])(?:socket|accept4|recvmsg|sendmsg|epoll_\w+)\s*\("
        r"|(?<![\w>])::(?:connect|bind|listen|accept|recv|send|poll|select)\s*\(",
        "return what to send; src/host/net owns sockets",
    ),
    (
        r"(?<![\w.>:])(?:fopen|freopen|openat|mmap|popen)\s*\(|(?<![\w>])::(?:open|read|write)\s*\("
        r"|\bstd::(?:system|fopen)\b|"
        r"\bstd::(?:[io]?fstream|filesystem)\b",
        "let a host read or write and pass bytes",
    ),
    (
        r"\bstd::(?:cout|cerr|clog|cin)\b|(?<![\w:])f?printf\s*\(|\bfmt::print\b",
        "return a value; hosts log (telemetry/log.h)",
    ),
]
CORE_HEADER_BANS = {
    "thread": "hosts own threads",
    "future": "hosts own threads",
    "condition_variable": "hosts own threads",
    "latch": "hosts own threads",
    "barrier": "hosts own threads",
    "semaphore": "hosts own threads",
    "fstream": "hosts do I/O",
    "iostream": "hosts do I/O",
    "filesystem": "hosts do I/O",
    "random": "base/rng.h is the source of randomness",
    "csignal": "hosts own signals",
}
TEST_BANS = [
    (
        r"\bthis_thread::sleep_(?:for|until)\b|(?<![\w.>])(?:u|nano)?sleep\s*\(",
        "wait for the event with a deadline, or step a simulated clock",
    )
]

# Split, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}/~-])/(?:home/\w|root/|wo" + r"rk/|Users/\w|mnt/\w)")
REGISTRY = re.compile(
    "|".join(
        name.replace("_", r"\.")
        for name in (
            "pypi_org",
            "pythonhosted_org",
            "huggingface_co",
            "registry_npmjs",
            "crates_io",
            "docker_io",
            "ghcr_io",
            "quay_io",
            "gcr_io",
            "proxy_golang_org",
            "deb_debian_org",
            "security_debian_org",
            "registry_k8s_io",
            "rubygems_org",
        )
    )
)
CODE_SUFFIXES = {".h", ".cpp"}
TEXT_SUFFIXES = CODE_SUFFIXES | {".py", ".sh", ".cmake", ".txt", ".md", ".json", ".yaml", ".yml", ".in", ".toml", ""}


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    check: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.check}] {self.message}"


class Tree:
    """The files of the repository, read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.paths = sorted(self._list())
        self._texts = {}
        self._codes = {}

    def _list(self):
        try:
            listed = subprocess.run(
                ["git", "-C", str(self.root), "ls-files", "--cached", "--others", "--exclude-standard"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()
        except (OSError, subprocess.CalledProcessError):
            listed = [str(p.relative_to(self.root)) for p in self.root.rglob("*")]
        return {name for name in listed if (self.root / name).is_file()}

    def text(self, path):
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def code(self, path):
        if path not in self._codes:
            self._codes[path] = cpp_scan.strip(self.text(path))
        return self._codes[path]

    def sources(self, *folders):
        return [p for p in self.paths if p.startswith(folders) and pathlib.PurePath(p).suffix in CODE_SUFFIXES]

    def texts(self):
        return [p for p in self.paths if pathlib.PurePath(p).suffix in TEXT_SUFFIXES]


def is_test(path):
    """Whether a file is named as part of tests; a header may also be one by who includes it: see test_headers."""
    return path.endswith("_test.cpp") or path.startswith(("tests/", "fuzz/", "bench/")) or "/testing/" in path


def module_of(path):
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[0] == "src" else None


def includes_of(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def library_of(name):
    fitting = [prefix for prefix in LIBRARIES if name.startswith(prefix)]
    return LIBRARIES[max(fitting, key=len)] if fitting else None


def check_table(tree, modules):
    """The table itself: only core below core, every module after those that it uses."""
    seen = {}
    for module in modules.values():
        where = ("cmake/modules.cmake", module.line, "edges")
        for used in module.uses:
            if used not in seen:
                yield Finding(
                    *where,
                    f"{module.name} uses {used}, which is not declared above it; a module uses only modules above it",
                )
            elif module.layer == "core" and seen[used].layer != "core":
                yield Finding(
                    *where, f"{module.name} is core and uses {used} of {seen[used].layer}; core uses only core"
                )
            elif seen[used].layer == "apps" and (module.name, used) != ("up", "gateway"):
                yield Finding(*where, f"{module.name} uses the app {used}; only up links another app, gateway")
        seen[module.name] = module
    for path in sorted({str(pathlib.PurePath(*p.split("/")[:3])) for p in tree.sources("src/") if module_of(p)}):
        if path.removeprefix("src/") not in {f"{m.layer}/{m.name}" for m in modules.values()}:
            yield Finding(path, 1, "edges", "this folder is not in cmake/modules.cmake; declare the module there")


def judge_own_include(path, name, modules):
    """What is wrong with including our header `name` from `path`: None if nothing, False if it is not ours."""
    parts = name.split("/")
    target = parts[1] if parts[0] == "apps" and len(parts) > 2 else parts[0]
    own = module_of(path)
    if target not in modules or len(parts) < 2:
        return False
    if own is None or own == target or target in modules[own].uses:
        return None
    return f"{own} may not include {name}: {target} is not among the USES of {own} in cmake/modules.cmake"


def test_headers(tree):
    """Headers that only tests include, such as naive twins."""
    users = {}
    for path in tree.sources("src/"):
        for _, quoted, name in includes_of(tree.text(path)):
            if quoted:
                users.setdefault(name, set()).add(path)
    spelled = {
        path: [path.removeprefix(f"src/{layer}/") for layer in ("core", "host")] + [path.removeprefix("src/")]
        for path in tree.sources("src/")
        if path.endswith(".h")
    }
    found = set()
    for path, names in spelled.items():
        including = set().union(*(users.get(name, set()) for name in names))
        if including and all(is_test(user) for user in including):
            found.add(path)
    return found


def judge_system_include(path, name, modules, in_test):
    own = module_of(path)
    in_core = path.startswith("src/core/")
    library = library_of(name)
    if name.startswith(TEST_HEADERS):
        return None if in_test else f"<{name}> belongs in tests, not in {path}"
    if library:
        owned = set(modules[own].third_party) if own in modules else set(LIBRARIES.values())
        for owner in list(owned):
            owned |= COMPANIONS.get(owner, set())
        if library not in owned:
            return f"{own} may not include {name}: {library} is not among its THIRD_PARTY in cmake/modules.cmake"
        return None
    if "/" not in name and "." not in name:
        ban = CORE_HEADER_BANS.get(name) if in_core and not in_test else None
        return f"<{name}> is not for src/core: {ban}" if ban else None
    if name.startswith(POSIX_FOLDERS) or re.fullmatch(r"[a-z_]+\.h", name):
        return f"<{name}> is of the operating system; src/core stays pure" if in_core and not in_test else None
    return (
        f"<{name}> is of no library that tools/tidy.py knows; add it to LIBRARIES and, with its owner, to modules.cmake"
    )


def check_includes(tree, modules):
    only_tests = test_headers(tree)
    for path in tree.sources("src/", "fuzz/", "bench/", "tests/"):
        for number, quoted, name in includes_of(tree.text(path)):
            wrong = judge_own_include(path, name, modules) if quoted else False
            if wrong is False and quoted and library_of(name) is None:
                beside = (tree.root / path).parent / name
                wrong = (
                    None
                    if not path.startswith("src/") and beside.exists()
                    else (f'"{name}" is not written from a module folder; write #include "module/file.h"')
                )
            elif wrong is False:
                wrong = judge_system_include(path, name, modules, is_test(path) or path in only_tests)
            if wrong:
                yield Finding(path, number, "edges", wrong)


def check_links(tree, modules):
    """The `// links:` line of fuzzers, benchmarks and scenario programs names modules that exist."""
    targets = {("llmd_app_" if m.layer == "apps" else "llmd_") + m.name for m in modules.values()}
    for path in tree.sources("fuzz/", "bench/micro/", "bench/e2e/", "tests/scenarios/"):
        if not path.endswith(".cpp"):
            continue
        match = re.match(r"// links: (.+)\n", tree.text(path))
        if not match:
            yield Finding(path, 1, "links", "the first line must be `// links: llmd_<module>...`")
            continue
        for name in match.group(1).split():
            if name not in targets and "::" not in name and not name.startswith("llmd_third_party_"):
                yield Finding(path, 1, "links", f"{name} is not a module of cmake/modules.cmake")


def check_cmake(tree, _modules):
    """All links between modules come from the table, so no folder below src builds itself."""
    for path in tree.paths:
        if path.startswith("src/") and path.endswith("CMakeLists.txt"):
            yield Finding(path, 1, "links", "modules are made from cmake/modules.cmake; no CMakeLists.txt below src")


def check_bans(tree, _modules):
    only_tests = test_headers(tree)
    for path in tree.sources("src/core/"):
        if not is_test(path) and path not in only_tests:
            yield from banned(tree, path, CORE_BANS, "src/core makes no such call")
    for path in tree.sources("src/", "tests/"):
        if is_test(path):
            yield from banned(tree, path, TEST_BANS, "tests do not sleep")


def banned(tree, path, bans, why):
    for number, line in enumerate(tree.code(path).splitlines(), 1):
        for pattern, instead in bans:
            match = re.search(pattern, line)
            if match:
                yield Finding(path, number, "banned", f"{match.group(0).strip()}: {why}; {instead}")


def check_columns(tree, _modules):
    for path in tree.paths:
        if path.endswith((".h", ".cpp", ".py")):
            for number, line in enumerate(tree.text(path).splitlines(), 1):
                if len(line) > LINE_COLUMNS_MAX:
                    yield Finding(path, number, "lengths", f"{len(line)} columns, at most {LINE_COLUMNS_MAX}")


def check_lengths(tree, _modules):
    for path in tree.sources("src/", "fuzz/", "bench/", "tests/"):
        text = tree.text(path)
        lines = text.splitlines()
        limit = HEADER_LINES_MAX if path.endswith(".h") else SOURCE_LINES_MAX
        if len(lines) > limit:
            yield Finding(path, len(lines), "lengths", f"{len(lines)} lines, at most {limit}: split it by idea")
        for function in cpp_scan.functions(text):
            if function.lines > FUNCTION_LINES_MAX:
                yield Finding(
                    path,
                    function.line,
                    "lengths",
                    f"{function.name} has {function.lines} lines, at most {FUNCTION_LINES_MAX}",
                )
            if function.nesting > NESTING_MAX:
                yield Finding(
                    path,
                    function.line,
                    "lengths",
                    f"{function.name} nests {function.nesting} deep, at most {NESTING_MAX}",
                )


def check_headers(tree, _modules):
    for path in tree.sources("src/", "fuzz/", "bench/", "tests/"):
        if path.endswith(".h"):
            first = next((line.strip() for line in tree.code(path).splitlines() if line.strip()), "")
            if first != "#pragma once":
                yield Finding(path, 1, "headers", "the first line of code must be #pragma once")


def check_texts(tree, _modules):
    rules = [
        (UNFINISHED, "unfinished", "finish it, or file it where work is tracked"),
        (MACHINE_PATH, "paths", "is an absolute path of one machine; derive it or take it as an option"),
        (REGISTRY, "registries", "is a package registry's host; the package client knows where packages are"),
    ]
    for path in tree.texts():
        if path == "LICENSE":
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            for pattern, check, message in rules:
                match = pattern.search(line)
                if match:
                    yield Finding(path, number, check, f"{match.group(0)}: {message}")


def check_readmes(tree, modules):
    present = {module_of(p) for p in tree.sources("src/")}
    for module in modules.values():
        path = f"src/{module.layer}/{module.name}/README.md"
        if module.name not in present:
            continue
        if path not in tree.paths:
            yield Finding(path, 1, "readme", "every module has a README.md of at most 80 lines")
        elif (lines := len(tree.text(path).splitlines())) > README_LINES_MAX:
            yield Finding(path, lines, "readme", f"{lines} lines, at most {README_LINES_MAX}")


def check_changes(tree, _modules):
    """docs/changes/*.yaml: kind, summary and action, each a single line."""
    kinds = {"feature", "fix", "change", "removal", "security"}
    for path in tree.paths:
        if not re.fullmatch(r"docs/changes/.+\.ya?ml", path):
            continue
        fields = dict(re.findall(r"^(\w+): *(\S.*)$", tree.text(path), re.MULTILINE))
        for name in ("kind", "area", "summary", "action"):
            if name not in fields:
                yield Finding(path, 1, "changes", f"the field {name} is missing; docs/changes/README.md shows the form")
        if fields.get("kind", "fix") not in kinds:
            yield Finding(path, 1, "changes", f"kind is {fields['kind']}; expected one of {', '.join(sorted(kinds))}")


ERROR_SOURCE = "src/core/base/error.cpp"
ERROR_PAGE = "docs/errors.md"


def check_errors(tree, _modules):
    """docs/errors.md has a row for each code of the source, with its status, and no others."""
    if ERROR_SOURCE not in tree.paths:
        return
    source = tree.text(ERROR_SOURCE)
    codes = dict(re.findall(r'case ErrorCode::k\w+: return \{"(\w+)", (\d+)\};', source))
    if len(codes) != source.count("case ErrorCode::"):
        yield Finding(ERROR_SOURCE, 1, "errors", "a case is not of the form `return {\"name\", status};`")
    page = tree.text(ERROR_PAGE) if ERROR_PAGE in tree.paths else ""
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE))
    for code in sorted(codes.keys() | rows.keys()):
        if code not in rows:
            message = f"{code} has no row; write code, status, meaning and what to do"
        elif code not in codes:
            message = f"{code} is no code of {ERROR_SOURCE}"
        elif codes[code] != rows[code]:
            message = f"{code} has status {rows[code]}; the source says {codes[code]}"
        else:
            continue
        yield Finding(ERROR_PAGE, 1, "errors", message)


def check_doc_links(tree, _modules):
    """A page of docs that a message, a comment or another page names is there."""
    for path in tree.texts():
        if not path.startswith(("src/", "docs/")) and path != "README.md":
            continue
        folder = pathlib.PurePosixPath(path).parent
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            named = re.findall(r"(?<![\w/])docs/[\w-]+\.md\b", line)
            if path.endswith(".md"):
                links = re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", line)
                named += [os.path.normpath(folder / link) for link in links]
            for page in named:
                if page not in tree.paths:
                    yield Finding(path, number, "links-of-docs", f"{page} is not there")


def check_series(tree, _modules):
    """Every series that a process exports is explained in docs/metrics.md, and that page names no other."""
    page = "docs/metrics.md"
    text = tree.text(page) if page in tree.paths else ""
    llm_d = "llm_d_epp_|llm_d_inference_scheduler_|inference_(?:objective|pool|extension)_|kvcache_"
    prefixes = f"llmd_|{llm_d}|vllm:|moriio_dns_"
    explained = {}
    for number, line in enumerate(text.splitlines(), 1):
        for name in re.findall(rf"`((?:{prefixes})[a-z0-9_:]+)`", line):
            explained.setdefault(name, number)
    exported = set()
    for path in tree.sources("src/"):
        if is_test(path):
            continue
        code = tree.text(path)
        for match in re.finditer(r'\b(?:counter|gauge|histogram|alias)\(\s*"([a-z_:][a-z0-9_:]*)"', code):
            name = match.group(1)
            if name not in explained and name not in exported:
                number = code.count("\n", 0, match.start(1)) + 1
                yield Finding(path, number, "series", f"{name} is not explained in {page}; add a line there")
            exported.add(name)
    for name, number in explained.items():
        if name not in exported:
            yield Finding(page, number, "series", f"nothing exports {name}; remove it")


def check_format(tree, _modules):
    tool = shutil.which("clang-format-19")
    files = tree.sources("src/", "fuzz/", "bench/", "tests/")
    if not tool:
        yield Finding("tools/packages.txt", 1, "format", "clang-format-19 is missing; run tools/install.sh")
        return
    if not files:
        return
    chunks = [files[start : start + 16] for start in range(0, len(files), 16)]

    def run(chunk):
        return subprocess.run(
            [tool, "--dry-run", *chunk], cwd=tree.root, capture_output=True, text=True, check=False
        ).stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for output in pool.map(run, chunks):
            seen = set()
            for match in re.finditer(r"^(\S+?):(\d+):\d+: warning: .*clang-format", output, re.MULTILINE):
                if match.group(1) not in seen:
                    seen.add(match.group(1))
                    yield Finding(
                        match.group(1), int(match.group(2)), "format", "not as clang-format has it; run make format"
                    )


CHECKS = [
    check_table,
    check_includes,
    check_links,
    check_cmake,
    check_bans,
    check_columns,
    check_lengths,
    check_headers,
    check_texts,
    check_readmes,
    check_changes,
    check_errors,
    check_doc_links,
    check_series,
    check_format,
]


def read_exemptions(tree):
    """Lines `check  path-pattern  reason`, and the findings about the file itself."""
    path = "tools/tidy_exemptions.txt"
    rules, findings = [], []
    if path not in tree.paths:
        return rules, findings
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(None, 2)
        if len(fields) < 3 or len(fields[2]) < 15:
            findings.append(Finding(path, number, "exemptions", "write: check  path  reason (a sentence)"))
        else:
            rules.append((number, fields[0], fields[1]))
    return rules, findings


def findings_of(root, only=()):
    tree = Tree(root)
    modules = module_table.read(tree.root / "cmake" / "modules.cmake")
    rules, kept = read_exemptions(tree)
    used = set()
    for check in CHECKS:
        for finding in check(tree, modules):
            matching = [
                number
                for number, name, pattern in rules
                if name == finding.check and fnmatch.fnmatch(finding.path, pattern)
            ]
            used.update(matching)
            if not matching:
                kept.append(finding)
    for number, name, pattern in rules:
        if number not in used:
            kept.append(
                Finding(
                    "tools/tidy_exemptions.txt", number, "exemptions", f"{name} {pattern} exempts nothing; remove it"
                )
            )
    return [f for f in kept if not only or f.check in only]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--only", default="")
    parser.add_argument("paths", nargs="*")
    arguments = parser.parse_args()
    found = findings_of(arguments.root, set(filter(None, arguments.only.split(","))))
    if arguments.paths:
        found = [f for f in found if f.path.startswith(tuple(p.removeprefix("./") for p in arguments.paths))]
    for finding in sorted(found, key=lambda f: (f.path, f.line)):
        print(finding)
    print(f"tidy: {len(found)} finding(s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
