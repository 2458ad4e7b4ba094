"""A control group of the test's own whose memory can be limited: what is in it is killed by the kernel when it wants more."""

import atexit
import errno
import os
import pathlib

UNLIMITED = {1: "-1", 2: "max"}


def _mount_find():
    """(version, where the controller of memory is mounted), or None."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for _, path, kind, options, *_ in map(str.split, mounts):
            if kind == "cgroup" and "memory" in options.split(","):
                return 1, pathlib.Path(path)
            controllers = pathlib.Path(path, "cgroup.subtree_control")
            if kind == "cgroup2" and controllers.exists() and "memory" in controllers.read_text(encoding="utf-8").split():
                return 2, pathlib.Path(path)
    return None


class MemoryGroup:
    """Make it first; remove it when nothing runs in it."""

    def __init__(self):
        self.version, self.path = 0, None

    def make(self):
        """Returns why it cannot be, or None."""
        found = _mount_find()
        if found is None:
            return "no control groups of memory"
        self.version, root = found
        path = root / f"daybook-torture-{os.getpid()}"
        try:
            path.mkdir()
        except OSError as error:
            return f"no control group of its own: {error.strerror}"
        self.path = path
        atexit.register(self.remove)
        try:
            self.limit(None)
        except OSError as error:
            self.remove()
            return f"its memory cannot be limited: {error.strerror}"
        return None

    def remove(self):
        """May be called again."""
        path, self.path = self.path, None
        if path is not None:
            path.rmdir()

    @property
    def start_command(self):
        """What starts a program in the group."""
        return ["sh", "-c", f'echo $$ >"{self.path}/cgroup.procs" && exec "$@"', "sh"]

    def limit(self, limit_bytes):
        """None: no limit. False: more than that is in use and cannot be given up."""
        file = self.path / ("memory.limit_in_bytes" if self.version == 1 else "memory.max")
        try:
            file.write_text(UNLIMITED[self.version] if limit_bytes is None else str(limit_bytes), encoding="ascii")
        except OSError as error:
            if limit_bytes is None or error.errno != errno.EBUSY:
                raise
            return False
        return True

    def _number(self, file, name):
        for line in (self.path / file).read_text(encoding="ascii").splitlines():
            if line.split()[0] == name:
                return int(line.split()[1])
        return 0

    def used_bytes(self):
        """Memory that is no copy of a file."""
        return self._number("memory.stat", "rss" if self.version == 1 else "anon")

    def kills_count(self):
        return self._number("memory.oom_control" if self.version == 1 else "memory.events", "oom_kill")
