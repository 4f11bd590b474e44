"""The language host: programs, their output and errors, and policy packs, under the real CLI."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.sandbox.engine import Engine, own_environment, write_program

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("language")


@pytest.fixture
def engine(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Engine:
    made = Engine(
        write_program(tmp_path / "project", "", request.node.name.replace("_", "-")[:60]), own_environment(home)
    )
    made.run("stack", "init", "dev")
    return made


def test_a_program_reads_config_and_its_own_modules_and_exports(engine: Engine) -> None:
    (engine.project / "helper.py").write_text("WORD = 'helped'\n")
    engine.program(
        "import pulumi, helper\n"
        "config = pulumi.Config()\n"
        "pulumi.export('all', [helper.WORD, config.require('plain'), pulumi.get_stack(), pulumi.get_organization()])\n"
        "pulumi.export('hidden', config.require_secret('password'))\n",
    )
    engine.run("config", "set", "plain", "seen", "--stack", "dev")
    engine.run("config", "set", "--secret", "password", "pa55", "--stack", "dev")
    said = engine.up()
    assert "pa55" not in said
    assert engine.outputs() == {"all": ["helped", "seen", "dev", "organization"], "hidden": "pa55"}


def test_a_preview_leaves_nothing_behind_for_the_update(engine: Engine) -> None:
    engine.program(
        "import pulumi, sys\n"
        "sys.modules['pulumi'].seen = getattr(pulumi, 'seen', 0) + 1\n"
        "pulumi.export('runs', pulumi.seen)\n",
    )
    engine.run("up", "--yes", "--stack", "dev")
    assert engine.outputs() == {"runs": 1}


def test_what_the_program_prints_reaches_the_user(engine: Engine) -> None:
    engine.program("import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)\n")
    said = engine.run("preview", "--stack", "dev")
    assert "to stdout" in said
    assert "to stderr" in said


def test_an_exception_is_shown_as_pulumi_shows_it(engine: Engine) -> None:
    engine.program("def inner():\n    raise KeyError('which-one')\n\ninner()\n")
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert "error: Program failed with an unhandled exception:" in said
    assert "KeyError: 'which-one'" in said
    assert "line 4, in <module>" in said
    assert not {"runpy", "executor.py"} & set(said.replace('"', "/").split("/")), "only the program's own frames"


def test_a_syntax_error_and_a_missing_module_are_shown(engine: Engine) -> None:
    engine.program("import nowhere\n")
    assert "No module named 'nowhere'" in engine.run("preview", "--stack", "dev", ok=False)
    engine.program("if:\n")
    assert "SyntaxError" in engine.run("preview", "--stack", "dev", ok=False)


def test_a_program_that_reports_its_error_and_exits_is_believed(engine: Engine) -> None:
    engine.program("import pulumi, sys\npulumi.log.error('settings: wrong')\nsys.exit(1)\n")
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert "settings: wrong" in said
    assert "unhandled exception" not in said
    engine.program("import sys\nsys.exit(0)\n")
    engine.run("preview", "--stack", "dev")


def test_a_failing_apply_fails_the_run(engine: Engine) -> None:
    engine.program("import pulumi\npulumi.export('x', pulumi.Output.from_input(1).apply(lambda n: 1 / 0))\n")
    assert "ZeroDivisionError" in engine.run("preview", "--stack", "dev", ok=False)


def test_the_project_s_virtual_environment_is_asked_for_by_name(engine: Engine) -> None:
    settings = engine.project / "Pulumi.yaml"
    options = "runtime:\n  name: python\n  options:\n    virtualenv: no-such-env"
    settings.write_text(settings.read_text().replace("runtime: python", options))
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert "no-such-env" in said


def test_about_tells_the_interpreter_and_the_packages(engine: Engine) -> None:
    said = engine.run("about", "--stack", "dev")
    assert "executable=" in said
    assert "pulumi_azure_native" in said


POLICY = """
from pulumi_policy import EnforcementLevel, PolicyPack, StackValidationPolicy

def check(args, report):
    for each in args.resources:
        if each.resource_type == "test:index:Bad":
            report("no bad components here")

PolicyPack("rules", policies=[StackValidationPolicy(
    name="no-bad", description="Nothing bad.", enforcement_level=EnforcementLevel.MANDATORY, validate=check)])
"""


def test_a_mandatory_policy_stops_the_preview(engine: Engine, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
    (pack / "__main__.py").write_text(POLICY)
    engine.program("import pulumi\npulumi.ComponentResource('test:index:Good', 'good')\n")
    engine.run("preview", "--stack", "dev", "--policy-pack", str(pack))
    engine.program("import pulumi\npulumi.ComponentResource('test:index:Bad', 'bad')\n")
    said = engine.run("preview", "--stack", "dev", "--policy-pack", str(pack), ok=False)
    assert "no bad components here" in said
    assert "mandatory" in said


def test_a_killed_engine_takes_its_plugins_along(engine: Engine) -> None:
    engine.program("import time\nprint('started', flush=True)\ntime.sleep(60)\n")
    child = subprocess.Popen(
        ["pulumi", "preview", "--stack", "dev", "--non-interactive"],
        cwd=engine.project,
        env=engine.environment,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if b"started" in line:
            break
    started = psutil.Process(child.pid).children(recursive=True)
    assert started
    child.kill()
    child.wait()
    deadline = time.monotonic() + 10
    while any(process.is_running() for process in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [process for process in started if process.is_running()]
