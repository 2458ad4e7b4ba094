"""Reads the tree and checks what no compiler does: sizes, the direction of includes, banned calls, unfinished marks.

Runs on the files that git tracks, in the checkout that the test was started from (DAYBOOK_TOOLS is inside of it).
"""

import os
import pathlib
import re
import subprocess
import unittest

TOOLS = pathlib.Path(os.environ["DAYBOOK_TOOLS"])
ROOT = TOOLS.parent

FILE_LINES_MAX = 600
# Files that were longer when the limit came: they may shrink, never grow.
FILE_LINES_RATCHET = {}
FUNCTION_LINES_MAX = 70
LINE_CHARACTERS_MAX = 130

# Who may include whom: a file below the key may include headers below the values, and its own folder's.
LAYERS = {
    "service/base": [],
    "service/record": ["service/base"],
    "service/store": ["service/base", "service/record"],
    "service/commit": ["service/base", "service/record", "service/store"],
    "service/feed": ["service/base", "service/record", "service/store", "service/commit"],
    "service/retention": ["service/base", "service/record", "service/store", "service/commit"],
    "service/api": [
        "service/base", "service/record", "service/store", "service/commit", "service/feed", "service/retention",
    ],
    "service/offline": ["service/base", "service/store"],
    "service/ops": ["service/base"],
    "sdk/plugin": [],
    "sdk/base": [],
    "sdk/runtime": ["sdk/base"],
    "sdk/client": ["sdk/base"],
    "sdk/cli": [],
}

# Where a library's headers may be included.
LIBRARIES = {
    r"grpc/(?!health|reflection)": ["sdk/runtime", "tests"],
    r"lmdb\.h": ["service/store", "tests"],
    r"jansson\.h": ["sdk/cli", "examples", "tests"],
    r"xxhash\.h": ["service/base", "sdk/cli"],
    r"isa-l": ["service/base"],
    r"openssl/": ["sdk/runtime", "service/base", "tests/support", "tests/fuzz"],
    r"criterion/": ["tests"],
}

BANNED = {
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca)\s*\(": "has a bounded form",
    r"\b(usleep|sleep|nanosleep)\s*\(": "wait for a condition",
    r"\bMDB_(NOSYNC|WRITEMAP|MAPASYNC)\b": "an acknowledgement is on disk",
}

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|for no" r"w\b|place" r"holder|in a real sys" r"tem",
                        re.IGNORECASE)
MACHINE = re.compile(r"/wor" r"k/|pypi\." r"org|crates\." r"io|proxy\.gol" r"ang|npmjs\." r"org|maven\." r"org|deb\.deb"
                     r"ian\.org")


def tracked(*patterns):
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "--", *patterns],
                            capture_output=True, text=True, check=True).stdout
    return [pathlib.Path(name) for name in listed.splitlines() if (ROOT / name).is_file()]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def below(path, folder):
    return str(path).startswith(folder + "/")


