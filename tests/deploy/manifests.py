"""The deployment as the tests see it: rendered objects, the Containerfile's words, and what the daemon says of itself."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(os.environ["TEST_SRCDIR"]) / "daybook"
TOOLS = pathlib.Path(os.environ["DAYBOOK_TOOLS"])
DEPLOY = ROOT / "deploy"
DAYBOOKD = ROOT / "service" / "daybookd"
DAYBOOK = ROOT / "sdk" / "cli" / "daybook"
KUSTOMIZE = TOOLS / "bin" / "kustomize"
# Everything that a user can apply.
VARIANTS = ("base", "overlays/development", "overlays/production", "overlays/tls", "overlays/mutual-tls")
# Objects of these are cert-manager's own, which Kubernetes' schemas do not know.
CERT_MANAGER = "cert-manager.io/v1"
# Long enough for a machine that does many other things; a test that waits so long has failed.
PATIENCE_SECONDS = 60


def output(*command):
    """What a command prints; its failure is the test's."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                            timeout=PATIENCE_SECONDS)
    if result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}: {result.stderr}")
    return result.stdout


def render(variant):
    """The objects of a kustomization, as `kubectl apply -k` would send them."""
    # Bazel hands out links that lead out of the folder; kustomize rightly follows none of those.
    with tempfile.TemporaryDirectory() as directory:
        copy = pathlib.Path(directory) / "kubernetes"
        shutil.copytree(DEPLOY / "kubernetes", copy)
        text = output(KUSTOMIZE, "build", copy / variant)
    return list(yaml.safe_load_all(text))


def find(objects, kind, name=None):
    """The only object of a kind, or the one of that name."""
    found = [item for item in objects if item["kind"] == kind and name in (None, item["metadata"]["name"])]
    if len(found) != 1:
        raise AssertionError(f"there are {len(found)} objects {kind} {name or ''}")
    return found[0]


def container(objects):
    """The daemon's container in the pod's template."""
    (only,) = find(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    return only


def environment(objects):
    """The container's variables as {name: value}."""
    return {entry["name"]: entry["value"] for entry in container(objects).get("env", [])}


def is_encrypted(objects):
    """Whether the daemon shows a certificate."""
    return "DAYBOOK_TLS_CERTIFICATE" in environment(objects)


def probe_command(probe):
    """The command of a probe as (program and words, {option: value})."""
    command = probe.get("exec", {}).get("command", [])
    options = [word for word in command if word.startswith("--")]
    return ([word for word in command if word not in options],
            dict(option.removeprefix("--").partition("=")[::2] for option in options))


class DaemonFacts:
    """What the built daemon says of itself, so that no test repeats it from memory."""

    def __init__(self):
        self.version = output(DAYBOOKD, "--version").split()[1]
        text = " ".join(output(DAYBOOKD, "--help").split())
        self.defaults = dict(re.findall(r" --([a-z-]+)(?:=\S+)? .*?\(default: (.*?)\)", text))
        self.variables = {"DAYBOOK_" + name.upper().replace("-", "_") for name in self.defaults}


def containerfile():
    """The Containerfile's instructions as [(word, rest)], lines joined, comments gone."""
    text = (DEPLOY / "image" / "Containerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines()]

