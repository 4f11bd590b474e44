"""The eight acts. Each does what a user would type, looks at what happened, and says whether it was as promised."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.clients import Clients, Request, answered_by, failures
from demo.stage import ENDPOINT, ROOT, STACK, Stage, StageError, kill
from demo.summary import Act

ROLLED_BACK = 3
GATE_REFUSED = 7
#: Small searches: the story is about releases. The use case's own is 20 trials.
QUICK = tuple(
    word
    for setting in ("search.trials=1", "search.max_rounds=200", "search.learning_rate=[0.1,0.3]")
    for word in ("--set", setting)
)
THOROUGH = ("--set", "search.trials=3")
RELEASES = ROOT / "demo" / "releases"


class Story:
    """What the acts share: the stage, the clients, the tables, and the models registered so far."""

    def __init__(self, stage: Stage, table: Path, extract: Path) -> None:
        self.stage = stage
        self.table, self.extract = table, extract
        self.clients = Clients(stage.out / "requests.jsonl")
        self.releases: dict[str, str] = {}

    def acts(self) -> list[tuple[str, Callable[[Act], bool]]]:
        """Name and play of each act, in order."""
        return [
            ("pulumi up of dev, and what it costs", self.provision),
            ("a weak model is refused, a good one becomes blue", self.first_model),
            ("a better model, 10/50/100, under load", self.better_model),
            ("a release that errs is taken back", self.erring_release),
            ("a release that is slow is taken back", self.slow_release),
            ("the controller is killed, another one resumes", self.killed_controller),
            ("pulumi up in the middle of a rollout", self.provision_meanwhile),
            ("history, audit and cost", self.look_back),
        ]

    # Acts

    def provision(self, act: Act) -> bool:
        self.stage.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        cost = self.stage.document("rollout", "cost")
        self.stage.run("rollout", "cost")
        act.facts = {"monthly_cost_usd": cost["monthly_usd"], "budget_usd": cost["budget_usd"]}
        return bool(0 < cost["monthly_usd"] <= cost["budget_usd"])

    def first_model(self, act: Act) -> bool:
        refused = self.train(str(ROOT / "demo" / "usecases" / "telco.yaml"), *QUICK, ok=(0, GATE_REFUSED))
        self.releases["v1"] = self.trained(*QUICK)
        self.start(self.releases["v1"], "--watch")
        self.clients.start(*self.scoring(), self.table, self.stage.environment)
        weights = self.stage.live_weights()
        act.facts = {"refused": refused == GATE_REFUSED, "model": self.releases["v1"], "weights": weights}
        return refused == GATE_REFUSED and list(weights.values()) == [100]

    def better_model(self, act: Act) -> bool:
        self.releases["v2"] = self.trained(*THOROUGH, "--save", str(self.stage.out / "model"))
        since = time.time()
        self.start(self.releases["v2"], "--watch")
        green = self.stage.status()["rollout"]["green"]
        weights = self.stage.live_weights()
        seen = self.clients.seen(since)
        act.facts = {
            "requests": len(seen), "failed_requests": failures(seen), "release": green, "weights": weights,
            "answered_by_green": len(answered_by(seen, green)),
        }  # fmt: skip
        return weights == {green: 100} and failures(seen) == 0 and len(seen) > 0

    def erring_release(self, act: Act) -> bool:
        self.stage.tell("v3 learned from an extract without one area, and refuses customers from there.")
        # a table without an area has drifted, which the baseline would tell
        files = self.stage.out / "v3"
        model = self.trained(*QUICK, "--baseline", "none", "--save", str(files), table=self.extract)
        # the scoring code that step 6 wrote refuses what the model's schema does not have
        return self.taken_back(act, model, "--code", str(files / "code"))

    def slow_release(self, act: Act) -> bool:
        self.stage.tell("v4 is v2's model behind code that waits for another service for two customers in five.")
        return self.taken_back(act, self.releases["v2"], "--code", str(RELEASES / "slow"))

    def killed_controller(self, act: Act) -> bool:
        model = self.trained(*QUICK, "--set", "seed=11")
        since = time.time()
        controller = self.stage.begin("rollout", "start", ENDPOINT, "--model", model, "--yes", "--watch")
        status = self.stage.wait_for_green(10)
        kill(controller)
        self.stage.tell(f"SIGKILL to the controller with {status['live']['weights']} live; another process goes on.")
        self.stage.run("rollout", "watch", ENDPOINT)
        rollout = self.stage.status()["rollout"]
        effects = self.effects(rollout["id"])
        seen = self.clients.seen(since)
        act.facts = {
            "resumed": rollout["phase"] == "Promoted" and rollout["id"] == status["rollout"]["id"],
            "effects_repeated": len(effects) - len(set(effects)),
            "effects": len(effects),
            "killed_at_weight": status["live"]["weights"][rollout["green"]],
            "failed_requests": failures(seen),
        }
        return bool(act.facts["resumed"] and not act.facts["effects_repeated"] and effects)

    def provision_meanwhile(self, act: Act) -> bool:
        model, options = self.releases["v1"], ("--yes", "--bake-minutes", "45")
        controller = self.stage.begin("rollout", "start", ENDPOINT, "--model", model, *options)
        if controller.wait(timeout=120) not in (0, 4):
            raise StageError(f"the rollout did not start: {controller.stdout.read() if controller.stdout else ''}")
        before = self.stage.live_weights()
        self.stage.run(
            "pulumi", "config", "set", "--stack", STACK, "--config-file", str(self.stage.stack_file),
            "--path", "azureml-rollouts:tags.release-train", "autumn",
        )  # fmt: skip
        self.stage.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        after = self.stage.live_weights()
        tags = self.endpoint_tags()
        act.facts = {
            "weights_before": before,
            "weights_after": after,
            "tag_arrived": tags.get("release-train") == "autumn",
        }
        self.stage.run("rollout", "rollback", ENDPOINT, "--reason", "the demo has seen enough", ok=(0, ROLLED_BACK))
        return before == after and len(before) == 2 and bool(act.facts["tag_arrived"])

    def look_back(self, act: Act) -> bool:
        self.clients.stop()
        self.stage.run("rollout", "history", ENDPOINT)
        self.stage.run("rollout", "audit", ENDPOINT)
        self.stage.run("rollout", "cost")
        report = self.stage.documents("rollout", "audit", ENDPOINT)[-1]["report"]
        cost = self.stage.document("rollout", "cost")
        act.facts = {
            "audit_ok": report["ok"],
            "journal_lines": report["lines"],
            "monthly_cost_usd": cost["monthly_usd"],
        }
        return bool(report["ok"] and report["lines"])

    # What several acts do

    def train(self, use_case: str, *options: str, ok: tuple[int, ...] = (0,)) -> int:
        ran = self.stage.run("rollout", "train", use_case, *options, ok=ok)
        self.last_training = ran.output
        return ran.code

    def trained(self, *options: str, table: Path | None = None) -> str:
        """The registered model, e.g. 'churn:3'."""
        self.train("churn", "--data", str(table or self.table), *options)
        for line in self.last_training.splitlines():
            if line.startswith("registered "):
                return line.removeprefix("registered ").strip()
        raise StageError(f"no model was registered:\n{self.last_training}")

    def start(self, model: str, *options: str, ok: tuple[int, ...] = (0,)) -> int:
        return self.stage.run("rollout", "start", ENDPOINT, "--model", model, "--yes", *options, ok=ok).code

    def taken_back(self, act: Act, model: str, *options: str) -> bool:
        """Roll out a bad release; True when it went back by itself with traffic where it was."""
        before, since = self.stage.live_weights(), time.time()
        code = self.start(model, "--watch", *options, ok=(0, ROLLED_BACK))
        rollout = self.stage.status()["rollout"]
        green = rollout["green"]
        shift, back = self.shift_and_return(rollout["id"], green)
        exposed = answered_by(self.clients.seen(since), green)
        act.facts = {
            "rolled_back": code == ROLLED_BACK and rollout["phase"] == "RolledBack",
            "at_weight": rollout["at_weight"],
            "exposed_requests": len(exposed),
            "failed_requests": failures(exposed),
            "slow_requests": sum(_slow(request) for request in exposed),
            "seconds_to_rollback": round(back - shift, 1),
            "release": green,
            "reason": rollout["reason"],
        }
        return bool(act.facts["rolled_back"] and exposed and self.stage.live_weights() == before)

    def scoring(self) -> tuple[str, str]:
        """The endpoint's scoring URI and primary key."""
        endpoint = self.endpoint_output()
        key = self.stage.run(
            "python", "-m", "demo.azure", "key", endpoint["name"], quiet=True, show=False
        ).output.strip()
        return endpoint["scoring_uri"], key

    def endpoint_output(self) -> dict[str, Any]:
        outputs = json.loads(self.stage.run("pulumi", "stack", "output", "--json", "--stack", STACK, quiet=True).output)
        found: dict[str, Any] = outputs["rollout"]["endpoints"][ENDPOINT]
        return found

    def endpoint_tags(self) -> dict[str, str]:
        name = self.endpoint_output()["name"]
        tags: dict[str, str] = json.loads(self.stage.run("python", "-m", "demo.azure", "tags", name, quiet=True).output)
        return tags

    def audit(self, rollout: str) -> list[dict[str, Any]]:
        return [
            line for line in self.stage.documents("rollout", "audit", ENDPOINT, "--rollout", rollout) if "kind" in line
        ]

    def effects(self, rollout: str) -> list[str]:
        """The finished effects of a rollout, as canonical JSON, in order."""
        return [
            json.dumps(line["evidence"]["effect"], sort_keys=True)
            for line in self.audit(rollout)
            if line["kind"] == "done"
        ]

    def shift_and_return(self, rollout: str, green: str) -> tuple[float, float]:
        """Real epoch seconds at which green first had traffic, and had none again."""
        shift = back = 0.0
        for line in self.audit(rollout):
            if line["kind"] != "done":
                continue
            if line["weights_after"].get(green):
                shift = shift or line["real_time"]
            elif shift:
                back = line["real_time"]
        return shift, back


def _slow(request: Request) -> bool:
    return request.ms > 3000