def without_comments(text):
    """Blanks out comments and string literals, keeping the lines."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
    return pattern.sub(lambda match: "\n" * match.group().count("\n"), text)


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.sources = [path for path in tracked("*.c", "*.h") if not below(path, "tests/golden")]
        self.assertGreater(len(self.sources), 50, "no sources found: the test looks in the wrong place")
        self.problems = []

    def tearDown(self):
        if self.problems:
            self.fail("\n" + "\n".join(self.problems))

    def problem(self, path, line, text):
        self.problems.append(f"{path}:{line}: {text}")

    def test_files_are_of_one_idea(self):
        for path in self.sources + tracked("*.py", "*.sh", "*.bzl", "tools/*"):
            lines = text_of(path).splitlines()
            most = FILE_LINES_RATCHET.get(str(path), FILE_LINES_MAX)
            if len(lines) > most:
                self.problem(path, len(lines), f"this file has at most {most} lines")
            if path.suffix not in (".c", ".h"):
                continue
            for number, line in enumerate(lines, 1):
                if len(line) > LINE_CHARACTERS_MAX:
                    self.problem(path, number, f"a line has at most {LINE_CHARACTERS_MAX} characters")

    def test_functions_fit_a_screen(self):
        for path in self.sources:
            start = None
            for number, line in enumerate(text_of(path).splitlines(), 1):
                if re.match(r"\S.*\)\s*\{$|\{$", line) and not line.startswith(("struct", "enum", "union", "extern")):
                    start = number
                elif line.startswith("}") and start is not None:
                    if number - start > FUNCTION_LINES_MAX:
                        self.problem(path, start, f"a function has at most {FUNCTION_LINES_MAX} lines, "
                                     f"this one {number - start}")
                    start = None

    def test_includes_go_one_way(self):
        for path in self.sources:
            layer = next((layer for layer in LAYERS if below(path, layer)), None)
            for number, line in enumerate(text_of(path).splitlines(), 1):
                found = re.match(r'#include\s+["<]([^">]+)[">]', line)
                if not found:
                    continue
                name = found.group(1)
                if layer is not None and name.startswith(("service/", "sdk/")):
                    folder = "/".join(name.split("/")[:2])
                    if folder != layer and folder not in LAYERS[layer]:
                        self.problem(path, number, f"{layer} may not include {folder}")
                for library, folders in LIBRARIES.items():
                    if re.match(library, name) and not name.endswith((".upb.h", ".grpc.h")):
                        if not any(below(path, folder) for folder in folders):
                            self.problem(path, number, f"{name} is for {', '.join(folders)} alone")

    def test_public_headers_hide_what_is_below(self):
        for path in tracked("sdk/include/daybook/*.h"):
            for number, line in enumerate(text_of(path).splitlines(), 1):
                if re.match(r"#include\s+[\"<](grpc|lmdb|sdk|service)", line):
                    self.problem(path, number, "a public header needs upb and itself alone")

    def test_banned_calls(self):
        for path in self.sources:
            for number, line in enumerate(without_comments(text_of(path)).splitlines(), 1):
                for pattern, why in BANNED.items():
                    # Tests may open a store carelessly, and a benchmark samples at intervals.
                    allowed = below(path, "tests") and "MDB_" in line or below(path, "tests/bench") and "sleep" in line
                    if re.search(pattern, line) and not allowed:
                        self.problem(path, number, f"{line.strip()}: banned, {why}")

    def test_nothing_is_unfinished(self):
        for path in tracked():
            if path.suffix in (".csv", ".png", ".xz") or below(path, "tests/golden") or below(path, "tests/fuzz/corpus"):
                continue
            for number, line in enumerate(text_of(path).splitlines(), 1):
                if UNFINISHED.search(line) and path.name != "tidy_test.py":
                    self.problem(path, number, f"unfinished: {line.strip()}")
                if MACHINE.search(line):
                    self.problem(path, number, f"a machine's path or a registry's host: {line.strip()}")

    def test_headers_say_what_they_are(self):
        for path in self.sources:
            if path.suffix != ".h" or below(path, "tests"):
                continue
            text = text_of(path)
            is_public = path.parent.name == "daybook"  # read by Doxygen
            opening = f"/** @file {path.name}\n * " if is_public else f"/* {path.name}: "
            if not text.startswith(opening):
                self.problem(path, 1, f"a header opens with {opening!r} and its purpose, ownership and threads")
            if "Threads:" not in text:
                self.problem(path, 1, "a header says which threads may use it (Threads:)")

    def test_headers_compile_alone(self):
        folders = [folder for folder in ("service", "sdk/include", "sdk/client") if (ROOT / folder).is_dir()]
        self.assertTrue(folders)
        for path in self.sources:
            text = text_of(path)
            if path.suffix != ".h" or below(path, "tests") or "upb" in text or ".grpc.h" in text:
                continue  # what needs generated headers is compiled alone by Bazel's own header check
            result = subprocess.run(
                ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-x", "c", f"-I{ROOT}",
                 f"-I{ROOT}/sdk/include", f"-I{ROOT}/sdk/client", "-include", str(ROOT / path), "/dev/null"],
                capture_output=True, text=True, check=False)
            if result.returncode != 0 and not re.search(r"upb\b|grpc\.h: No such", result.stderr):
                self.problem(path, 1, f"does not compile alone: {result.stderr.splitlines()[0]}")

    def test_every_source_is_built(self):
        builds = {path.parent: text_of(path) for path in tracked("*BUILD")}
        for path in self.sources:
            folder = path.parent
            while folder not in builds and folder != folder.parent:
                folder = folder.parent
            build = builds.get(folder, "")
            name = str(path.relative_to(folder))
            stem = path.stem.removesuffix("_test")
            named = f'"{name}"' in build or re.search(rf'"{path.stem}"|"{stem}"', build) or "glob(" in build
            if path.suffix == ".c" and not named:
                self.problem(path, 1, "no BUILD file names it: dead, or never compiled")

    def test_formatting(self):
        result = subprocess.run(["clang-format", "--dry-run", *map(str, self.sources)], cwd=ROOT, capture_output=True,
                                text=True, check=True)
        for path in sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning", result.stderr, re.MULTILINE))):
            self.problem(path, 1, "is not formatted; `make fix` does it")

    def test_protos_are_clean(self):
        result = subprocess.run([TOOLS / "python" / "bin" / "buf", "lint"], cwd=ROOT / "protos", capture_output=True,
                                text=True, check=False)
        if result.returncode != 0:
            self.problem("protos", 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
