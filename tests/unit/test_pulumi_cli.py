"""The Pulumi CLI: which one is taken, and how one is got when there is none."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from rollout.errors import Unavailable
from rollout.ops import pulumi_cli, pulumi_cli_build, pulumi_cli_installer
from rollout.ops.pulumi_cli import VERSION, ensure_pulumi, find_pulumi


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_pulumi(path: Path, version: str) -> Path:
    return script(path, f"echo v{version}")


#: Stands for Go: lists two packages, "compiles" them, and writes a CLI to the path after -o.
FAKE_GO = f"""
case "$1" in
list) echo one; echo two;;
build)
  while [ "$1" != "-o" ]; do shift; done
  echo github.com/one >&2; sleep "${{GO_SECONDS:-0}}"; echo github.com/two >&2
  if [ -n "$GO_SAYS" ]; then echo "$GO_SAYS" >&2; echo half > "$2"; exit 1; fi
  printf '#!/bin/sh\\necho v{VERSION}\\n' > "$2"; chmod +x "$2";;
esac
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing: an empty PATH but for the shell, an empty cache, no internet, space enough."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(pulumi_cli_installer, "install", lambda *_: False)
    monkeypatch.setattr(pulumi_cli_build, "NEEDED_BYTES", 1)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sleep", "chmod"):
        (tools / name).symlink_to(next(p for p in (Path("/bin", name), Path("/usr/bin", name)) if p.exists()))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{tools}")
    return tmp_path / "cache" / "azureml-rollouts" / "bin"


@pytest.fixture
def go(cache: Path, tmp_path: Path) -> Path:
    return script(tmp_path / "path" / "go", FAKE_GO)


def test_a_new_enough_cli_on_path_wins_over_the_cache(cache: Path, tmp_path: Path) -> None:
    fake_pulumi(tmp_path / "path" / "pulumi", "3.260.1")
    fake_pulumi(cache / "pulumi-3.250.0", "3.250.0")
    found = find_pulumi()
    assert found is not None
    assert (found.source, found.version) == ("PATH", "3.260.1")


def test_an_old_cli_on_path_is_passed_over(cache: Path, tmp_path: Path) -> None:
    fake_pulumi(tmp_path / "path" / "pulumi", "3.249.9")
    fake_pulumi(cache / "pulumi-3.250.0", "3.250.0")
    found = find_pulumi()
    assert found is not None
    assert found.source == "cache"


def test_the_newest_of_the_cache_that_runs_is_taken(cache: Path) -> None:
    fake_pulumi(cache / "pulumi-3.250.0", "3.250.0")
    fake_pulumi(cache / "pulumi-3.1000.0", "3.1000.0")
    script(cache / "pulumi-3.2000.0", "exit 1")
    found = find_pulumi()
    assert found is not None
    assert found.version == "3.1000.0"


def test_a_broken_or_silent_cli_is_no_cli(cache: Path, tmp_path: Path) -> None:
    script(tmp_path / "path" / "pulumi", "exit 0")
    (cache / "pulumi-3.250.0").parent.mkdir(parents=True)
    (cache / "pulumi-3.250.0").write_bytes(b"not a program")
    assert find_pulumi() is None


def test_the_installer_comes_before_the_compiler(cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli_installer, "install", lambda target, version, _: bool(fake_pulumi(target, version)))
    assert ensure_pulumi(lambda _: None).source == "installer"


def test_it_is_built_with_go_where_nothing_else_works(cache: Path, go: Path) -> None:
    heard: list[str] = []
    cli = ensure_pulumi(heard.append)
    assert (cli.source, cli.version, cli.path) == ("build", VERSION, cache / f"pulumi-{VERSION}")
    assert any("about 6 minutes" in line for line in heard)
    assert ensure_pulumi(heard.append).source == "cache", "the next call has nothing to build"


def test_progress_is_told_while_go_compiles(cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli_build, "_PROGRESS_SECONDS", 0.0)
    heard: list[str] = []
    ensure_pulumi(heard.append)
    assert any("compiled 2 of at most 2 packages" in line for line in heard)


def test_a_full_disk_leaves_nothing_half_made(cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_SAYS", "write /tmp/x: no space left on device")
    with pytest.raises(Unavailable, match="the disk is full") as error:
        ensure_pulumi(lambda _: None)
    assert "GOCACHE" in error.value.way_out
    assert [path.name for path in cache.iterdir() if not path.name.endswith(".lock")] == []


def test_too_little_space_is_said_before_the_build(cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli_build, "NEEDED_BYTES", 10**18)
    with pytest.raises(Unavailable, match="GiB free"):
        ensure_pulumi(lambda _: None)


def test_what_go_said_is_passed_on(cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_SAYS", "checksum mismatch")
    with pytest.raises(Unavailable, match="checksum mismatch") as error:
        ensure_pulumi(lambda _: None)
    assert "github.com/one" not in error.value.message, "progress is not part of the error"


def test_without_go_the_way_out_is_named(cache: Path) -> None:
    with pytest.raises(Unavailable) as error:
        ensure_pulumi(lambda _: None)
    assert "install the Pulumi CLI" in error.value.way_out


def test_two_at_once_build_it_once(cache: Path, go: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_SECONDS", "0.5")
    sources: list[str] = []
    heard: list[str] = []

    def get() -> None:
        sources.append(ensure_pulumi(heard.append).source)

    threads = [threading.Thread(target=get) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(sources) == ["build", "cache"]
    assert any("waiting for it" in line for line in heard)


def test_a_cache_that_cannot_be_written_is_said(
    cache: Path, go: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="cannot make the cache folder") as error:
        ensure_pulumi(lambda _: None)
    assert "XDG_CACHE_HOME" in error.value.way_out


def test_an_installer_that_hangs_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_cli_installer, "INSTALL_SECONDS", 0.5)
    monkeypatch.setattr(pulumi_cli_installer, "_SCRIPT", "import subprocess; subprocess.run(['sleep', '60'])")
    heard: list[str] = []
    started = time.monotonic()
    assert not pulumi_cli_installer.install(tmp_path / "bin" / "pulumi-3.250.0", VERSION, heard.append)
    assert time.monotonic() - started < 10
    assert "not within reach" in heard[-1]


def test_an_installer_that_fails_does_not_speak_to_the_user(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_cli_installer, "_SCRIPT", "print('noise'); raise OSError('no route')")
    assert not pulumi_cli_installer.install(tmp_path / "bin" / "pulumi-3.250.0", VERSION, lambda _: None)
    assert capfd.readouterr() == ("", "")


def test_what_the_installer_installed_is_linked_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = (
        "import pathlib, sys\np = pathlib.Path(sys.argv[1], 'bin', 'pulumi'); p.parent.mkdir(parents=True)\n"
        "p.write_text('#!/bin/sh\\necho v' + sys.argv[2]); p.chmod(0o755)"
    )
    monkeypatch.setattr(pulumi_cli_installer, "_SCRIPT", make)
    target = tmp_path / "bin" / f"pulumi-{VERSION}"
    target.parent.mkdir()
    assert pulumi_cli_installer.install(target, VERSION, lambda _: None)
    assert pulumi_cli.version_of(target) == VERSION


def test_the_module_prints_the_path_alone(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fake_pulumi(tmp_path / "path" / "pulumi", "3.251.0")
    assert pulumi_cli.main() == 0
    assert capsys.readouterr().out == f"{path.resolve()}\n"


def test_the_module_ends_with_the_error_s_code(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pulumi_cli.main() == Unavailable.exit_code
    assert "way out:" in capsys.readouterr().err
