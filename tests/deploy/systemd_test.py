"""The unit for systemd: its settings are the daemon's, its times fit, and systemd itself understands every line."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import manifests
import rules

UNIT = manifests.DEPLOY / "systemd" / "daybookd.service"


def directives():
    """The unit as {name: [values]}."""
    found = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


class UnitTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.facts = manifests.DaemonFacts()
        cls.unit = directives()
        cls.settings = dict(value.split("=", 1) for value in cls.unit["Environment"])

    def test_settings_are_the_daemons(self):
        self.assertLessEqual(set(self.settings), self.facts.variables)
        self.assertEqual(["/usr/bin/daybookd"], self.unit["ExecStart"])

    def test_a_reload_is_the_signal_that_the_daemon_documents(self):
        self.assertEqual(["/bin/kill -HUP $MAINPID"], self.unit["ExecReload"])
        self.assertIn("SIGHUP reads certificates again", " ".join(manifests.output(manifests.DAYBOOKD, "--help").split()))

    def test_the_store_is_in_the_state_directory(self):
        (directory,) = self.unit["StateDirectory"]
        self.assertEqual(f"/var/lib/{directory}", self.settings["DAYBOOK_DATA"])
        self.assertEqual(["/var/lib/daybook"], self.unit["RequiresMountsFor"])

    def test_stopping_may_take_as_long_as_the_drain(self):
        (text,) = self.unit["TimeoutStopSec"]
        self.assertGreaterEqual(int(text.removesuffix("s")),
                                int(self.settings["DAYBOOK_DRAIN_MS"]) / 1000 + rules.GRACE_MARGIN_SECONDS)

    def test_only_documented_exit_codes_end_it(self):
        described = manifests.output(manifests.DAYBOOKD, "--help").split("Exit codes:")[1]
        documented = set(re.findall(r"\b\d+\b", described))
        ending = set(" ".join(self.unit["RestartPreventExitStatus"]).split())
        self.assertLessEqual(ending, documented)
        # The disk failed, or another daemon is just leaving the directory: those are what restarts are for.
        self.assertFalse(ending & {"74", "75"})

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not on this machine")
    def test_systemd_understands_it(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / UNIT.name
            text = UNIT.read_text(encoding="utf-8")
            for unit_text, accepted in ((text, True), (text.replace("PrivateTmp", "PrivateTemp"), False)):
                path.write_text(unit_text.replace("/usr/bin/daybookd", str(manifests.DAYBOOKD.resolve())))
                result = subprocess.run(["systemd-analyze", "verify", "--man=no", path], stdin=subprocess.DEVNULL,
                                        capture_output=True, text=True, check=False,
                                        timeout=manifests.PATIENCE_SECONDS)
                complaints = [line for line in result.stderr.splitlines() if UNIT.name in line]
                self.assertEqual(accepted, not complaints, result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
