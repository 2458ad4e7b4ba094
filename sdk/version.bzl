"""The version of everything that is released together. The name of the shared library carries it, so it is known here."""

DAYBOOK_VERSION = "0.1.0"
