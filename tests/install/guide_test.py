"""The guide of the SDK, done as its reader does it, with nothing but an installation.

Of each chapter (sdk/guide/N-*.md), in a folder of its own:
  - a block of code whose first line is a comment with a file's name is that file (the Makefile is one);
    any other block of C must be a part of one of the files; those of earlier chapters are there, too;
  - the lines `$ command` of a `console` block are run one after the other by one shell, and must print what is below them;
  - `sh` blocks are for the reader alone.
127.0.0.1:50051 is a daybookd on an empty directory; other ports of this form are made free ones.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess

import prefix
from prefix import ROOT, InstalledTest, environment, run

GUIDE = ROOT / "sdk" / "guide"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"(?:/\*|//|#) ([\w.-]+)")
MARK = "\x01"


def blocks(chapter):
    return BLOCK.findall((GUIDE / chapter).read_text(encoding="utf-8"))


def files_of(chapter):
    """The files of a chapter, by name, and the blocks of C that are none."""
    files, parts = {}, []
    for kind, text in blocks(chapter):
        if kind not in ("c", "proto", "make"):
            continue
        named = FILE_NAME.match(text)
        if named and (kind != "c" or named[1].endswith((".c", ".h"))):
            files[named[1]] = text
        else:
            parts.append(text)
    return files, parts


def commands_of(text):
    """A console block as (command, what it prints)."""
    result = []
    for line in text.splitlines():
        if line.startswith("$ "):
            result.append([line[2:], ""])
        elif result and result[-1][0].endswith("\\") and line.startswith("> "):
            result[-1][0] += "\n" + line[2:]
        else:
            result[-1][1] += line + "\n"
    return result


def shell(script, folder, env):
    """Runs a script and gives back what it says; nothing that it has begun outlives it."""
    process = subprocess.Popen(["bash", "-c", script], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        return process.communicate(timeout=prefix.PATIENCE_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class GuideTest(InstalledTest):
    def chapter(self, name):
        folder = self.directory / name.removesuffix(".md")
        folder.mkdir()
        files, parts = files_of(name)
        for earlier in sorted(GUIDE.glob("[0-9]*.md")):
            if earlier.name < name:
                files = {**files_of(earlier.name)[0], **files}
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        for part in parts:
            self.assertTrue(any(part in text for text in files.values()), f"is in no file of {name}:\n{part}")

        commands = [pair for kind, text in blocks(name) if kind == "console" for pair in commands_of(text)]
        text = "\n".join(command for command, _ in commands)
        addresses = {"127.0.0.1:50051": self.daemon().address}
        for address in re.findall(r"127\.0\.0\.1:\d+", text):
            addresses.setdefault(address, f"127.0.0.1:{free_port()}")

        def replace(text):
            return re.sub(r"127\.0\.0\.1:\d+", lambda found: addresses[found[0]], text)

        script = "".join(f"printf '{MARK}'\n{replace(command)}\n" for command, _ in commands)
        env = environment(self.prefix)
        env["PATH"] = f"{self.prefix / 'bin'}:{env['PATH']}"
        said = shell(f"exec 2>&1\n{script}", folder, env)
        printed = said.split(MARK)[1:]
        self.assertEqual(len(commands), len(printed), said)
        for (command, expected), output in zip(commands, printed):
            self.assertEqual(replace(expected), output, f"{name}: $ {command}")
        return folder

    def test_every_chapter_is_in_the_contents_and_leads_to_the_next(self):
        chapters = sorted(path.name for path in GUIDE.glob("[0-9]*.md"))
        self.assertEqual(chapters, re.findall(r"^\d\. \[.*\]\((.*)\)$", (GUIDE / "README.md").read_text(encoding="utf-8"),
                                              re.MULTILINE))
        for name, following in zip(chapters, chapters[1:]):
            self.assertRegex((GUIDE / name).read_text(encoding="utf-8"), rf"\n\[Next: .*\]\({re.escape(following)}\)\n$")

    def test_programs_are_formatted(self):
        style = (ROOT / ".clang-format").resolve()
        for chapter in sorted(GUIDE.glob("[0-9]*.md")):
            for name, text in files_of(chapter.name)[0].items():
                if name.endswith((".c", ".h")):
                    file = pathlib.Path(self.directory / name)
                    file.write_text(text, encoding="utf-8")
                    run("clang-format", f"--style=file:{style}", "--dry-run", "-Werror", file)


def add_tests():
    for path in GUIDE.glob("[0-9]*.md"):
        name = re.sub(r"\W", "_", path.stem)

        def test(self, chapter=path.name):
            self.chapter(chapter)

        setattr(GuideTest, f"test_{name}", test)


add_tests()

if __name__ == "__main__":
    prefix.main()
