"""The sandbox's MLflow: the unmodified tracking server on SQLite, serving its own artifacts, on loopback.

`python -m sandbox.mlflow.server` runs MLflow's server app in one process. The `mlflow server` command would import MLflow
twice, once for its command line and once for the worker; this takes half the time and memory.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sandbox.kernel.settings import LOOPBACK, Settings

APP = "mlflow.server.fastapi_app:app"


def command(home: Path, settings: Settings) -> list[str]:
    """What to run for the MLflow server of the sandbox in `home`."""
    module = "sandbox.mlflow.server"
    return [sys.executable, "-m", module, "--folder", str(home / "mlflow"), "--port", str(settings.ports["mlflow"])]


def variables(folder: Path) -> dict[str, str]:
    """What `mlflow server --backend-store-uri ... --serve-artifacts --workers 1` would hand to its worker."""
    database = f"sqlite:///{folder / 'mlflow.db'}"
    return {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (folder / "artifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:*,localhost:*",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Set in the caller's shell they would point this server at itself.
        "MLFLOW_TRACKING_URI": "",
        "MLFLOW_REGISTRY_URI": "",
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.mlflow.server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the database and the artifacts live")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    os.environ.update({name: value for name, value in variables(folder).items() if value})
    for name, value in variables(folder).items():
        if not value:
            os.environ.pop(name, None)

    import uvicorn
    from mlflow.server.handlers import initialize_backend_stores

    # Before the port is open, so that whoever gets an answer gets it from a complete database.
    database = variables(folder)["_MLFLOW_SERVER_FILE_STORE"]
    initialize_backend_stores(database, database, variables(folder)["_MLFLOW_SERVER_ARTIFACT_ROOT"])
    uvicorn.run(APP, host=LOOPBACK, port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
