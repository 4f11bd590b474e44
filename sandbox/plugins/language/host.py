"""`pulumi-language-python`: runs programs, policy packs and other plugins for the engine.

Every run is a process of its own, as with Pulumi's own host: a preview leaves nothing
behind for the update that follows it, and a crash takes down only itself.
"""

from __future__ import annotations

import os
import platform
import queue
import subprocess  # nosec B404  # running the user's program is this plugin's purpose
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf.empty_pb2 import Empty

from rollout.errors import BadInput
from sandbox.plugins.protocol import language_pb2, language_pb2_grpc, plugin_pb2
from sandbox.plugins.serving import serve

#: The program said what is wrong; the engine need not add to it.
BAIL_EXIT_CODE = 32
_EXECUTOR = Path(__file__).with_name("executor.py")


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The LanguageRuntime service, as far as the CLI asks of a Python host when it runs a stack."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._children: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: language_pb2.LanguageHandshakeRequest, context: Any) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo()

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        python = _interpreter_or_abort(request.info, context)
        return language_pb2.AboutResponse(executable=python, version=platform.python_version())

    def GetRequiredPackages(self, request: Any, context: Any) -> language_pb2.GetRequiredPackagesResponse:
        # Resources name their provider and version; asking ahead would only make the engine download them.
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: Any) -> language_pb2.GetRequiredPluginsResponse:
        return language_pb2.GetRequiredPluginsResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """What is installed for the program (`pulumi about`)."""
        script = "from importlib.metadata import distributions as d\nfor i in d(): print(i.metadata['Name'], i.version)"
        python = _interpreter_or_abort(request.info, context)
        listing = subprocess.run(
            [python, "-c", script], capture_output=True, text=True, check=True
        ).stdout  # nosec B603
        pairs = sorted({tuple(line.split()) for line in listing.splitlines()})
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in pairs]
        )

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: Any
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        note = b"The program runs with the packages that are installed; `make setup` installs them.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=note)

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run the program once, in preview or for real."""
        if not request.args and self._engine_address:
            request.args.append(self._engine_address)
        try:
            command = [interpreter(request.info), "-u", str(_EXECUTOR)]
        except BadInput as error:
            return language_pb2.RunResponse(error=f"{error.message} ({error.way_out})")
        child = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=request.info.program_directory)  # nosec B603
        with self._tracked(child):
            child.communicate(request.SerializeToString())
        if child.returncode == BAIL_EXIT_CODE:
            return language_pb2.RunResponse(bail=True)
        if child.returncode != 0:
            return language_pb2.RunResponse(error=f"Program exited with non-zero exit code: {child.returncode}")
        return language_pb2.RunResponse()

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a policy pack (or another plugin in Python) and pass on what it prints."""
        program = Path(request.info.program_directory or request.program)
        python = _interpreter_or_abort(request.info, context)
        child = subprocess.Popen(  # nosec B603
            [python, "-u", str(program / "__main__.py"), *request.args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=request.pwd or None,
            env=dict(os.environ, **dict(entry.split("=", 1) for entry in request.env)),
        )
        context.add_callback(child.terminate)
        with self._tracked(child):
            yield from _output(child)
            yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def Cancel(self, request: Empty, context: Any) -> Empty:
        self.stop_children()
        return Empty()

    def stop_children(self) -> None:
        """End what still runs."""
        for child in list(self._children):
            child.terminate()

    def _tracked(self, child: subprocess.Popen[bytes]) -> _Tracked:
        return _Tracked(self._children, child)


class _Tracked:
    """Holds a child in the set while it runs."""

    def __init__(self, children: set[subprocess.Popen[bytes]], child: subprocess.Popen[bytes]) -> None:
        self._children, self._child = children, child

    def __enter__(self) -> None:
        self._children.add(self._child)

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.terminate()
        self._children.discard(self._child)


def interpreter(info: language_pb2.ProgramInfo) -> str:
    """The project's Python: its `virtualenv` option if there is one, or else this one."""
    option = dict(info.options).get("virtualenv")
    if not option:
        return sys.executable
    python = Path(info.root_directory, str(option), "bin", "python")
    if not python.exists():
        raise BadInput(
            f"Pulumi.yaml: runtime.options.virtualenv is {option!r}, and {python} does not exist",
            way_out="run `make setup`, or take the option out",
        )
    return str(python)


def _interpreter_or_abort(info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> str:
    try:
        return interpreter(info)
    except BadInput as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{error.message} ({error.way_out})")
        raise


def _output(child: subprocess.Popen[bytes]) -> Iterator[language_pb2.RunPluginResponse]:
    """The child's output as it comes; ends when both streams do."""
    chunks: queue.Queue[language_pb2.RunPluginResponse | None] = queue.Queue()

    def pump(stream: IO[bytes], field: str) -> None:
        for line in stream:
            response = language_pb2.RunPluginResponse()
            setattr(response, field, line)
            chunks.put(response)
        chunks.put(None)

    for stream, field in ((child.stdout, "stdout"), (child.stderr, "stderr")):
        assert stream is not None  # nosec B101  # both are pipes
        threading.Thread(target=pump, args=(stream, field), daemon=True).start()
    open_streams = 2
    while open_streams:
        chunk = chunks.get()
        if chunk is None:
            open_streams -= 1
        else:
            yield chunk


def main() -> None:
    """Entry point: the last argument is the engine's address."""
    engine_address = sys.argv[-1] if len(sys.argv) > 1 and not sys.argv[-1].startswith("-") else ""
    host = LanguageHost(engine_address)
    serve(
        lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server),
        on_stop=host.stop_children,
    )


if __name__ == "__main__":
    main()
