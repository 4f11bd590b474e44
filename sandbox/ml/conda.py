"""A conda file read as pip requirements, since the sandbox builds environments with uv."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

#: Packages whose name on PyPI differs from conda's.
_RENAMED = {"pytorch": "torch", "py-xgboost": "xgboost", "tables": "pytables", "lightgbm-cpu": "lightgbm"}
#: Tools of conda itself, or that every environment gets anyway.
_LEFT_OUT = frozenset({"pip", "conda", "anaconda"})
_MATCH = re.compile(r"^(?:[\w.-]+::)?(?P<name>[A-Za-z0-9][\w.-]*)(?P<extras>\[[\w,.-]+\])?\s*(?P<rest>.*)$")


class CondaError(ValueError):
    """The file says something that can't be built here; the message names the line."""


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What an environment holds: pip requirement lines, and the Python that was asked for ('3.11' or None)."""

    requirements: tuple[str, ...] = ()
    python: str | None = None

    def with_requirements(self, *lines: str) -> EnvironmentSpec:
        """The same with more requirements, e.g. the inference server."""
        return EnvironmentSpec(self.requirements + lines, self.python)

    @classmethod
    def from_conda(cls, text: str) -> EnvironmentSpec:
        """Reads conda.yaml; raises CondaError with the line that can't be understood."""
        requirements: list[str] = []
        python = None
        for entry in _dependencies(text):
            if isinstance(entry, dict):
                requirements.extend(_pip_lines(entry))
                continue
            name, extras, version = _split(entry)
            if name == "python":
                python = _minor(version)
            elif name not in _LEFT_OUT:
                requirements.append(f"{_RENAMED.get(name, name)}{extras}{_pip_version(version, entry)}")
        return cls(tuple(requirements), python)

    @classmethod
    def from_requirements(cls, text: str) -> EnvironmentSpec:
        """Reads requirements.txt; comments and blank lines are dropped."""
        lines = (line.split(" #", 1)[0].strip() for line in text.splitlines())
        return cls(tuple(_checked(line) for line in lines if line and not line.startswith("#")))


def _dependencies(text: str) -> list[Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CondaError(f"the conda file is not YAML: {error}") from error
    if isinstance(document, str):
        raise CondaError(f"the conda file is not YAML with 'dependencies': {document[:80]!r}")
    dependencies = (document or {}).get("dependencies", [])
    if not isinstance(dependencies, list):
        raise CondaError("the conda file's 'dependencies' must be a list")
    return dependencies


def _pip_lines(entry: dict[str, Any]) -> list[str]:
    if set(entry) != {"pip"}:
        raise CondaError(f"the conda file's dependencies hold {sorted(entry)}; only 'pip' may be a nested list")
    return [_checked(str(line).strip()) for line in entry["pip"] or []]


def _checked(line: str) -> str:
    if line.startswith(("-r", "-c", "-e", "--requirement", "--constraint", "--editable", ".", "/")):
        raise CondaError(f"requirement {line!r} points to a local file; list the packages themselves")
    return line


def _split(entry: Any) -> tuple[str, str, str]:
    match = _MATCH.match(str(entry).strip())
    if match is None:
        raise CondaError(f"dependency {entry!r} is not 'name', 'name=version' or 'name>=version'")
    return match["name"].lower(), match["extras"] or "", match["rest"].strip()


def _pip_version(version: str, entry: Any) -> str:
    """conda's `=1.2` means 1.2.*, `=1.2=build` drops the build, `==` and ranges mean what they mean to pip."""
    version = version.replace(" ", "") if version[:1] in "=<>!~" else re.sub(r"\s+", "=", version)
    if not version or version == "*":
        return ""
    if version.startswith(("<", ">", "!", "~", "==")):
        return version
    exact = version.lstrip("=").split("=")
    if not exact[0] or len(exact) > 2:
        raise CondaError(f"dependency {entry!r}: the version can't be read")
    if len(exact) == 2:
        return f"=={exact[0]}"
    return f"=={exact[0]}" if exact[0].endswith("*") else f"=={exact[0]}.*"


def _minor(version: str) -> str | None:
    match = re.search(r"3\.\d+", version)
    return match.group() if match else None
