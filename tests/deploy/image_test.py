"""The image: what its root file system holds and refuses to hold, and that it and the pod agree."""

import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import unittest

import manifests
from manifests import DAYBOOK, DAYBOOKD, container, environment, find

ROOTFS = manifests.DEPLOY / "image" / "rootfs.sh"
USER_ID = 10001


def assemble(archive, *programs, **variables):
    return subprocess.run([ROOTFS, archive, *programs], env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=4 * manifests.PATIENCE_SECONDS)


class RootTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="daybook-image-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.archive = cls.directory / "rootfs.tar"
        result = assemble(cls.archive, DAYBOOKD, DAYBOOK, SOURCE_DATE_EPOCH="1700000000")
        if result.returncode != 0:
            raise AssertionError(result.stderr)
        with tarfile.open(cls.archive) as archive:
            cls.members = {member.name.removeprefix("./"): member for member in archive.getmembers()}

    def text(self, name):
        with tarfile.open(self.archive) as archive:
            return archive.extractfile("./" + name).read().decode()

    def test_two_programs_and_no_shell(self):
        programs = [name for name in self.members if name.startswith("usr/bin/")]
        self.assertEqual(["usr/bin/daybook", "usr/bin/daybookd"], sorted(programs))
        executables = [name for name, member in self.members.items() if member.isfile() and member.mode & 0o111]
        others = [name for name in executables if name not in programs and not re.search(r"\.so(\.|$)", name)]
        self.assertEqual([], others)

    def test_nobody_but_root_may_change_it(self):
        for name, member in self.members.items():
            with self.subTest(name=name):
                self.assertEqual(1700000000, member.mtime)
                self.assertFalse(member.mode & (stat.S_ISUID | stat.S_ISGID))
                if name == "data":
                    self.assertEqual((USER_ID, USER_ID, 0o750), (member.uid, member.gid, member.mode))
                else:
                    self.assertEqual((0, 0), (member.uid, member.gid))
                    self.assertTrue(member.issym() or not member.mode & 0o022)

    def test_what_a_program_looks_for(self):
        self.assertIn(f"daybook:x:{USER_ID}:{USER_ID}:", self.text("etc/passwd"))
        self.assertGreater(self.text("etc/ssl/certs/ca-certificates.crt").count("BEGIN CERTIFICATE"), 50)
        self.assertIn("ID=debian", self.text("usr/lib/os-release"))

    def test_every_package_is_on_record(self):
        records = {name.rpartition("/")[2] for name in self.members if name.startswith("var/lib/dpkg/status.d/")}
        self.assertLessEqual({"libc6", "libgrpc29", "liblmdb0", "libssl3", "ca-certificates"}, records)
        for name in records:
            record = self.text(f"var/lib/dpkg/status.d/{name}")
            self.assertIn(f"Package: {name}\n", record)
            self.assertRegex(record, r"\nVersion: \S+")
            self.assertIn(f"usr/share/doc/{name}/copyright", self.members)

    def test_the_programs_start_with_its_libraries_alone(self):
        root = self.directory / "root"
        with tarfile.open(self.archive) as archive:
            archive.extractall(root, members=[member for member in archive if member.name != "./data"])
        (loader,) = (root / "usr/lib64").glob("ld-linux*")
        libraries = {str(path.parent) for path in (root / "usr/lib").rglob("*.so*")}
        version = manifests.output(loader, "--inhibit-cache", "--library-path", ":".join(libraries),
                                   root / "usr/bin/daybookd", "--version")
        self.assertEqual(f"daybookd {manifests.DaemonFacts().version}\n", version)

    def test_the_same_inputs_give_the_same_bytes(self):
        again = self.directory / "again.tar"
        self.assertEqual(0, assemble(again, DAYBOOKD, DAYBOOK, SOURCE_DATE_EPOCH="1700000000").returncode)
        self.assertEqual(hashlib.sha256(self.archive.read_bytes()).hexdigest(),
                         hashlib.sha256(again.read_bytes()).hexdigest())

    def test_what_is_refused(self):
        archive = self.directory / "refused.tar"
        strange = self.directory / "strange"
        strange.mkdir()
        (library,) = re.findall(r"=> (\S*/liblmdb\.so\S*)", manifests.output("ldd", DAYBOOKD))
        shutil.copy(library, strange)
        cases = [
            ("usage", (), {}),
            ("not a program", ("/nowhere/daybookd",), {}),
            ("does not name its libraries", (str(ROOTFS),), {}),
            ("from no Debian package", (DAYBOOKD,), {"LD_LIBRARY_PATH": str(strange)}),
        ]
        for words, programs, variables in cases:
            with self.subTest(words=words):
                result = assemble(archive, *programs, **variables)
                self.assertNotEqual(0, result.returncode)
                self.assertIn(words, result.stderr)
                self.assertFalse(archive.exists())


class ContainerfileTest(unittest.TestCase):
    def test_it_agrees_with_the_pod(self):
        lines = manifests.containerfile()
        words = dict(lines)
        objects = manifests.render("base")
        security = find(objects, "StatefulSet")["spec"]["template"]["spec"]["securityContext"]
        self.assertEqual(f"{security['runAsUser']}:{security['runAsGroup']}", words["USER"])
        self.assertEqual([f"{port['containerPort']}/tcp" for port in container(objects)["ports"]], [words["EXPOSE"]])
        self.assertEqual(environment(objects)["DAYBOOK_DATA"], words["VOLUME"])
        self.assertEqual("SIGTERM", words["STOPSIGNAL"])
        self.assertEqual('["/usr/bin/daybookd"]', words["ENTRYPOINT"])
        variables = dict(pair.split("=", 1) for pair in words["ENV"].split())
        variables.pop("PATH")
        self.assertLessEqual(variables.items(), environment(objects).items())

    def test_it_starts_from_nothing_and_runs_nothing(self):
        lines = manifests.containerfile()
        self.assertEqual(("FROM", "scratch"), lines[0])
        self.assertNotIn("RUN", [word for word, _ in lines])
        self.assertIn("org.opencontainers.image.version", dict(lines)["LABEL"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
