"""The Pulumi program: settings -> components -> outputs. No logic here."""

import gc
import sys

import pulumi

from components import config, outputs
from components.config_errors import SettingsError
from components.platform import build

#: What a program makes lives until it ends. With Python's own thresholds a quarter of its time goes into looking for garbage
#: among the SDK's classes, where there is none.
GARBAGE_THRESHOLDS = (100_000, 50, 50)


def main() -> None:
    """Declare the stack; wrong settings end it with one message before any resource exists."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        settings = config.read()
    except SettingsError as error:
        pulumi.log.error(str(error))
        sys.exit(1)
    platform = build(settings, pulumi.get_project())
    outputs.export(outputs.document(settings, platform, pulumi.get_project()))


main()
