"""An installation in a temporary folder, and the stranger's projects built against it, far away from this repository.

What `make build` leaves for `make install` is found in Bazel's runfiles.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

RUNFILES = pathlib.Path(os.environ["TEST_SRCDIR"])
ROOT = RUNFILES / "daybook"
ARCHIVE = ROOT / "deploy" / "install" / "daybook.tar"
STRANGER = ROOT / "tests" / "install" / "stranger"
# Long enough for a machine that does many other things; a test that waits so long has failed.
PATIENCE_SECONDS = 100


def environment(prefix=None, **more):
    """What a stranger's shell has: nothing of ours but the prefix."""
    result = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "USER") if name in os.environ}
    if prefix is not None:
        result["PKG_CONFIG_PATH"] = str(prefix / "lib" / "pkgconfig")
        result["CMAKE_PREFIX_PATH"] = str(prefix)
        result["LD_LIBRARY_PATH"] = str(prefix / "lib")
    result.update(more)
    return result


def run(*command, check=True, **options):
    """Runs a command to its end; a failure shows what it said."""
    options.setdefault("env", environment())
    options.setdefault("timeout", PATIENCE_SECONDS)
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def install(*arguments, archive=ARCHIVE, check=True):
    """tools/install, as `make install` calls it."""
    return run(ROOT / "tools" / "install", *arguments, check=check,
               env=environment(DAYBOOK_INSTALL_ARCHIVE=str(archive)))


class Serving:
    """A process that says `serving port=N` on one of its outputs and ends when told to."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, **options)
        self._watch = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        self._watch.daemon = True
        self._watch.start()
        said = ""
        for line in self.process.stdout:
            said += line
            found = re.search(r"serving port=(\d+)", line)
            if found:
                break
        else:
            self._watch.cancel()
            raise AssertionError(f"{command} serves nothing: {said}")
        self.address = f"127.0.0.1:{found.group(1)}"
        # A full pipe must not stop it.
        self._rest = threading.Thread(target=self.process.stdout.read, daemon=True)
        self._rest.start()

    def stop(self, by_signal=False):
        """Asks it to end, and returns its exit code."""
        if by_signal:
            self.process.send_signal(signal.SIGTERM)
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_SECONDS)
        self._watch.cancel()
        self._rest.join(PATIENCE_SECONDS)
        self.process.stdout.close()
        return code


class InstalledTest(unittest.TestCase):
    """Tests with a fresh installation that they share."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="daybook-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.prefix = cls.directory / "prefix"
        install(cls.prefix)

    def project(self, name, *folders):
        """A clean folder with copies of `folders` of the stranger."""
        target = self.directory / name
        for folder in folders:
            for path in (STRANGER / folder).rglob("*"):
                if path.is_file():
                    copy = target / path.relative_to(STRANGER / folder)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
        return target

    def daemon(self, *flags):
        """The installed daybookd, on an empty directory."""
        data = tempfile.mkdtemp(dir=self.directory)
        daemon = Serving([self.prefix / "bin" / "daybookd", "--data", data, "--listen", "127.0.0.1:0", *flags],
                         env=environment())
        self.addCleanup(lambda: self.assertEqual(0, daemon.stop(by_signal=True)))
        return daemon

    def check_programs(self, folder):
        """The stranger's programs talk to each other and to a daybookd as they should."""
        env = environment(self.prefix)
        server = Serving([folder / "server"], env=env)
        self.addCleanup(server.process.kill)
        client = run(folder / "client", server.address, env=env)
        self.assertEqual("placed o-1, 1 orders\nplaced o-2, 2 orders\nplaced o-3, 3 orders\nplaced o-3, 3 orders\n"
                         "o-1 1250 placed at 1700000000\no-3 100 placed at 1700000000\nrefused: an order has an id\n",
                         client.stdout)
        self.assertEqual("both placed\n", run(folder / "client_cc", server.address, env=env).stdout)
        self.assertEqual(0, server.stop())
        self.assertEqual("o-9 OrderPlaced 10\n", run(folder / "entry", env=env).stdout)

        journal = run(folder / "journal", self.daemon().address, env=env)
        self.assertEqual("1 OrderPlaced\n2 OrderPaid\n2 OrderPaid\nABORTED REVISION_CONFLICT\n", journal.stdout)

    def needed(self, program):
        """The shared libraries that a program names itself."""
        dynamic = run("readelf", "--dynamic", program).stdout
        return set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))


def main():
    unittest.main(verbosity=2)
