"""Blue and green on a managed online endpoint, with nothing but azure-ai-ml, as Azure's documentation shows it.

    python examples/blue_green.py --resource-group RG --workspace WS [--subscription ID]

It needs a workspace, and what DefaultAzureCredential finds. It uses nothing of this project, so it shows that a
program written for Azure runs unchanged on the sandbox: `eval "$(rollout sandbox env --proxy)"` first.
"""

import argparse
import json
import os
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import joblib
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import CodeConfiguration, Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model
from azure.identity import DefaultAzureCredential
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

FOLDER = Path(__file__).resolve().parent / "blue_green"
REQUEST = str(FOLDER / "sample-request.json")
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"


def main():
    args = parse_arguments()
    ml_client = MLClient(DefaultAzureCredential(), args.subscription, args.resource_group, args.workspace)
    endpoint = ManagedOnlineEndpoint(name=f"iris-{uuid.uuid4().hex[:8]}", description="irises", auth_mode="key")
    seen = {"endpoint": endpoint.name}
    endpoint = ml_client.online_endpoints.begin_create_or_update(endpoint).result()
    with tempfile.TemporaryDirectory() as folder:
        models = train(Path(folder))
        roll_out(ml_client, endpoint, models, seen)
    ml_client.online_endpoints.begin_delete(name=endpoint.name).result()
    seen["left"] = [each.name for each in ml_client.online_endpoints.list() if each.name == endpoint.name]
    print()  # azure-ai-ml leaves its dots of progress on the line
    print(json.dumps(seen))


def roll_out(ml_client, endpoint, models, seen):
    """Blue with all traffic; green scaled, tried alone, mirrored to, given 10 % and then everything; blue deleted."""
    name = endpoint.name
    deploy(ml_client, name, "blue", models["blue"])
    set_traffic(ml_client, name, {"blue": 100})
    seen["blue"] = json.loads(ml_client.online_endpoints.invoke(endpoint_name=name, request_file=REQUEST))

    green = deploy(ml_client, name, "green", models["green"])
    green.instance_count = 2
    ml_client.online_deployments.begin_create_or_update(green).result()
    seen["instances"] = ml_client.online_deployments.get(name="green", endpoint_name=name).instance_count
    seen["green"] = json.loads(
        ml_client.online_endpoints.invoke(endpoint_name=name, deployment_name="green", request_file=REQUEST)
    )

    endpoint = ml_client.online_endpoints.get(name)
    endpoint.mirror_traffic = {"green": 50}
    ml_client.online_endpoints.begin_create_or_update(endpoint).result()
    seen["mirrored"] = ask(ml_client, name, 20)
    endpoint.mirror_traffic = {}
    ml_client.online_endpoints.begin_create_or_update(endpoint).result()

    set_traffic(ml_client, name, {"blue": 90, "green": 10})
    seen["at_90_10"] = ask(ml_client, name, 100)
    set_traffic(ml_client, name, {"blue": 0, "green": 100})
    seen["at_0_100"] = ask(ml_client, name, 20)
    seen["logs"] = ml_client.online_deployments.get_logs(name="green", endpoint_name=name, lines=200)

    ml_client.online_deployments.begin_delete(name="blue", endpoint_name=name).result()
    seen["deployments"] = [each.name for each in ml_client.online_deployments.list(endpoint_name=name)]


def deploy(ml_client, endpoint_name, name, model_file):
    deployment = ManagedOnlineDeployment(
        name=name,
        endpoint_name=endpoint_name,
        model=Model(path=str(model_file)),
        environment=Environment(conda_file=str(FOLDER / "conda.yaml"), image=IMAGE),
        code_configuration=CodeConfiguration(code=str(FOLDER), scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    return ml_client.online_deployments.begin_create_or_update(deployment).result()


def set_traffic(ml_client, endpoint_name, traffic):
    endpoint = ml_client.online_endpoints.get(endpoint_name)
    endpoint.traffic = traffic
    ml_client.online_endpoints.begin_create_or_update(endpoint).result()


def ask(ml_client, endpoint_name, times):
    """How many of the requests each deployment answered.

    Not by `invoke`: once it was given a deployment_name, azure-ai-ml 1.35 sends all later calls there too.
    """
    uri = ml_client.online_endpoints.get(endpoint_name).scoring_uri
    key = ml_client.online_endpoints.get_keys(endpoint_name).primary_key
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = Path(REQUEST).read_bytes()
    answered = Counter()
    with requests.Session() as session:
        for _ in range(times):
            answer = session.post(uri, data=body, headers=headers, timeout=30)
            answer.raise_for_status()
            answered[answer.headers["azureml-model-deployment"]] += 1
            time.sleep(0.01)
    return dict(answered)


def train(folder):
    """Two models of the same flowers, as files."""
    data = load_iris()
    found = {"blue": LogisticRegression(max_iter=500), "green": DecisionTreeClassifier(max_depth=3, random_state=7)}
    files = {}
    for name, model in found.items():
        files[name] = folder / f"{name}.joblib"
        joblib.dump(model.fit(data.data, data.target), files[name])
    return files


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, variable in (
        ("subscription", "AZURE_SUBSCRIPTION_ID"),
        ("resource-group", "AZURE_RESOURCE_GROUP"),
        ("workspace", "AZURE_ML_WORKSPACE"),
    ):
        default = os.environ.get(variable)
        parser.add_argument(f"--{name}", default=default, required=default is None, help=f"default: ${variable}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
