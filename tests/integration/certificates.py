"""Authorities and certificates of a test's own, made by openssl."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest


class Certificates:
    """An authority and what it signs, as PEM files in a directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def path(self, name):
        return str(self.directory / name)

    def read(self, name):
        return (self.directory / name).read_bytes()

    def _openssl(self, *arguments):
        result = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise AssertionError(result.stderr)

    def authority(self, name):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                      "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt"))

    def issue(self, authority, name, alternative_names):
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative_names}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
        self._openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path(f"{authority}.crt"), "-CAkey",
                      self.path(f"{authority}.key"), "-CAcreateserial", "-days", "1", "-extfile", str(extensions),
                      "-out", self.path(f"{name}.crt"))


class CertifiedTest(unittest.TestCase):
    """A test with certificates of two authorities, `authority` and `stranger`, in a directory of its own."""

    # By whom, for whom, for which names.
    ISSUED = (("authority", "first", "IP:127.0.0.1"), ("authority", "second", "IP:127.0.0.1"),
              ("authority", "client", "IP:127.0.0.1"), ("stranger", "intruder", "IP:127.0.0.1"))

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="daybook-test-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.certificates = Certificates(cls.directory)
        for name in ("authority", "stranger"):
            cls.certificates.authority(name)
        for issued in cls.ISSUED:
            cls.certificates.issue(*issued)
