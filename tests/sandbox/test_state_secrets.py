"""Nothing secret lies in the clear in what Pulumi keeps or shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.kernel.tls import tls_files
from tests.e2e.shop import Webhook
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]
CODE = "code=s3cr3t-of-the-listener"


def test_a_webhooks_address_is_in_no_state_output_or_preview(sandbox: RunningSandbox, tmp_path: Path) -> None:
    engine = Engine(copy_project(tmp_path / "project"), sandbox.env)
    webhook = Webhook(tls_files(sandbox.home).server)
    try:
        path = "azureml-rollouts:events.subscriptions.rollout-ended.webhookUrl"
        engine.run("config", "set", "--stack", "dev", "--secret", "--path", path, f"{webhook.url}?{CODE}")
        assert CODE not in (engine.project / "Pulumi.dev.yaml").read_text()
        shown = engine.run("preview", "--diff", "--stack", "dev") + engine.up("dev")
        shown += engine.run("preview", "--json", "--stack", "dev")
        state = engine.run("stack", "export", "--stack", "dev")
        outputs = engine.run("stack", "output", "--json", "--stack", "dev")
        assert '"ciphertext"' in state, "the address is there, encrypted"
        for what in (shown, state, outputs):
            assert CODE not in what
        kept = json.loads(state)["deployment"]["resources"]
        (subscription,) = (each for each in kept if each["urn"].endswith("::events-rollout-ended"))
        assert "ciphertext" in json.dumps(subscription["inputs"]["destination"])
    finally:
        engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
        webhook.close()
