"""The Pulumi program: settings -> components -> outputs. No logic here."""

import atexit
import gc
import sys

import pulumi

from components import config, outputs
from components.config_errors import SettingsError
from components.platform import build

#: Objects made between two looks for garbage; Python's own are (700, 10, 10).
GARBAGE_THRESHOLDS = (100_000, 50, 50)


def main() -> None:
    """Declare the stack; wrong settings end it with one message before any resource exists."""
    collect_rarely()
    try:
        settings = config.read()
        platform = build(settings, pulumi.get_project())
    except SettingsError as error:
        pulumi.log.error(str(error))
        sys.exit(1)
    outputs.export(outputs.document(settings, platform, pulumi.get_project()))


def collect_rarely() -> None:
    """What a program makes lives until it ends: each look for garbage among the SDK's classes takes long and finds none."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    atexit.register(gc.freeze)  # or the interpreter would look through all of it again while it ends


main()
