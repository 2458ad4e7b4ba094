"""File systems of a test's own, in a mount namespace of its own: nothing of them is left when the process ends. Needs root."""

import ctypes
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
# _IOR('X', 125, __u32): the file system stops at once; without the flush of its log it is what a power cut leaves.
EXT4_IOC_SHUTDOWN = 0x8004587D
EXT4_GOING_FLAGS_NOLOGFLUSH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def namespace_enter():
    """Before any thread is started. Returns why it cannot be, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if _libc.unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    if _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return f"no private mounts: {os.strerror(ctypes.get_errno())}"
    return None


def _run(*command):
    """Returns why it failed, or None."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        return f"{command[0]} is not installed"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": path})
    return None if done.returncode == 0 else f"{command[0]}: {done.stderr.strip()}"


def tmpfs_mount(path, size_bytes):
    """Returns why it cannot be, or None."""
    pathlib.Path(path).mkdir()
    return _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", path)


def unmount(path):
    """Returns why it cannot be, or None."""
    return _run("umount", path)


class Ext4:
    """An ext4 in a file, mounted by a loop device, whose power can be cut."""

    def __init__(self, directory, size_bytes):
        self.image = os.path.join(directory, "disk")
        self.path = os.path.join(directory, "mounted")
        self.size_bytes = size_bytes

    def make(self):
        """Returns why it cannot be, or None."""
        pathlib.Path(self.path).mkdir()
        with open(self.image, "wb") as image:
            image.truncate(self.size_bytes)
        return _run("mkfs.ext4", "-q", "-F", self.image) or self.mount()

    def mount(self):
        return _run("mount", "-o", "loop", self.image, self.path)

    def power_cut(self):
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_FLAGS_NOLOGFLUSH))
        finally:
            os.close(descriptor)

    def unmount(self):
        return unmount(self.path)
