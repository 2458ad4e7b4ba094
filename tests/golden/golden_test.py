"""The generator's output, held against files that a person has read; and protos that it must refuse, on the right line.

in/    protos, rooted at that folder            out/   what is made of them, byte for byte
bad/   NAME.proto and what protoc must say of it, NAME.txt
When a change of the output is meant: tests/golden/update.sh, then read the difference.
"""

import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).absolute().parent
RUNFILES = pathlib.Path(os.environ["TEST_SRCDIR"])
PLUGIN = RUNFILES / "daybook/sdk/plugin/protoc-gen-grpc-c"
UPB_PLUGIN = RUNFILES / "upb/protoc-gen-upb"

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror"]
LANGUAGES = {"C11": ["gcc", "-std=c11", "-x", "c", "-Wstrict-prototypes", "-Wmissing-prototypes"],
             "C++17": ["g++", "-std=c++17", "-x", "c++", "-Wold-style-cast", "-Wuseless-cast", "-Wextra-semi",
                       "-Wzero-as-null-pointer-constant"]}
WELL_KNOWN = [f"google/protobuf/{name}.proto" for name in (
    "any", "descriptor", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")]


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


class CompileTest(unittest.TestCase):
    """What a compiler and a linker say of the goldens; upb's output beside them is a library's and held to nothing."""

    @classmethod
    def setUpClass(cls):
        cls.output = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        cls.addClassCleanup(shutil.rmtree, cls.output)
        cls.messages = cls.output / "messages"
        cls.messages.mkdir()
        subprocess.run(["protoc", f"--plugin=protoc-gen-upb={UPB_PLUGIN}", f"--upb_out={cls.messages}",
                        f"-I{HERE / 'in'}", *map(str, protos(HERE / "in")), *WELL_KNOWN], cwd=HERE / "in", check=True)

    def compile(self, command, source, *options, generated=HERE / "out"):
        run = subprocess.run([*command, "-isystem", str(RUNFILES / "upb"), "-isystem", str(self.messages),
                              f"-I{RUNFILES / 'daybook/sdk/include'}", f"-I{generated}", *options, str(source)],
                             capture_output=True, text=True, check=False)
        self.assertEqual(0, run.returncode, run.stderr)
        return run.stdout

    def test_headers_compile_alone(self):
        for header in sorted((HERE / "out").rglob("*.grpc.h")):
            for language, command in LANGUAGES.items():
                with self.subTest(header=header.name, language=language):
                    self.compile(command, header, *WARNINGS, "-fsyntax-only")

    def everything(self, language, generated=HERE / "out"):
        """One file of all headers that takes the address of every function, so that none is left out as unused."""
        headers = sorted(generated.rglob("*.grpc.h"))
        names = [name for header in headers for name in functions(header)]
        self.assertGreater(len(names), 150)
        self.assertEqual(len(names), len(set(names)))
        cast = "reinterpret_cast<function *>({})" if language.startswith("C++") else "(function *){}"
        lines = [f'#include "{header.relative_to(generated)}"' for header in headers]
        lines += ["typedef void function(void);", "extern function *const all[];", "function *const all[] = {"]
        lines += ["    " + cast.format(name) + "," for name in names] + ["};"]
        source, made = self.output / "everything.c", self.output / f"everything-{language}.o"
        source.write_text("\n".join(lines), encoding="utf-8")
        self.compile(LANGUAGES[language], source, *WARNINGS, "-Wno-deprecated-declarations", "-Wno-cast-function-type",
                     "-fPIC", "-c", "-o", str(made), generated=generated)
        return made

    def test_every_function_compiles_where_it_is_used(self):
        for language in LANGUAGES:
            with self.subTest(language=language):
                self.everything(language)

    def test_deprecated_methods_warn(self):
        source = self.output / "deprecated.c"
        for function in ("Old_Get", "Old_Get_start", "Old_Get_result", "Old_Follow_open", "Old_Import_open",
                         "Old_Talk_open", "old_Notes_Get"):
            source.write_text('#include "comments/comments.grpc.h"\n#include "comments/old_file.grpc.h"\n'
                              f"void use(void) {{ (void)&comments_{function}; }}\n", encoding="utf-8")
            with self.subTest(function=function), self.assertRaisesRegex(AssertionError, "is deprecated"):
                self.compile(LANGUAGES["C11"], source, "-Werror", "-fsyntax-only")

    def test_all_of_them_link(self):
        """With upb's half: no name is there twice, and what is missing is the SDK's, upb's or the C library's."""
        objects = [str(self.everything("C11"))]
        sources = [(path, ["-w"]) for path in sorted(self.messages.rglob("*.upb.c"))]
        sources += [(path, WARNINGS) for path in sorted((HERE / "out").rglob("*.grpc.c"))]
        for number, (source, options) in enumerate(sources):
            objects.append(str(self.output / f"{number}.o"))
            self.compile(LANGUAGES["C11"], source, *options, "-fPIC", "-c", "-o", objects[-1])
        library = self.output / "all.so"
        run = subprocess.run(["gcc", "-shared", "-o", library, *objects, "-lupb"], capture_output=True, text=True,
                             check=False)
        self.assertEqual(0, run.returncode, run.stderr)
        listed = subprocess.run(["nm", "--dynamic", "--undefined-only", library], capture_output=True, text=True,
                                check=True).stdout
        missing = {line.split()[-1] for line in listed.splitlines()}
        foreign = {name for name in missing if "@" not in name and not re.match(r"_?upb_|_ITM_|__gmon|__cxa", name)}
        declared = set(re.findall(r"\bdaybook_\w+", "".join(
            path.read_text(encoding="utf-8") for path in (RUNFILES / "daybook/sdk/include").rglob("*.h"))))
        self.assertIn("daybook_stream_writes_done", foreign)
        self.assertEqual(set(), foreign - declared)

    def variant(self, option):
        """What is made with an option: compiled in C and, with every function used, in C and C++."""
        folder = self.output / option.replace("/", "_")
        folder.mkdir()
        run = protoc(HERE / "in", folder, protos(HERE / "in"), [f"--grpc-c_opt={option}"])
        self.assertEqual(0, run.returncode, run.stderr)
        return folder

    def test_one_half_alone(self):
        whole = tree(HERE / "out")
        halves = {half: self.variant(f"{other}=false") for half, other in (("client", "server"), ("server", "client"))}
        for name, text in whole.items():
            lines = {half: (folder / name).read_text(encoding="utf-8").splitlines() for half, folder in halves.items()}
            for half in halves:
                self.assertLessEqual(set(lines[half][3 if name.endswith(".h") else 0:]), set(text.splitlines()) | {"    NULL,"})
            if name.endswith(".h"):
                made = {half: functions(folder / name) for half, folder in halves.items()}
                self.assertEqual(sorted(functions(HERE / "out" / name)), sorted(made["client"] + made["server"]))
                self.assertNotIn("server", "".join(lines["client"][3:]).replace("the server", ""))
                self.assertNotRegex("".join(lines["server"]), r"daybook_(call|stream|client)\b")
            else:
                self.assertNotRegex("".join(lines["client"]), "_service|_dispatch|daybook__")
                self.assertEqual(text.splitlines(), lines["server"])
        for half, folder in halves.items():
            for language in LANGUAGES:
                with self.subTest(half=half, language=language):
                    self.everything(language, folder)
            for source in sorted(folder.rglob("*.grpc.c")):
                self.compile(LANGUAGES["C11"], source, *WARNINGS, "-fsyntax-only", generated=folder)

    def test_without_descriptors(self):
        folder, whole = self.variant("descriptors=false"), tree(HERE / "out")
        for name, text in tree(folder).items():
            if name.endswith(".h"):
                self.assertEqual(whole[name], text)
                continue
            without = re.sub(r"static const (uint8_t daybook__descriptor_|daybook_file )[^;]*;\n+", "", whole[name])
            without = re.sub(r"daybook__files, \d+\}", "NULL, 0}", without)
            self.assertEqual(without, text)
            self.compile(LANGUAGES["C11"], folder / name, *WARNINGS, "-fsyntax-only", generated=folder)

    def test_a_prefix_of_includes(self):
        whole = tree(HERE / "out")
        for name, text in tree(self.variant("include_prefix=made/by protoc/")).items():
            prefixed = re.sub(r'#include "(?!daybook/|google/protobuf/)', '#include "made/by protoc/', whole[name])
            self.assertEqual(prefixed, text)

    def test_macros_of_the_headers_are_no_names_of_handlers(self):
        """Whatever a generated header makes a macro gets a '_' as the name of a handler."""
        header = HERE / "out/shop/v1/orders.grpc.h"
        macros = set()
        for compiler in (["gcc", "-std=gnu11"], ["g++", "-std=gnu++20", "-x", "c++"]):
            for line in self.compile(compiler, header, "-dM", "-E").splitlines():
                name = re.match(r"#define (\w+)", line).group(1)
                if not name.startswith(("_", "UPB_", "DAYBOOK_", "kUpb_")) and not name.endswith(("_UPB_H_", "_GRPC_H_")):
                    macros.add(name)
        self.assertIn("linux", macros)
        folder = self.output / "macros"
        folder.mkdir()
        methods = "".join(f"  rpc {name}(.m.In) returns (.m.In);\n" for name in sorted(macros))
        (folder / "macros.proto").write_text(
            f'syntax = "proto3";\npackage m;\nmessage In {{}}\nservice S {{\n{methods}}}\n', encoding="utf-8")
        run = protoc(folder, folder, ["macros.proto"])
        self.assertEqual(0, run.returncode, run.stderr)
        slots = set(re.findall(r"\(\*(\w+)\)\(void \*context", (folder / "macros.grpc.h").read_text(encoding="utf-8")))
        self.assertEqual({name + "_" for name in macros}, slots)


def functions(header):
    return re.findall(r"\bstatic inline [^;{]*?\b(\w+)\(", header.read_text(encoding="utf-8"))


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

    def test_compilers_would_refuse_them_too(self):
        """What is refused because of upb's generator: its output is no C, or no C++."""
        refused = [proto for proto in protos(HERE / "bad")
                   if str(proto).startswith(("upb_", "reserved_", "2fa", "dash-")) and "extension" not in str(proto)]
        self.assertGreater(len(refused), 9)
        for proto in refused:
            with self.subTest(proto=str(proto)), tempfile.TemporaryDirectory() as output:
                subprocess.run(["protoc", f"--plugin=protoc-gen-upb={UPB_PLUGIN}", f"--upb_out={output}",
                                f"-I{HERE / 'bad'}", str(proto)], cwd=HERE / "bad", check=True)
                codes = [subprocess.run([*command, "-w", "-fsyntax-only", "-isystem", str(RUNFILES / "upb"),
                                         f"-I{output}", str(pathlib.Path(output, proto.with_suffix(suffix)))],
                                        capture_output=True, check=False).returncode
                         for command, suffix in ((["gcc", "-std=gnu11"], ".upb.c"),
                                                 (["g++", "-std=c++17", "-x", "c++"], ".upb.h"))]
                self.assertNotEqual([0, 0], codes)

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
