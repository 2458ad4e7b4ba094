"""A stranger's Bazel workspace that uses //sdk:defs.bzl of a checkout of this repository.

DAYBOOK_TOOLS is inside of the checkout; Bazel cannot name all of it as inputs.
"""

import os
import pathlib
import shutil

import prefix
from prefix import RUNFILES, InstalledTest, run

CHECKOUT = pathlib.Path(os.environ["DAYBOOK_TOOLS"]).parent


class BazelTest(InstalledTest):
    def test_the_rule_from_another_workspace(self):
        folder = self.project("workspace", "source", "bazel")
        shutil.move(folder / "root.BUILD", folder / "BUILD")
        shutil.move(folder / "protos.BUILD", folder / "protos" / "BUILD")
        (folder / "daybook").symlink_to(CHECKOUT)
        # upb was fetched for the build that this test is part of: the very same is used, and no network.
        upb = (RUNFILES / "upb" / "LICENSE").resolve().parent
        bazel = ["bazel", "--nohome_rc", "--noworkspace_rc", f"--output_user_root={self.directory / 'output'}",
                 "--max_idle_secs=60"]
        self.addCleanup(run, *bazel, "shutdown", cwd=folder)
        run(*bazel, "build", "--jobs=2", "--nosandbox_debug", f"--override_repository=upb={upb}", "//...", cwd=folder,
            timeout=800)
        self.check_programs(folder / "bazel-bin")


if __name__ == "__main__":
    prefix.main()
