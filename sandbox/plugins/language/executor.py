"""Runs one Pulumi program: reads a RunRequest from standard input, ends with the host's exit codes.

A file to run, not to import: it starts with the project's own interpreter, where only
the Pulumi SDK can be counted on.
"""

from __future__ import annotations

import asyncio
import logging
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

BAIL_EXIT_CODE = 32


def main() -> int:
    """0, or 32 when the error was told to the engine."""
    # This file's folder must not shadow the program's modules.
    sys.path.pop(0)
    import grpc
    import pulumi
    from pulumi.runtime import run_in_stack
    from pulumi.runtime.proto import language_pb2

    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read())
    loop = _prepare(request)
    program = Path(request.info.program_directory, request.info.entry_point)
    try:
        loop.run_until_complete(run_in_stack(lambda: _run(program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return BAIL_EXIT_CODE
    except grpc.RpcError as error:
        # UNAVAILABLE: the engine ended the run, after it said why.
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            pulumi.log.error(str(error.details()))
        return BAIL_EXIT_CODE
    except Exception as error:  # noqa: BLE001 - whatever the program or a resource raised is the user's to read
        text = str(error) if isinstance(error, _ProgramError) else traceback.format_exc()
        pulumi.log.error(f"Program failed with an unhandled exception:\n{text}")
        return BAIL_EXIT_CODE
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _prepare(request: Any) -> asyncio.AbstractEventLoop:
    """Set the SDK up for this run, and make the loop that it runs on."""
    from pulumi.runtime import reset_options, set_all_config

    reset_options(
        project=request.project,
        monitor_address=request.monitor_address,
        engine_address=request.args[0] if request.args else "",
        stack=request.stack,
        parallel=request.parallel,
        preview=request.dryRun,
        organization=request.organization or "organization",
        root_directory=request.info.root_directory,
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))
    # A resource that fails rejects many futures; each would be logged as never retrieved.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=max(request.parallel, 1) * 4))
    return loop


class _ProgramError(Exception):
    """Its text is the traceback, from the program's own frames on."""


def _run(program: Path) -> None:
    """Run the program's `__main__.py`, as `python <folder>` does."""
    import grpc
    import pulumi

    folder = program if program.is_dir() else program.parent
    sys.path.insert(0, str(folder))
    sys.argv = [str(program)]
    main_file = folder / "__main__.py" if program.is_dir() else program
    try:
        runpy.run_path(str(main_file), run_name="__main__")
    except (pulumi.RunError, grpc.RpcError):
        raise
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    except Exception as error:
        raise _ProgramError(_own_traceback(error)) from error


def _own_traceback(error: BaseException) -> str:
    """The traceback without the frames of this file and of runpy."""
    own = error.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        own = own.tb_next
    return "".join(traceback.format_exception(type(error), error, own)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
