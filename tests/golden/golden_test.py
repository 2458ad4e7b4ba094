"""The generator's output, held against files that a person has read; and protos that it must refuse, on the right line.

in/    protos, rooted at that folder            out/   what is made of them, byte for byte
bad/   NAME.proto and what protoc must say of it, NAME.txt
When a change of the output is meant: tests/golden/update.sh, then read the difference.
"""

import difflib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).absolute().parent
RUNFILES = pathlib.Path(os.environ["TEST_SRCDIR"])
PLUGIN = RUNFILES / "daybook/sdk/plugin/protoc-gen-grpc-c"
UPB_PLUGIN = RUNFILES / "upb/protoc-gen-upb"

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
LANGUAGES = {"C11": ["gcc", "-std=c11", "-x", "c", "-Wstrict-prototypes"], "C++17": ["g++", "-std=c++17", "-x", "c++"]}


def protos(folder):
    found = sorted(path.relative_to(folder) for path in folder.rglob("*.proto"))
    assert found, f"no protos in {folder}"
    return found


def protoc(root, output, files, options=()):
    return subprocess.run(["protoc", f"--plugin=protoc-gen-grpc-c={PLUGIN}", f"--grpc-c_out={output}", f"-I{root}",
                           *options, *map(str, files)],
                          cwd=root, capture_output=True, text=True, check=False)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in folder.rglob("*") if path.is_file()}


class GoldenTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.output = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        self.addCleanup(shutil.rmtree, self.output)

    def generate(self, name, files, options=()):
        output = self.output / name
        output.mkdir()
        run = protoc(HERE / "in", output, files, options)
        self.assertEqual(0, run.returncode, run.stderr)
        return tree(output)

    def test_the_output_is_what_was_read(self):
        made, meant = self.generate("all", protos(HERE / "in")), tree(HERE / "out")
        self.assertEqual(sorted(meant), sorted(made))
        for name, text in meant.items():
            lines = difflib.unified_diff(text.splitlines(True), made[name].splitlines(True), f"out/{name}", "made now")
            self.assertEqual(text, made[name], "\n" + "".join(lines))

    def test_a_file_alone_gives_the_same_as_all_at_once(self):
        together, alone = self.generate("together", protos(HERE / "in")), {}
        for number, proto in enumerate(protos(HERE / "in")):
            alone.update(self.generate(str(number), [proto]))
        self.assertEqual(together, alone)

    def test_an_option_is_refused(self):
        run = protoc(HERE / "in", self.output, protos(HERE / "in"), ["--grpc-c_opt=fast"])
        self.assertEqual(1, run.returncode)
        self.assertIn("--grpc-c_out: --grpc-c_opt=fast: an option is NAME=VALUE; the options are\n", run.stderr)

    def test_run_by_hand_it_explains_itself(self):
        for option, code in (("--help", 0), ("--version", 0), ("--nonsense", 2)):
            run = subprocess.run([PLUGIN, option], input="", capture_output=True, text=True, check=False)
            self.assertEqual(code, run.returncode)
            said, silent = (run.stderr, run.stdout) if code else (run.stdout, run.stderr)
            self.assertEqual("", silent)
            self.assertIn("protoc-gen-grpc-c 0." if option == "--version" else "  include_prefix=PATH/", said)
        main, terminal = os.openpty()
        with os.fdopen(main), os.fdopen(terminal):
            run = subprocess.run([PLUGIN], stdin=terminal, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(2, run.returncode)
        self.assertIn("protoc --grpc-c_out=DIR", run.stderr)

    def test_headers_compile_alone(self):
        messages = self.output / "messages"
        messages.mkdir()
        subprocess.run(["protoc", f"--plugin=protoc-gen-upb={UPB_PLUGIN}", f"--upb_out={messages}", f"-I{HERE / 'in'}",
                        *map(str, protos(HERE / "in")), "google/protobuf/empty.proto",
                        "google/protobuf/timestamp.proto"], cwd=HERE / "in", check=True)
        for header in sorted((HERE / "out").rglob("*.grpc.h")):
            for language, command in LANGUAGES.items():
                with self.subTest(header=header.name, language=language):
                    run = subprocess.run([*command, *WARNINGS, "-fsyntax-only", "-isystem", str(RUNFILES / "upb"),
                                          "-isystem", str(messages), f"-I{RUNFILES / 'daybook/sdk/include'}",
                                          f"-I{HERE / 'out'}", str(header)], capture_output=True, text=True, check=False)
                    self.assertEqual(0, run.returncode, run.stderr)


class BadProtoTest(unittest.TestCase):
    def test_each_is_refused_on_its_line(self):
        for proto in protos(HERE / "bad"):
            expected = HERE / "bad" / proto.with_suffix(".txt")
            with self.subTest(proto=str(proto)), tempfile.TemporaryDirectory() as output:
                run = protoc(HERE / "bad", output, [proto])
                if not expected.exists():  # a proto that others import
                    self.assertEqual(0, run.returncode, run.stderr)
                    continue
                self.assertEqual(1, run.returncode)
                self.assertEqual(expected.read_text(encoding="utf-8"), run.stderr)
                self.assertEqual({}, tree(pathlib.Path(output)), "something was made of a proto that is refused")

    def test_bytes_that_are_no_request(self):
        for data in (b"\xff\xff\xff", b"\x0a", b"orders.proto"):
            run = subprocess.run([PLUGIN], input=data, capture_output=True, check=False)
            self.assertEqual(1, run.returncode)
            self.assertIn(b"is no CodeGeneratorRequest", run.stderr)
            self.assertEqual(b"", run.stdout)


def update(source):
    """Writes what is made now into the source tree."""
    shutil.rmtree(source / "out", ignore_errors=True)
    (source / "out").mkdir()
    run = protoc(source / "in", source / "out", protos(source / "in"))
    assert run.returncode == 0, run.stderr
    for proto in protos(source / "bad"):
        with tempfile.TemporaryDirectory() as output:
            run = protoc(source / "bad", output, [proto])
        if run.returncode != 0:
            (source / "bad" / proto.with_suffix(".txt")).write_text(run.stderr, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--update":
        update(pathlib.Path(sys.argv[2]).resolve())
    else:
        unittest.main(verbosity=2)
