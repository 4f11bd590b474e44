"""Least privilege, tested: what each role can do to the end, and what it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.operator import Company, company

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]
BRANCH = "ref:refs/heads/main"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("roles")) as made:
        yield made


@pytest.fixture(scope="module")
def operator(shop: Company) -> Iterator[Company]:
    """The shop, with this process signed in as CI's app."""
    with pytest.MonkeyPatch.context() as patch:
        shop.sandbox.use(patch)
        shop.sign_in(patch, "operator", BRANCH)
        yield shop


def test_models_are_rolled_out_and_back_as_model_rollout_operator(operator: Company) -> None:
    """The first deployment, a second one on the evidence of customers, and a third that a person sends back half-way."""
    assert operator.start("first", "--watch").code == 0
    assert operator.weights() == {"first": 100}
    with operator.customers():
        ran = operator.start("second", "--steps", "50,100", "--bake-minutes", "2", "--watch")
        assert ran.code == 0, ran.said
        assert operator.weights() == {"second": 100}
        assert operator.start("third", "--steps", "50,100", "--bake-minutes", "5").code == 0
        assert operator.weights() == {"second": 50, "third": 50}
        assert "RolledBack" in operator.rollout("rollback", "--reason", "the support desk is called")
    assert operator.weights() == {"second": 100}
    history = operator.rollout("history")
    assert (history.count("Promoted"), history.count("RolledBack")) == (2, 1)
    assert "the support desk is called" in operator.rollout("audit")


#: (method, path below the resource group, api-version, the action that Azure names). Run with a role, refused by it.
OUTSIDE = [
    ("DELETE", "", "2024-03-01", "Microsoft.Resources/subscriptions/resourceGroups/delete"),
    ("DELETE", "{ml}", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/delete"),
    ("PUT", "{ml}", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/write"),
    ("POST", "{ml}/listKeys", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/listKeys/action"),
    ("DELETE", "{endpoint}", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete"),
    (
        "POST", "{endpoint}/regenerateKeys", "2024-04-01",
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/regenerateKeys/action",
    ),
    ("PUT", "{ml}/computes/gpu", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/computes/write"),
    ("DELETE", "{ml}/computes/cpu", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/computes/delete"),
    ("PUT", "{ml}/jobs/j", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/jobs/write"),
    ("DELETE", "{ml}/models/tiny", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/models/delete"),
    ("PUT", "{ml}/models/t/versions/2", "2024-04-01", "Microsoft.MachineLearningServices/workspaces/models/versions/write"),
    ("POST", "{storage}/listKeys", "2024-01-01", "Microsoft.Storage/storageAccounts/listKeys/action"),
    ("DELETE", "{storage}", "2024-01-01", "Microsoft.Storage/storageAccounts/delete"),
    (
        "PUT", "{ml}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555",
        "2022-04-01", "Microsoft.Authorization/roleAssignments/write",
    ),
    (
        "PUT", "/providers/Microsoft.Authorization/roleDefinitions/11111111-2222-3333-4444-555555555555",
        "2022-04-01", "Microsoft.Authorization/roleDefinitions/write",
    ),
    (
        "GET", "/providers/Microsoft.KeyVault/vaults/v/secrets/s", "2024-11-01",
        "Microsoft.KeyVault/vaults/secrets/read",
    ),
    (
        "DELETE", "/providers/Microsoft.Insights/metricAlerts/a", "2018-03-01",
        "Microsoft.Insights/metricAlerts/delete",
    ),
]  # fmt: skip


#: The previewer sees that a secret is there, as the program declares one; ARM never shows its value.
SEEN = {("previewer", "Microsoft.KeyVault/vaults/secrets/read")}


@pytest.mark.parametrize(
    ("client", "method", "path", "version", "action"),
    [(client, *row) for client in ("operator", "previewer") for row in OUTSIDE if (client, row[3]) not in SEEN],
    ids=lambda each: str(each)[-50:],
)
def test_what_is_outside_the_roles_is_refused(
    operator: Company, client: str, method: str, path: str, version: str, action: str
) -> None:
    outputs = operator.outputs
    places = {
        "{ml}": outputs.workspace.id,
        "{endpoint}": outputs.endpoints["churn"].id,
        "{storage}": outputs.storage.account_id,
    }
    for name, place in places.items():
        path = path.replace(name, place)
    full = path if path.startswith("/subscriptions/") else f"{operator.group_id}{path}"
    session = operator.session(client, BRANCH if client == "operator" else "pull_request")
    answer = operator.arm(method, full, version, {} if method == "PUT" else None, session)
    assert answer.status_code == 403, answer.text
    assert answer.json()["error"]["code"] == "AuthorizationFailed"
    assert f"'{action}'" in answer.json()["error"]["message"]


def test_the_operator_reads_no_other_container_than_the_journals(operator: Company) -> None:
    session = operator.session("operator", BRANCH, "https://storage.azure.com")
    session.headers["x-ms-version"] = "2023-11-03"
    storage = operator.outputs.storage

    def listing(container: str) -> int:
        url = f"{storage.blob_endpoint}/{container}"
        return session.get(url, params={"restype": "container", "comp": "list"}, timeout=10).status_code

    assert listing(storage.journal_container) == 200
    assert listing("dead-letters") == 403


def test_another_branch_gets_no_token_at_all(operator: Company) -> None:
    with pytest.raises(Exception, match="401"):
        operator.session("operator", "ref:refs/heads/feature")


def test_the_previewer_previews_and_changes_nothing(shop: Company) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shop.sandbox.use(patch)
        job = shop.job_environment("previewer", "pull_request")
        patch.setattr(shop.engine, "environment", {**shop.engine.environment, **job})
        settings = shop.engine.project / "Pulumi.dev.yaml"
        before = settings.read_text()
        settings.write_text(before.replace("owner: ml-platform", "owner: someone-else"))
        assert "to update" in shop.engine.run("preview", "--stack", "dev")
        said = shop.engine.run("up", "--yes", "--skip-preview", "--stack", "dev", ok=False)
        assert "AuthorizationFailed" in said
        assert "resourceGroups/write" in said
        settings.write_text(before)
