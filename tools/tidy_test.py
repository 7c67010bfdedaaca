#!/usr/bin/env python3
"""Each check of tools/tidy.py finds its bad sample, and a clean tree passes: a check that cannot fail is no check."""

import pathlib
import sys
import tempfile
import textwrap
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cpp_scan  # noqa: E402
import tidy  # noqa: E402

TABLE = """
llmd_declare_module(core/base USES THIRD_PARTY fmt)
llmd_declare_module(core/model USES base)
llmd_declare_module(host/net USES base THIRD_PARTY asio)
llmd_declare_module(host/api USES base model)
llmd_declare_module(apps/worker USES base)
"""
README = "# a module\n"
CLEAN = {
    "cmake/modules.cmake": TABLE,
    "src/core/base/README.md": README,
    "src/core/base/a.h": "#pragma once\n#include <fmt/format.h>\n\n#include <string>\n\nint f();\n",
    "src/host/net/README.md": README,
    "src/host/net/b.h": '// Why this exists.\n#pragma once\n#include <boost/asio/post.hpp>\n\n#include "base/a.h"\n',
}
# What is added to the clean tree, and the check and words that must be reported, and where.
SAMPLES = [
    (
        "include of a module that is not among the uses",
        {"src/host/net/c.h": '#pragma once\n#include "model/x.h"\n'},
        "edges",
        "src/host/net/c.h",
        "may not include model/x.h",
    ),
    (
        "core includes host",
        {"src/core/base/c.h": '#pragma once\n#include "net/b.h"\n'},
        "edges",
        "src/core/base/c.h",
        "may not include net/b.h",
    ),
    (
        "third-party header outside its owner",
        {"src/host/net/c.h": "#pragma once\n#include <simdjson.h>\n"},
        "edges",
        "src/host/net/c.h",
        "simdjson is not among",
    ),
    (
        "third-party header in quotes",
        {"src/host/net/c.h": '#pragma once\n#include "llama.h"\n'},
        "edges",
        "src/host/net/c.h",
        "llama is not among",
    ),
    (
        "unknown library",
        {"src/host/net/c.h": "#pragma once\n#include <strange/lib.h>\n"},
        "edges",
        "src/host/net/c.h",
        "no library that",
    ),
    (
        "include beside the file",
        {"src/host/net/c.h": '#pragma once\n#include "b.h"\n'},
        "edges",
        "src/host/net/c.h",
        "not written from a module",
    ),
    (
        "test header in a product file",
        {"src/host/net/c.cpp": "#include <gtest/gtest.h>\n"},
        "edges",
        "src/host/net/c.cpp",
        "belongs in tests",
    ),
    (
        "test header in a product header",
        {"src/host/net/c.h": "#pragma once\n#include <gtest/gtest.h>\n", "src/host/net/c.cpp": '#include "net/c.h"\n'},
        "edges",
        "src/host/net/c.h",
        "belongs in tests",
    ),
    (
        "thread header in core",
        {"src/core/base/c.cpp": "#include <thread>\n"},
        "edges",
        "src/core/base/c.cpp",
        "not for src/core",
    ),
    (
        "socket header in core",
        {"src/core/base/c.cpp": "#include <sys/socket.h>\n"},
        "edges",
        "src/core/base/c.cpp",
        "src/core stays pure",
    ),
    (
        "folder that is not declared",
        {"src/host/mystery/a.h": "#pragma once\n"},
        "edges",
        "src/host/mystery",
        "not in cmake/modules.cmake",
    ),
    (
        "core uses host",
        {"cmake/modules.cmake": TABLE + "llmd_declare_module(core/late USES net)\n"},
        "edges",
        "cmake/modules.cmake",
        "core uses only",
    ),
    (
        "use of a later module",
        {"cmake/modules.cmake": "llmd_declare_module(core/early USES base)\n" + TABLE},
        "edges",
        "cmake/modules.cmake",
        "not declared above",
    ),
    (
        "app uses app",
        {"cmake/modules.cmake": TABLE + "llmd_declare_module(apps/top USES worker)\n"},
        "edges",
        "cmake/modules.cmake",
        "uses the app",
    ),
    ("fuzzer without links", {"fuzz/x.cpp": "int x;\n"}, "links", "fuzz/x.cpp", "first line"),
    ("fuzzer links the unknown", {"fuzz/x.cpp": "// links: llmd_nothing\n"}, "links", "fuzz/x.cpp", "llmd_nothing"),
    ("own build file", {"src/host/net/CMakeLists.txt": "\n"}, "links", "src/host/net/CMakeLists.txt", "no CMakeLists"),
    ("header without pragma once", {"src/host/net/c.h": "int x;\n"}, "headers", "src/host/net/c.h", "#pragma once"),
    ("long header", {"src/host/net/c.h": "#pragma once\n" + "\n" * 300}, "lengths", "src/host/net/c.h", "301 lines"),
    ("long source", {"src/host/net/c.cpp": "\n" * 701}, "lengths", "src/host/net/c.cpp", "701 lines"),
    ("long line", {"src/host/net/c.cpp": "// " + "x" * 118 + "\n"}, "lengths", "src/host/net/c.cpp", "121 columns"),
    (
        "long function",
        {"src/host/net/c.cpp": "void f() {\n" + "  g();\n" * 69 + "}\n"},
        "lengths",
        "src/host/net/c.cpp",
        "f has 71 lines",
    ),
    (
        "deep nesting",
        {"src/host/net/c.cpp": "void f() {\n" + "if (a) {\n" * 5 + "}\n" * 5 + "}\n"},
        "lengths",
        "src/host/net/c.cpp",
        "nests 5",
    ),
    (
        "unfinished work",
        {"src/host/net/c.cpp": "// TO" + "DO: later\n"},
        "unfinished",
        "src/host/net/c.cpp",
        "finish it",
    ),
    ("path of a machine", {"docs/a.md": "see /ho" + "me/someone/x\n"}, "paths", "docs/a.md", "absolute path"),
    ("registry host", {"docs/a.md": "get it from pypi" + ".org\n"}, "registries", "docs/a.md", "package registry"),
    ("module without README", {"src/host/api/a.h": "#pragma once\n"}, "readme", "src/host/api/README.md", "README"),
    ("long README", {"src/host/net/README.md": "x\n" * 81}, "readme", "src/host/net/README.md", "81 lines"),
    (
        "change note without action",
        {"docs/changes/a.yaml": "kind: fix\narea: net\nsummary: x\n"},
        "changes",
        "docs/changes/a.yaml",
        "action is missing",
    ),
    (
        "error code without a row",
        {
            "src/core/base/error.cpp": 'case ErrorCode::kOdd: return {"odd", 400};\n',
            "docs/errors.md": "| code | status | meaning | what to do |\n",
        },
        "errors",
        "docs/errors.md",
        "odd has no row",
    ),
    (
        "error code whose row has another status",
        {
            "src/core/base/error.cpp": 'case ErrorCode::kOdd: return {"odd", 400};\n',
            "docs/errors.md": "| `odd` | 500 | Odd. | Make it even. |\n",
        },
        "errors",
        "docs/errors.md",
        "odd has status 500; the source says 400",
    ),
    (
        "row of no error code",
        {
            "src/core/base/error.cpp": 'case ErrorCode::kOdd: return {"odd", 400};\n',
            "docs/errors.md": "| `odd` | 400 | Odd. | Make it even. |\n| `even` | 400 | Even. | Nothing. |\n",
        },
        "errors",
        "docs/errors.md",
        "even is no code",
    ),
    (
        "page of docs that is not there, named in the source",
        {"src/core/base/c.h": "#pragma once\n// see docs/nowhere.md\n"},
        "links-of-docs",
        "src/core/base/c.h",
        "docs/nowhere.md is not there",
    ),
    (
        "link to a page that is not there",
        {"docs/a.md": "[more](b.md#part)\n"},
        "links-of-docs",
        "docs/a.md",
        "docs/b.md is not there",
    ),
    (
        "change note of unknown kind",
        {"docs/changes/a.yaml": "kind: odd\narea: a\nsummary: x\naction: none\n"},
        "changes",
        "docs/changes/a.yaml",
        "kind is odd",
    ),
    (
        "series that is not explained",
        {"src/host/net/c.cpp": 'void f(R& r) { r.counter(\n    "llmd_net_x_total", "x"); }\n'},
        "series",
        "src/host/net/c.cpp",
        "llmd_net_x_total is not explained",
    ),
    (
        "alias that is not explained",
        {"src/host/net/c.h": '#pragma once\nconstexpr auto kX = alias("inference_pool_x");\n'},
        "series",
        "src/host/net/c.h",
        "inference_pool_x is not explained",
    ),
    (
        "series that nothing exports",
        {"docs/metrics.md": "| `llmd_net_gone` | gauge | x |\n"},
        "series",
        "docs/metrics.md",
        "nothing exports llmd_net_gone",
    ),
    ("bad format", {"src/host/net/c.cpp": "int   x ;\n"}, "format", "src/host/net/c.cpp", "make format"),
    (
        "sleep in a test",
        {"src/host/net/c_test.cpp": "void f() { std::this_thread::sleep_for(x); }\n"},
        "banned",
        "src/host/net/c_test.cpp",
        "do not sleep",
    ),
    (
        "exemption without reason",
        {"tools/tidy_exemptions.txt": "lengths a.cpp\n"},
        "exemptions",
        "tools/tidy_exemptions.txt",
        "reason",
    ),
    (
        "exemption that exempts nothing",
        {"tools/tidy_exemptions.txt": "lengths a.cpp it is a generated table\n"},
        "exemptions",
        "tools/tidy_exemptions.txt",
        "exempts nothing",
    ),
]
BANNED = [
    "auto t = std::chrono::steady_clock::now();",
    "auto t = std::chrono::system_clock::now();",
    "auto t = time(nullptr);",
    "std::random_device d;",
    "int x = rand();",
    "auto e = getenv(name);",
    "auto e = std::getenv(name);",
    "std::this_thread::sleep_for(x);",
    "usleep(1);",
    "std::thread t;",
    "std::jthread t;",
    "std::condition_variable c;",
    "int s = socket(a, b, c);",
    "auto* f = fopen(a, b);",
    "std::ifstream f;",
    "std::cout << x;",
    "printf(x);",
    "fmt::print(x);",
    "std::filesystem::path p;",
]


