"""Executables that the engine finds on PATH: the plugins, and `pulumi` itself."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from rollout.ops.pulumi_cli import PulumiCli, find_pulumi
from sandbox.plugins.__main__ import MODULES

_STARTER = Path(__file__).with_name("__main__.py")


def install_shims(bin_dir: Path) -> list[Path]:
    """Write the plugins' executables into `bin_dir`, and a link to the Pulumi CLI if one is found; the paths written."""
    bin_dir.mkdir(parents=True, exist_ok=True)
    written = [_write_script(bin_dir / f"pulumi-{plugin}", plugin) for plugin in MODULES]
    cli = find_pulumi()
    if cli is not None:
        written.append(_link(bin_dir / "pulumi", cli))
    return written


def _write_script(path: Path, plugin: str) -> Path:
    """A script that becomes this interpreter with the plugin, wherever it is started."""
    command = shlex.join([sys.executable, "-P", str(_STARTER), plugin])
    temporary = _beside(path)
    temporary.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    temporary.chmod(0o755)
    temporary.replace(path)  # whole at any moment: an engine may be starting it
    return path


def _link(link: Path, cli: PulumiCli) -> Path:
    """The CLI beside its plugins. A hard link where possible: a language host beside the binary needs no warning."""
    temporary = _beside(link)
    temporary.unlink(missing_ok=True)
    try:
        if cli.source == "PATH":  # may be a wrapper that looks for what lies around it
            raise OSError("not ours to link")
        os.link(cli.path.resolve(), temporary)
    except OSError:
        temporary.symlink_to(cli.path)
    temporary.replace(link)
    return link


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
