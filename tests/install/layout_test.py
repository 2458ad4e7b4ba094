"""What `make install` leaves: which files, which names the libraries show, and that it goes away again."""

import io
import pathlib
import re
import subprocess
import tarfile

import prefix
from prefix import ARCHIVE, ROOT, InstalledTest, environment, install, run

UPB = "include/daybook/upb-29"
# Beside the functions of the public headers: tables that generated code refers to. `_file_layout` is upb's list of a
# proto's messages.
TABLES = r"daybook_v1_\w+_(methods|service)|(daybook_v1|google_rpc|google_protobuf)_\w+_(msginit|enuminit|upb_file_layout)"
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def declared(folder):
    """The functions that the public headers declare and do not define."""
    names = set()
    for header in folder.glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"^#.*?(?<!\\)$", "", text, flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"\btypedef\b[^;{]*;", "", text)  # types of functions
        names |= set(re.findall(r"\b(daybook_\w+)\(", text))
    return names


class LayoutTest(InstalledTest):
    def test_every_kind_of_file_is_there(self):
        files = set(files_below(self.prefix))
        for name in ["bin/daybookd", "bin/daybook", "bin/protoc-gen-grpc-c", "bin/protoc-gen-upb",
                     "include/daybook/daybook.h", "include/daybook/subscriber.h", "include/daybook/v1/event_store.grpc.h",
                     "include/daybook/v1/event.upb.h", f"{UPB}/upb/upb.h", f"{UPB}/upb/port_def.inc", f"{UPB}/LICENSE",
                     f"{UPB}/google/protobuf/timestamp.upb.h", f"{UPB}/google/rpc/error_details.upb.h",
                     "lib/libdaybook.a", "lib/libdaybook.so", "lib/pkgconfig/daybook.pc",
                     "lib/cmake/daybook/daybook-config.cmake", "lib/cmake/daybook/daybook-config-version.cmake",
                     "share/daybook/protos/daybook/v1/event_store.proto", "share/daybook/protos/google/rpc/status.proto",
                     "share/doc/daybook/LICENSE"]:
            self.assertIn(name, files)
        sources = {path.name for folder in ("sdk/include/daybook", "sdk/client/daybook")
                   for path in (ROOT / folder).glob("*.h")}
        self.assertEqual(sources, {path.name for path in (self.prefix / "include" / "daybook").glob("*.h")})
        self.assertEqual(files, set((self.prefix / "share/daybook/installed").read_text(encoding="utf-8").split()))

    def test_the_versions_are_one(self):
        version = re.search(r'DAYBOOK__VERSION +"(.*)"', (ROOT / "sdk/runtime/version.h").read_text(encoding="utf-8"))[1]
        shared = self.prefix / "lib" / f"libdaybook.so.{version}"
        self.assertTrue(shared.is_file() and not shared.is_symlink())
        major = version.split(".", maxsplit=1)[0]
        self.assertIn(f"[libdaybook.so.{major}]", re.search(r"SONAME.*", run("readelf", "-d", shared).stdout)[0])
        for link in ("libdaybook.so", f"libdaybook.so.{major}"):
            self.assertEqual(shared.resolve(), (self.prefix / "lib" / link).resolve())
        self.assertEqual(version, run("pkg-config", "--modversion", "daybook", env=environment(self.prefix)).stdout.strip())

    def test_the_shared_library_links_the_systems(self):
        self.assertLessEqual({"libgrpc.so.29", "libgpr.so.29", "libupb.so.29"},
                             self.needed(self.prefix / "lib" / "libdaybook.so"))

    def check_names(self, names, library):
        functions = {name for name in names if not re.fullmatch(TABLES, name)}
        public = declared(self.prefix / "include" / "daybook")
        self.assertGreater(len(public), 60, "the headers' declarations were not found")
        self.assertEqual(public, functions, f"{library} shows something else than the public headers declare")
        for table in ("daybook_v1_EventStore_methods", "daybook_v1_AppendRequest_msginit", "google_rpc_Status_msginit",
                      "google_rpc_BadRequest_msginit", "google_protobuf_Timestamp_msginit"):
            self.assertIn(table, names)

    def test_the_libraries_show_what_the_headers_declare(self):
        library = self.prefix / "lib" / "libdaybook.so"
        lines = run("nm", "--dynamic", "--defined-only", "--format=posix", library).stdout.splitlines()
        self.check_names({line.split()[0] for line in lines}, "libdaybook.so")

        archive = self.prefix / "lib" / "libdaybook.a"
        lines = run("nm", "--extern-only", "--defined-only", "--format=posix", archive).stdout.splitlines()
        names = {line.split()[0] for line in lines if not line.endswith(":")}
        self.check_names(names, "libdaybook.a")

    def test_headers_compile_alone(self):
        env = environment(self.prefix)
        flags = run("pkg-config", "--cflags", "daybook", env=env).stdout.split()
        headers = files_below(self.prefix / "include" / "daybook")
        headers = [name for name in headers if name.endswith(".h") and not name.startswith("upb-29/")]
        self.assertIn("v1/event_store.grpc.h", headers)
        for language in (["gcc", "-std=c11", "-x", "c"], ["g++", "-std=c++17", "-x", "c++"]):
            for header in headers:
                done = subprocess.run([*language, *WARNINGS, *flags, "-fsyntax-only", "-"], env=env,
                                      input=f'#include "daybook/{header}"\nint program;\n', capture_output=True, text=True, check=False)
                self.assertEqual("", done.stderr, f"{header} as {language[1]}")

    def test_nothing_knows_where_it_was_built_or_put(self):
        for name in files_below(self.prefix):
            data = (self.prefix / name).read_bytes()
            for path in (str(self.directory), "/bazel-out/", "/execroot/"):
                self.assertNotIn(path.encode(), data, name)

    def test_it_runs_from_a_folder_that_was_moved(self):
        moved = self.directory / "moved"
        (self.directory / "before").mkdir()
        install(self.directory / "before")
        (self.directory / "before").rename(moved)
        flags = run("pkg-config", "--cflags", "daybook", env=environment(moved)).stdout
        self.assertIn(f"-I{moved}/", flags)
        self.assertNotIn("before", flags)