def findings(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**CLEAN, **files}.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (pathlib.Path(folder) / ".clang-format").write_text("BasedOnStyle: Google\nColumnLimit: 120\n")
        return tidy.findings_of(folder)


class Tidy(unittest.TestCase):
    def test_passes_a_clean_tree(self):
        self.assertEqual([str(f) for f in findings({})], [])

    def test_finds_each_bad_sample(self):
        for name, files, check, path, words in SAMPLES:
            with self.subTest(name):
                found = [f for f in findings(files) if f.check == check and f.path == path and words in f.message]
                self.assertTrue(found, f"{name}: not found in {[str(f) for f in findings(files)]}")

    def test_finds_each_banned_call_in_core_only(self):
        for line in BANNED:
            with self.subTest(line):
                text = f"void f() {{\n  {line}\n}}\n"
                self.assertEqual([f.line for f in findings({"src/core/base/c.cpp": text}) if f.check == "banned"], [2])
                self.assertEqual([f for f in findings({"src/host/net/c.cpp": text}) if f.check == "banned"], [])

    def test_reads_no_code_in_comments_and_literals(self):
        text = (
            '// std::thread\nconst char* kText = "getenv(x)";\nconst char* kRaw = R"(fopen(")")";\n'
            "int kBig = 1'000'000;  // rand()\n"
        )
        self.assertEqual([f for f in findings({"src/core/base/c.cpp": text}) if f.check == "banned"], [])

    def test_honours_an_exemption_with_a_reason(self):
        files = {
            "src/host/net/c.cpp": "\n" * 701,
            "tools/tidy_exemptions.txt": "lengths src/host/net/c.cpp one table that is read as a whole\n",
        }
        self.assertEqual([str(f) for f in findings(files) if f.check in ("lengths", "exemptions")], [])


