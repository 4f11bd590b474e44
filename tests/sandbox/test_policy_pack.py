"""The policy pack under the real engine: the stacks of this repository pass; a broken one is stopped in prod only."""

from __future__ import annotations

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import ROOT, Engine, copy_project

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]
PACK = ("--policy-pack", str(ROOT / "policy"))


@pytest.fixture(scope="module")
def engine(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(copy_project(tmp_path_factory.mktemp("policy") / "project"), sandbox.env)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stacks_of_this_repository_pass(engine: Engine, stack: str) -> None:
    said = engine.run("preview", "--stack", stack, *PACK)
    assert "azureml-rollouts@v1" in said
    assert "[mandatory]" not in said


def test_what_warns_in_dev_stops_prod(engine: Engine) -> None:
    source = engine.project / "components" / "workspace" / "storage.py"
    right = source.read_text()
    source.write_text(right.replace('"TLS1_2"', '"TLS1_0"'))
    exported = engine.project / "components" / "outputs.py"
    plain = exported.read_text()
    exported.write_text(plain + '\n\npulumi.export("broker_password", "hunter2")\n')
    try:
        dev = engine.run("preview", "--stack", "dev", *PACK)
        prod = engine.run("preview", "--stack", "prod", *PACK, ok=False)
    finally:
        source.write_text(right)
        exported.write_text(plain)
    assert "[advisory]  tls-1-2-advice" in dev
    assert "[advisory]  no-plain-secrets-advice" in dev
    assert "[mandatory]" not in dev
    assert "[mandatory]  tls-1-2 " in prod
    assert "minimumTlsVersion is 'TLS1_0'; 1.2 or newer is allowed" in prod


def test_a_secret_output_is_let_through(engine: Engine) -> None:
    exported = engine.project / "components" / "outputs.py"
    plain = exported.read_text()
    exported.write_text(plain + '\n\npulumi.export("broker_password", pulumi.Output.secret("hunter2"))\n')
    try:
        said = engine.run("preview", "--stack", "dev", *PACK)
    finally:
        exported.write_text(plain)
    assert "no-plain-secrets" not in said


def test_prod_without_budget_and_with_one_machine_is_stopped(engine: Engine) -> None:
    """Also where the settings' own checks are gone: the pack is the second lock."""
    strict, file = engine.project / "components" / "strict.py", engine.project / "Pulumi.prod.yaml"
    checks, text = strict.read_text(), file.read_text()
    strict.write_text(checks.replace('if settings.environment == "prod":', "if False:"))
    file.write_text(
        text.replace("instanceCount: 2", "instanceCount: 1").replace("budget: {", "budget: {enabled: false, ")
    )
    try:
        said = engine.run("preview", "--stack", "prod", *PACK, ok=False)
    finally:
        strict.write_text(checks)
        file.write_text(text)
    assert "endpoint churn: 1 instance; set `endpoints.churn.instanceCount` to 2 or more" in said
    assert "no budget with notifications" in said
