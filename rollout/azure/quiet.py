"""Keeps SDKs from printing: azure-ai-ml writes dots to stdout while it polls, which is where JSON lines go."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """Nothing of what SDKs print or log inside is seen, unless debugging."""
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        yield
        return
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