class Functions(unittest.TestCase):
    def measure(self, text):
        return [(f.line, f.name, f.lines, f.nesting) for f in cpp_scan.functions(textwrap.dedent(text))]

    def test_measures_members_constructors_operators_and_tests(self):
        self.assertEqual(
            self.measure("""\
            namespace a {
            class B : public C {
             public:
              B(int x) : x_{x}, y_{1} {
              }
              bool operator()(int x) const noexcept {
                return x;
              }
              auto g() -> std::vector<int> override {}
            };
            TEST(Name, Claim) {
            }
            }  // namespace a
            """),
            [(4, "B", 2, 0), (6, "operator()", 3, 0), (9, "g", 1, 0), (11, "TEST(Name, Claim)", 2, 0)],
        )

    def test_counts_control_blocks_and_no_initialisers(self):
        self.assertEqual(
            self.measure("""\
            int f() {
              const std::vector<int> values{1, 2};
              for (int x : values) {
                if (x == 1) {
                  g(Options{.a = {1}});
                } else if (x == 2) {
                  while (h()) if (i()) {
                    j();
                  }
                }
              }
              switch (a) {
                case 1: {
                  break;
                }
              }
              return 0;
            }
            """),
            [(1, "f", 18, 4)],
        )

    def test_starts_nesting_anew_in_a_lambda_and_counts_its_lines(self):
        self.assertEqual(
            self.measure("""\
            void f() {
              if (a) {
                post([this, x = 1](int y) mutable -> bool {
                  if (y) {
                    return true;
                  }
                  return false;
                });
              }
            }
            """),
            [(1, "f", 10, 1)],
        )

    def test_does_not_take_tables_and_types_for_functions(self):
        self.assertEqual(
            self.measure("""\
            struct A { int x = 0; };
            constexpr A kTable[] = {{1}, {2}};
            enum class E : int { kOne };
            auto h = [] { return 1; };
            #define LLMD_M(x) \\
              do { x; } while (false)
            """),
            [],
        )


if __name__ == "__main__":
    unittest.main()
