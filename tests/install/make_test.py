"""A stranger's project of protoc, pkg-config and make, linked in each of the three ways."""

import prefix
from prefix import InstalledTest, environment, run


class MakeTest(InstalledTest):
    def build(self, link):
        folder = self.project(link, "source", "make")
        run("make", "-j2", f"LINK={link}", cwd=folder,
            env={**environment(), "PKG_CONFIG_PATH": str(self.prefix / "lib" / "pkgconfig")})
        return folder

    def test_the_shared_library(self):
        folder = self.build("shared")
        self.assertIn("libdaybook.so.0", self.needed(folder / "client"))
        self.assertNotIn("libgrpc.so.29", self.needed(folder / "client"), "a program that links what it does not use")
        self.check_programs(folder)

    def test_the_archive_with_the_systems_grpc(self):
        folder = self.build("archive")
        self.assertNotIn("libdaybook.so.0", self.needed(folder / "client"))
        self.check_programs(folder)

    def test_everything_in_one_file(self):
        folder = self.build("static")
        self.assertEqual(set(), self.needed(folder / "client"))
        self.check_programs(folder)


if __name__ == "__main__":
    prefix.main()
