"""The Pulumi program: settings -> components -> outputs. No logic here."""

import sys

import pulumi

from components import config, outputs
from components.config_errors import SettingsError
from components.platform import build


def main() -> None:
    """Declare the stack; wrong settings end it with one message before any resource exists."""
    try:
        settings = config.read()
        platform = build(settings, pulumi.get_project())
    except SettingsError as error:
        pulumi.log.error(str(error))
        sys.exit(1)
    outputs.export(outputs.document(settings, platform, pulumi.get_project()))


main()
