"""A test in Python, run with the interpreter of the test tools."""

def python_test(name, program = None, args = [], data = [], **attributes):
    """A test that is a Python program of its package.

    Args:
      name: of the test.
      program: its file; name + ".py" when it is not given.
      args: for the program.
      data: what it needs beside itself.
      **attributes: of the sh_test.
    """
    program = program or name + ".py"
    native.sh_test(
        name = name,
        srcs = ["//tests/support:python.sh"],
        args = ["%s/%s" % (native.package_name(), program)] + args,
        data = [program] + [file for file in data if file != program],
        **attributes
    )
