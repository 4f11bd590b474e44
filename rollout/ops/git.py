"""Which commit this is; for tags, never for decisions."""

from __future__ import annotations

import shutil
import subprocess  # nosec B404  # runs git
from pathlib import Path


def commit(folder: Path | None = None) -> str:
    """The short hash of the checked-out commit, with `+` when files differ from it; empty outside a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    here = folder or Path.cwd()
    found = _said(git, here, "rev-parse", "--short=12", "HEAD")
    return found + ("+" if found and _said(git, here, "status", "--porcelain", "--untracked-files=no") else "")


def _said(git: str, folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # nosec B603
            [git, "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
