"""Applications and their credentials on the real engine, with the stand-in for azuread and the sandbox's Graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, write_program

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

PROGRAM = """
import pulumi
import pulumi_azuread as azuread

me = azuread.get_client_config()
notes = pulumi.Config().get("notes")
application = azuread.Application("application", display_name="ci", owners=[me.object_id], notes=notes)
principal = azuread.ServicePrincipal("principal", client_id=application.client_id)
credential = azuread.ApplicationFederatedIdentityCredential(
    "credential",
    application_id=application.id,
    display_name="main",
    issuer="https://token.actions.githubusercontent.com",
    subject="repo:me/mine:ref:refs/heads/main",
    audiences=["api://AzureADTokenExchange"],
)
password = azuread.ApplicationPassword("password", application_id=application.id, display_name="old habit")
pulumi.export("client", application.client_id)
pulumi.export("object", application.object_id)
pulumi.export("principal", principal.object_id)
pulumi.export("password", password.value)
pulumi.export("tenant", me.tenant_id)
"""


@pytest.fixture
def engine(sandbox: RunningSandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Engine:
    made = Engine(write_program(tmp_path / "project", PROGRAM, request.node.name.replace("_", "-")[:60]), sandbox.env)
    made.run("stack", "init", "dev")
    return made


def test_an_application_lives_from_up_to_destroy(engine: Engine, sandbox: RunningSandbox) -> None:
    said = engine.up()
    outputs = engine.outputs()
    assert outputs["tenant"] == sandbox.settings.tenant_id
    assert outputs["password"] not in said, "a client secret is hidden"
    graph, session = sandbox.settings.url("graph"), sandbox.session("https://graph.microsoft.com")
    url = f"{graph}/v1.0/applications/{outputs['object']}"
    assert session.get(url, timeout=10).json()["displayName"] == "ci"
    (credential,) = session.get(f"{url}/federatedIdentityCredentials", timeout=10).json()["value"]
    assert credential["subject"] == "repo:me/mine:ref:refs/heads/main"
    engine.up("dev", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")

    engine.run("config", "set", "notes", "for CI", "--stack", "dev")
    assert "~ 1 updated" in engine.up()
    assert session.get(url, timeout=10).json()["notes"] == "for CI"

    session.patch(url, json={"displayName": "renamed by hand"}, timeout=10)
    assert "~ 1 updated" in engine.run("refresh", "--yes", "--skip-preview", "--stack", "dev")
    engine.up()
    assert session.get(url, timeout=10).json()["displayName"] == "ci"

    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
    assert session.get(url, timeout=10).status_code == 404


def test_an_application_is_imported_by_its_id(engine: Engine, sandbox: RunningSandbox) -> None:
    session = sandbox.session("https://graph.microsoft.com")
    url = f"{sandbox.settings.url('graph')}/v1.0/applications"
    made = session.post(url, json={"displayName": "made by hand"}, timeout=10).json()
    options = ("--yes", "--skip-preview", "--stack", "dev", "--protect=false", "--generate-code=false")
    token = "azuread:index/application:Application"
    engine.run("import", token, "theirs", f"/applications/{made['id']}", *options)
    assert engine.resources()["theirs"]["outputs"]["clientId"] == made["appId"]
    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")


def test_what_the_stand_in_does_not_know_is_refused(engine: Engine) -> None:
    engine.program(
        'import pulumi_azuread as azuread\nazuread.Application("a", display_name="a", support_url="https://x")\n'
    )
    assert "does not imitate 'supportUrl'" in engine.run("preview", "--stack", "dev", ok=False)
    engine.program('import pulumi_azuread as azuread\nazuread.Group("g", display_name="g", security_enabled=True)\n')
    assert "does not imitate azuread:index/group:Group" in engine.run("preview", "--stack", "dev", ok=False)
