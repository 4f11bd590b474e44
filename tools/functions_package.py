"""Builds the Functions app's deployment package: functions/ with the packages that it imports, and the stack's outputs.

    python tools/functions_package.py --outputs stack.json --to out/functions.zip

`stack.json` is what `pulumi stack output --json` prints; without it the app handles events and does not tick.
The same sources make the same bytes.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP_FILES = ("function_app.py", "host.json", "requirements.txt")
PACKAGES = ("rollout", "contract")
#: Command line and developer tools stay out: the app does not import them.
LEFT_OUT = ("rollout/cli/", "rollout/ops/", "rollout/reports/")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def files() -> Iterator[tuple[str, Path]]:
    """Name in the package, and file."""
    for name in APP_FILES:
        yield name, ROOT / "functions" / name
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            if not name.startswith(LEFT_OUT):
                yield name, file


def build(target: Path, outputs: Path | None = None) -> int:
    """Write the package; how many files it has."""
    chosen = [*files(), *([("stack.json", outputs)] if outputs else [])]
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in chosen:
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", type=Path, help="the stack's outputs, for the timer")
    parser.add_argument("--to", type=Path, default=ROOT / "out" / "functions.zip", help="where the zip goes")
    given = parser.parse_args()
    print(f"{given.to}: {build(given.to, given.outputs)} files")


if __name__ == "__main__":
    main()
