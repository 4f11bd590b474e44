"""Environments are built from conda files as people write them, once, and say clearly why one could not be built."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from sandbox.ml.conda import CondaError, EnvironmentSpec
from sandbox.ml.envs import EnvironmentBuilder, EnvironmentFailed, build_environment, choose_interpreter, digest


@pytest.mark.parametrize(
    ("conda", "pip"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("numpy>=1.26,<2", "numpy>=1.26,<2"),
        ("numpy >=1.26, <2", "numpy>=1.26,<2"),
        ("numpy 1.26.4", "numpy==1.26.4.*"),
        ("conda-forge::numpy=1.26", "numpy==1.26.*"),
        ("pytorch=2.4", "torch==2.4.*"),
        ("dask[dataframe]", "dask[dataframe]"),
    ],
)
def test_a_conda_dependency_means_the_same_to_pip(conda: str, pip: str) -> None:
    assert EnvironmentSpec.from_conda(f"dependencies:\n- {conda!r}\n").requirements == (pip,)


def test_python_and_pip_are_not_packages_and_pips_own_list_is_taken_as_it_is() -> None:
    text = "name: any\nchannels: [conda-forge]\ndependencies:\n- python=3.11.9\n- pip<=24\n- pip:\n  - mlflow==3.17.2\n"
    assert EnvironmentSpec.from_conda(text) == EnvironmentSpec(("mlflow==3.17.2",), "3.11")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dependencies: [", "not YAML"),
        ("just words", "not YAML with 'dependencies'"),
        ("dependencies: numpy", "must be a list"),
        ("dependencies:\n- npm: [left-pad]\n", "only 'pip'"),
        ("dependencies:\n- pip:\n  - -r requirements.txt\n", "points to a local file"),
        ("dependencies:\n- numpy=\n", "can't be read"),
    ],
)
def test_what_cannot_be_understood_is_named(text: str, words: str) -> None:
    with pytest.raises(CondaError, match=words):
        EnvironmentSpec.from_conda(text)


def test_comments_of_a_requirements_file_are_dropped() -> None:
    spec = EnvironmentSpec.from_requirements("# first\nsix==1.17.0  # why\n\n")
    assert spec.requirements == ("six==1.17.0",)


def test_another_python_than_the_one_that_is_there_is_not_downloaded_but_said() -> None:
    _, remark = choose_interpreter("3.4")
    assert "3.4 was asked for" in remark


def test_the_sandboxs_own_proxy_and_ca_do_not_lead_the_build_astray(tmp_path: Path) -> None:
    shell = {
        "HTTPS_PROXY": "http://127.0.0.1:4040", "https_proxy": "http://proxy.corp:3128", "NO_PROXY": "127.0.0.1",
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"), "AWS_SECRET_ACCESS_KEY": "x", "UV_INDEX_URL": "https://mirror",
    }  # fmt: skip
    seen = build_environment(shell, tmp_path)
    assert seen["https_proxy"] == "http://proxy.corp:3128"
    assert seen["UV_INDEX_URL"] == "https://mirror"
    assert not {"HTTPS_PROXY", "SSL_CERT_FILE", "AWS_SECRET_ACCESS_KEY"} & seen.keys()


def fake_uv(folder: Path, body: str) -> str:
    script = folder / "uv"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return str(script)


def test_many_who_want_the_same_environment_wait_for_one_build(tmp_path: Path) -> None:
    # Two builders, as in two processes; each build leaves a line.
    uv = fake_uv(
        tmp_path,
        f'[ "$1" = venv ] && echo built >> {tmp_path}/builds; sleep 0.2; for last; do :; done; mkdir -p "$5/bin"',
    )
    builders = [EnvironmentBuilder(tmp_path, uv), EnvironmentBuilder(tmp_path, uv)]
    spec = EnvironmentSpec(())

    async def all_at_once() -> list[Path]:
        return await asyncio.gather(*(builder.build(spec) for builder in builders * 3))

    assert set(asyncio.run(all_at_once())) == {tmp_path / "envs" / digest(spec) / "bin" / "python"}
    assert (tmp_path / "builds").read_text().split() == ["built"]


def test_a_full_disk_is_called_so_and_leaves_nothing_half_built(tmp_path: Path) -> None:
    uv = fake_uv(
        tmp_path, f"mkdir -p {tmp_path}/envs/half; echo 'failed to copy: No space left on device (os error 28)'; exit 2"
    )
    builder, spec = EnvironmentBuilder(tmp_path, uv), EnvironmentSpec(("six",))
    with pytest.raises(EnvironmentFailed, match=r"the disk is full \(\d+ MiB free\)"):
        asyncio.run(builder.build(spec))
    assert builder.ready(spec) is None
    assert not (tmp_path / "envs" / digest(spec)).exists()


def test_a_build_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    spec = EnvironmentSpec(("six==1.17.0",))
    (tmp_path / "envs" / digest(spec) / "bin").mkdir(parents=True)
    (tmp_path / "envs" / digest(spec) / "bin" / "python").write_text("half")
    python = asyncio.run(EnvironmentBuilder(tmp_path).build(spec))
    assert (python.parent.parent / "lib").exists()
    assert "six==1.17.0" in EnvironmentBuilder(tmp_path).log_file(spec).read_text()
