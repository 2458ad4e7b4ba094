"""A stranger's project with CMake: find_package and daybook_generate."""

import prefix
from prefix import InstalledTest, environment, run


class CMakeTest(InstalledTest):
    def configure(self, folder, *options, check=True):
        return run("cmake", "-S", folder, "-B", folder / "build", *options, check=check,
                   env={**environment(), "CMAKE_PREFIX_PATH": str(self.prefix)})

    def build(self, name, *options):
        folder = self.project(name, "source", "cmake")
        self.configure(folder, *options)
        run("cmake", "--build", folder / "build", "--parallel", "2")
        return folder / "build"

    def test_the_shared_library(self):
        folder = self.build("shared")
        self.assertIn("libdaybook.so.0", self.needed(folder / "client"))
        self.check_programs(folder)

    def test_the_static_library(self):
        folder = self.build("static", "-DDAYBOOK_USE_STATIC_LIBS=ON")
        self.assertNotIn("libdaybook.so.0", self.needed(folder / "client"))
        self.check_programs(folder)

    def test_a_changed_proto_is_generated_again(self):
        folder = self.project("changed", "source", "cmake")
        self.configure(folder)
        run("cmake", "--build", folder / "build", "--target", "client")
        proto = folder / "protos" / "shop" / "v1" / "orders.proto"
        proto.write_text(proto.read_text(encoding="utf-8").replace("int64 cents", "int64 pennies"), encoding="utf-8")
        broken = run("cmake", "--build", folder / "build", "--target", "client", check=False)
        self.assertNotEqual(0, broken.returncode)
        self.assertIn("shop_v1_Order_set_cents", broken.stdout + broken.stderr)

    def test_what_cannot_be_is_said(self):
        for wrong, says in {
            "PROTOS ../far.proto IMPORT_DIRS protos": "is below none of the IMPORT_DIRS",
            "IMPORT_DIRS protos": "daybook_generate(TARGET name PROTOS",
        }.items():
            folder = self.project(f"wrong {len(wrong)}", "source", "cmake")
            lists = folder / "CMakeLists.txt"
            text = lists.read_text(encoding="utf-8")
            lists.write_text(text.replace("PROTOS protos/shop/v1/orders.proto IMPORT_DIRS protos", wrong),
                             encoding="utf-8")
            failed = self.configure(folder, check=False)
            self.assertNotEqual(0, failed.returncode)
            self.assertIn(says, failed.stderr)

    def test_versions_that_do_not_fit(self):
        for version, fits in {"0.1": True, "0.1.0": True, "0": True, "0.2": False, "1.0": False, "0.0": False,
                              "0.1.99": False, "0.1.0 EXACT": True}.items():
            folder = self.project(f"version {version}", "source", "cmake")
            lists = folder / "CMakeLists.txt"
            text = lists.read_text(encoding="utf-8")
            lists.write_text(text.replace("find_package(daybook 0.1 ", f"find_package(daybook {version} "),
                             encoding="utf-8")
            with self.subTest(version=version):
                self.assertEqual(fits, self.configure(folder, check=False).returncode == 0)


if __name__ == "__main__":
    prefix.main()
