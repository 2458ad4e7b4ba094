"""Two hosts and a cable between them, which can be pulled: network namespaces of the test's own and a pair of virtual
interfaces. Nothing of it is left when the test's processes have ended. Needs root, or user namespaces for everybody."""

import os
import shutil
import subprocess
import sys

LEFT_ADDRESS, RIGHT_ADDRESS = "198.18.0.1", "198.18.0.2"  # of RFC 2544: for tests, routed by nobody
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_ENTERED = "DAYBOOK_NETWORK_ENTERED"


def _program(name):
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise OSError(f"{name} is not installed")
    return path


def _run(*command):
    done = subprocess.run([_program(command[0]), *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def _unshare_command():
    """As root of a user namespace where the user is not root."""
    return [_program("unshare"), *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net"]


def enter():
    """Starts this program again in a network namespace, which is the left host. Returns why that cannot be, or None: it is
    there."""
    if _ENTERED in os.environ:
        return None
    try:
        command = _unshare_command()
        _run(*command, _program("ip"), "link", "add", "probe", "type", "veth", "peer", "name", "probed")
    except OSError as error:
        return str(error)
    os.environ[_ENTERED] = "1"
    os.execv(command[0], [*command, sys.executable, *sys.argv])


class Link:
    """The cable, and the right host. Use it after `enter`."""

    def __init__(self):
        # A process that does nothing keeps the right host; it ends when its input does.
        self.right = subprocess.Popen([_program("unshare"), "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        self.right.stdout.readline()  # it is in its namespace
        self.on_right = [_program("nsenter"), f"--net=/proc/{self.right.pid}/ns/net"]
        ip = _program("ip")
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "left", "type", "veth", "peer", "name", "right", "netns", str(self.right.pid))
        _run("ip", "address", "add", LEFT_ADDRESS + "/30", "dev", "left")
        _run("ip", "link", "set", "left", "up")
        _run(*self.on_right, ip, "link", "set", "lo", "up")
        _run(*self.on_right, ip, "address", "add", RIGHT_ADDRESS + "/30", "dev", "right")
        _run(*self.on_right, ip, "link", "set", "right", "up")

    def cut(self):
        _run("ip", "link", "set", "left", "down")

    def mend(self):
        _run("ip", "link", "set", "left", "up")

    def close(self):
        self.right.stdin.close()
        self.right.stdout.close()
        self.right.wait()
