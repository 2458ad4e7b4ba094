"""A library that a test puts before the system's in a program (LD_PRELOAD)."""

def preloaded_library(name, src, **attributes):
    """A shared object that defines some of libc's functions anew and finds those by dlsym.

    Args:
      name: its file, NAME.so.
      src: its source.
      **attributes: of the cc_binary.
    """
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = [src],
        linkopts = ["-ldl"],
        linkshared = True,
        **attributes
    )