class ChangesTest(InstalledTest):
    def test_a_package_builder_installs_below_destdir(self):
        stage = self.directory / "stage"
        install("--destdir", stage, "/usr/local")
        self.assertEqual(files_below(self.prefix), files_below(stage / "usr" / "local"))
        self.assertEqual(["usr"], [path.name for path in stage.iterdir()])

    def test_uninstall_takes_what_it_brought_and_no_more(self):
        place = self.directory / "shared"
        foreign = place / "include" / "other.h"
        foreign.parent.mkdir(parents=True)
        foreign.write_text("/* another program's */\n", encoding="utf-8")
        install(place)
        install("--uninstall", place)
        self.assertEqual(["include/other.h"], files_below(place))
        self.assertEqual(["include"], [path.name for path in place.iterdir()], "empty folders were left")
        again = install("--uninstall", place, check=False)
        self.assertEqual((1, f"install: nothing is installed in {place}\n"), (again.returncode, again.stderr))

    def test_an_upgrade_removes_what_the_new_version_has_not(self):
        place = self.directory / "upgraded"
        older = self.directory / "older.tar"
        with tarfile.open(older, "w") as archive:
            for name in ("lib/libdaybook.so.0.0.9", "share/daybook/protos/old/v1/old.proto", "bin/daybook"):
                member = tarfile.TarInfo(name)
                member.size = 3
                archive.addfile(member, io.BytesIO(b"old"))
        install(place, archive=older)
        self.assertTrue((place / "lib" / "libdaybook.so.0.0.9").exists())
        install(place)
        self.assertEqual(files_below(self.prefix), files_below(place))
        self.assertFalse((place / "share/daybook/protos/old").exists())
        self.assertNotEqual(b"old", (place / "bin" / "daybook").read_bytes())

    def test_modes_do_not_depend_on_the_umask(self):
        place = self.directory / "modes"
        run("bash", "-c", 'umask 077 && "$0" "$1"', ROOT / "tools" / "install", place,
            env=environment(DAYBOOK_INSTALL_ARCHIVE=str(ARCHIVE)))
        for name in files_below(place):
            path = pathlib.Path(place / name)
            if not path.is_symlink():
                self.assertEqual(0o755 if name.startswith("bin/") else 0o644, path.stat().st_mode & 0o7777, name)
            self.assertEqual(0o755, path.parent.stat().st_mode & 0o7777, path.parent)

    def test_what_is_not_there_is_said(self):
        for arguments, archive, code, says in (
            (["relative"], ARCHIVE, 64, "PREFIX must be an absolute path"),
            ([], ARCHIVE, 64, "usage:"),
            (["--fast", "/x"], ARCHIVE, 64, "usage:"),
            ([self.directory / "none"], self.directory / "none.tar", 1, "run 'make build' first"),
        ):
            done = install(*arguments, archive=archive, check=False)
            self.assertEqual(code, done.returncode, arguments)
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    prefix.main()
