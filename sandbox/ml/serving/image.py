"""A Docker build context, read as what a process needs. Nothing is built and nothing is isolated.

What of a Dockerfile can be done without Docker is done: its requirements are installed with uv, its variables are set, and its entry
command runs beside its copied files. Everything else is refused by its line. An image that serves here takes its port and address
from PORT and HOST: containers share a port number, processes of one machine can't.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sandbox.kernel.errors import AzureError
from sandbox.ml.conda import EnvironmentSpec

PORT, HOST = "PORT", "HOST"
SCORE = "/score"
_PYTHON = re.compile(r"(?:docker\.io/(?:library/)?)?python:(3\.\d+)\S*")
_INSTALL = re.compile(r"(?:python3? -m )?pip3? install\b.*?\s-r\s+(?P<file>\S+)\s*")
#: Without effect on a process: who it runs as, what is open, and how Docker itself would watch it.
_SKIPPED = frozenset({"USER", "EXPOSE", "HEALTHCHECK", "LABEL", "WORKDIR"})
_USERS = re.compile(r"(?:useradd|adduser|groupadd|addgroup) [^;&|]*")


@dataclass(frozen=True, slots=True)
class Image:
    """`command`: its entry, `python` first or a program that its requirements install."""

    environment: EnvironmentSpec
    variables: dict[str, str]
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Routes:
    """Of `inferenceConfig`: what is asked for liveness and readiness."""

    live: str = "/"
    ready: str = "/"

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Routes:
        """400 for a missing route; 501 for a scoring route that the gateway does not know."""
        paths = {}
        for name in ("livenessRoute", "readinessRoute", "scoringRoute"):
            route = config.get(name) or {}
            if not route.get("path") or not route.get("port"):
                raise AzureError(400, "BadArgument", f"The environment's inferenceConfig.{name} needs port and path.")
            paths[name] = str(route["path"])
        if paths["scoringRoute"] != SCORE:
            raise _not_imitated(f"a scoring route other than {SCORE}: {paths['scoringRoute']}")
        return cls(paths["livenessRoute"], paths["readinessRoute"])


def read_image(context: Path, dockerfile: str) -> Image:
    """AzureError names the line that can't be done here."""
    file = context / dockerfile
    if not file.is_file():
        raise AzureError(400, "ImageBuildFailure", f"The build context has no '{dockerfile}'.")
    reader = _Reader(context)
    for name, rest in _instructions(file.read_text("utf-8")):
        reader.read(name, rest)
    if PORT not in reader.variables:
        raise _not_imitated(f"an image that does not take its port from ENV {PORT}")
    command = reader.entry.get("ENTRYPOINT", ()) + reader.entry.get("CMD", ())
    if not command:
        raise AzureError(400, "BadArgument", "The Dockerfile has neither ENTRYPOINT nor CMD.")
    return Image(EnvironmentSpec(tuple(reader.requirements), reader.python), reader.variables, command)


class _Reader:
    """Takes a Dockerfile's instructions, one by one."""

    def __init__(self, context: Path) -> None:
        self._context = context
        self._arguments: dict[str, str] = {}
        self.python: str | None = None
        self.variables: dict[str, str] = {}
        self.requirements: list[str] = []
        self.entry: dict[str, tuple[str, ...]] = {}

    def read(self, name: str, rest: str) -> None:
        line = f"{name} {rest}"
        if name == "ARG":
            key, _, value = rest.partition("=")
            self._arguments[key] = value
        elif name == "FROM":
            self.python = _base(rest, self._arguments)
        elif name == "ENV":
            self.variables |= dict(pair.split("=", 1) for pair in rest.split() if "=" in pair)
        elif name == "COPY":
            _check_copy(line, rest.split())
        elif name == "RUN":
            self.requirements += _run(line, rest, self._context)
        elif name in ("ENTRYPOINT", "CMD"):
            self.entry[name] = _exec_form(line, rest)
        elif name not in _SKIPPED:
            raise _not_imitated(f"the Dockerfile's line '{line}'")


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and rest of each, with continued lines joined and comments left out."""
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    for line in joined.splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def _base(image: str, arguments: Mapping[str, str]) -> str:
    for key, value in arguments.items():
        image = image.replace(f"${{{key}}}", value)
    match = _PYTHON.fullmatch(image)
    if match is None:
        raise _not_imitated(f"images that are not made FROM python:3.x: '{image}'")
    return match[1]


def _check_copy(line: str, words: list[str]) -> None:
    """The process runs in the context itself, so a file has to keep its place."""
    *sources, target = [PurePosixPath(word) for word in words]
    keeps = all(target in (PurePosixPath("."), source) for source in sources)
    if any(word.startswith("--") for word in words) or not keeps:
        raise _not_imitated(f"a COPY to another place: '{line}'")


def _run(line: str, command: str, context: Path) -> list[str]:
    if _USERS.fullmatch(command):
        return []
    match = _INSTALL.fullmatch(command)
    if match is None or not (context / match["file"]).is_file():
        raise _not_imitated(f"other than 'pip install -r FILE': '{line}'")
    text = re.sub(r"\\\n\s*", " ", (context / match["file"]).read_text("utf-8"))
    lines = (each.split(" #", 1)[0].strip() for each in text.splitlines())
    return [" ".join(each.split()) for each in lines if each and not each.startswith("#")]


def _exec_form(line: str, rest: str) -> tuple[str, ...]:
    try:
        found = json.loads(rest)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise _not_imitated(f"a command that is no JSON list: '{line}'")
    return tuple(found)


def _not_imitated(what: str) -> AzureError:
    return AzureError(501, "NotImitatedBySandbox", f"The sandbox has no Docker and does not imitate {what}.")
