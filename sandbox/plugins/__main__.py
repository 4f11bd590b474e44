"""Starts the plugin that the first argument names; the rest is for the plugin."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

MODULES = {
    "language-python": "sandbox.plugins.language.host",
    "resource-azure-native": "sandbox.plugins.azure_native.provider",
    "resource-azuread": "sandbox.plugins.azuread.provider",
}


def main() -> None:
    # Not through PYTHONPATH: the programs that the language host starts would inherit it.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    plugin = sys.argv.pop(1)
    importlib.import_module(MODULES[plugin]).main()


if __name__ == "__main__":
    main()
