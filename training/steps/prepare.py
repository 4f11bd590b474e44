"""Step 6, prepare: everything that a deployment of the registered model needs, as files that azure-ai-ml loads.

In: `registered_model_info.json`, `trained_model/`, and the target stack. Out: `endpoint_spec.yaml` (`load_online_endpoint`),
`deployment_config.json` (`load_online_deployment`), `scaling_policy.json` (Azure Monitor's autoscale settings), and `code/`: score.py
with its pinned conda.yaml. `rollout start NAME --model NAME:VERSION --code CODE` deploys the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from contract.autoscaling import settings
from contract.outputs import Deployment, Scale
from training.scoring.package import write_code
from training.steps import command
from training.steps.register import INFO, RegisteredModelInfo
from training.steps.train import MODEL_FOLDER
from training.target import Target, read_target
from training.usecase import UseCase, load_use_case

ENDPOINT_SPEC, DEPLOYMENT, SCALING, CODE = "endpoint_spec.yaml", "deployment_config.json", "scaling_policy.json", "code"
#: Azure's inference image without frameworks; the conda file brings those.
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
_AUTH = {"Key": "key", "AMLToken": "aml_token", "AADToken": "aad_token"}
#: Of a stack that says nothing.
_DEPLOYMENT = Deployment(instance_type="Standard_DS2_v2", instance_count=1)
_SCALE = Scale(min_instances=1, max_instances=10)


class Prepared(BaseModel):
    """Where the files are, and what the deployment would be called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    deployment: str
    folder: Path


def prepare(model: Path, info: RegisteredModelInfo, case: UseCase, target: Target, output: Path) -> Prepared:
    """Write the files. `model`: the model's folder, whose schema the scoring code takes along."""
    output.mkdir(parents=True, exist_ok=True)
    write_code(model, output / CODE)
    endpoint = target.endpoint.name if target.endpoint else f"{case.name}-{target.stack}"
    made = Prepared(endpoint=endpoint, deployment=f"{info.name}-v{info.version}"[:32], folder=output)
    (output / ENDPOINT_SPEC).write_text(yaml.safe_dump(_endpoint(made, case, target), sort_keys=False))
    (output / DEPLOYMENT).write_text(json.dumps(_deployment(made, info, target), indent=2))
    (output / SCALING).write_text(json.dumps(_scaling(made, target), indent=2))
    return made


def _endpoint(made: Prepared, case: UseCase, target: Target) -> dict[str, Any]:
    return {
        "$schema": f"{_SCHEMAS}/managedOnlineEndpoint.schema.json",
        "name": made.endpoint,
        "description": case.description,
        "auth_mode": _AUTH[target.endpoint.auth_mode] if target.endpoint else "aad_token",
        "tags": {"stack": target.stack, "use_case": case.name},
    }


def _deployment(made: Prepared, info: RegisteredModelInfo, target: Target) -> dict[str, Any]:
    """No traffic is in it: `rollout` moves that, step by step."""
    wanted = target.endpoint.deployment if target.endpoint else _DEPLOYMENT
    probe = {"initial_delay": 10, "period": 10, "timeout": 2, "failure_threshold": 30}
    collected = {name: {"enabled": "true"} for name in ("model_inputs", "model_outputs")}
    return {
        "$schema": f"{_SCHEMAS}/managedOnlineDeployment.schema.json",
        "name": made.deployment,
        "endpoint_name": made.endpoint,
        "model": f"azureml:{info.name}:{info.version}",
        "code_configuration": {"code": CODE, "scoring_script": "score.py"},
        "environment": {"image": IMAGE, "conda_file": f"{CODE}/conda.yaml"},
        "instance_type": wanted.instance_type,
        "instance_count": wanted.instance_count,
        "request_settings": {
            "request_timeout_ms": wanted.request_timeout_ms,
            "max_concurrent_requests_per_instance": wanted.max_concurrent_requests_per_instance,
        },
        "liveness_probe": probe,
        "readiness_probe": probe,
        "data_collector": {"collections": collected},
        "tags": {"version": info.semantic_version, "model_hash": info.model_hash, "data_hash": info.data_hash},
    }


def _scaling(made: Prepared, target: Target) -> dict[str, Any]:
    wanted = target.endpoint.deployment if target.endpoint else _DEPLOYMENT
    place = target.endpoint.id if target.endpoint else f"/onlineEndpoints/{made.endpoint}"
    return settings(place, target.location, made.deployment, wanted.instance_count, wanted.scale or _SCALE)


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.steps.prepare`."""
    made = command.parser("prepare", __doc__)
    command.folder(made, "registered", INFO)
    command.folder(made, "trained", MODEL_FOLDER)
    made.add_argument("--target", type=Path, help="the stack and its endpoint (target.json)")
    args = made.parse_args(arguments)

    def work() -> None:
        command.needed(args.registered, INFO)
        command.needed(args.trained, MODEL_FOLDER)
        info = RegisteredModelInfo.model_validate_json((args.registered / INFO).read_text())
        case, target = load_use_case(args.use_case), read_target(args.target)
        found = prepare(args.trained / MODEL_FOLDER, info, case, target, args.output)
        command.log.info("deployment %s of endpoint %s", found.deployment, found.endpoint)

    return command.run("prepare", work)


if __name__ == "__main__":
    sys.exit(main())
