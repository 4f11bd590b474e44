"""`python -m training.run`: one table in, one registered model out, or the reasons why not.

Exit codes: 0 registered (or gates passed without --register-as), 2 the table, use case or an
argument is wrong, 7 a gate refused the model; nothing is registered then.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import mlflow
from pydantic import ValidationError

from contract.policy import Gates
from training.data import DataError, Split, read_table, split
from training.evaluate import evaluate
from training.gates import Measured, metrics_only, shortfalls
from training.model import DEFAULTS, build
from training.register import register, track
from training.result import RESULT_FILE, TrainingResult
from training.usecase import UseCase, UseCaseError, load_use_case

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
log = logging.getLogger("training")


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        case = load_use_case(args.use_case)
        gates = Gates.model_validate_json(args.gates)
        params = _json_object(args.params, "--params")
        tags = dict(pair.split("=", 1) for pair in args.tag)
        parts = split(read_table(args.data), case)
    except DataError as error:
        for finding in error.findings:
            log.error("refused: %s", finding)
        return 2
    except (UseCaseError, ValidationError, ValueError) as error:
        log.error("refused: %s", error)
        return 2
    with mlflow.start_run():
        return _train(args, case, gates, params, {"use_case": case.name, **tags}, parts)


def _train(
    args: argparse.Namespace, case: UseCase, gates: Gates, params: dict[str, Any], tags: dict[str, str], parts: Split
) -> int:
    log.info("fit %s on %d rows, %d columns", args.kind, len(parts.train_x), parts.train_x.shape[1])
    model = build(args.kind, params, parts.train_x, seed=case.seed, unknown=args.unknown_categories)
    model.fit(parts.train_x, parts.train_y)
    metrics = evaluate(model, parts.test_x, parts.test_y)
    missed = shortfalls(Measured(metrics=metrics), metrics_only(gates))
    tags = {**tags, "kind": args.kind, "gate_status": "FAILED" if missed else "PASSED"}
    if missed:
        tags["gate_shortfalls"] = "; ".join(map(str, missed))
    track(metrics, {**DEFAULTS[args.kind], **params}, tags)
    log.info("on %d unseen rows: %s", len(parts.test_x), ", ".join(f"{k} {v:.3f}" for k, v in metrics.items()))
    if missed:
        for shortfall in missed:
            log.error("gate refused: %s", shortfall)
        _write(args.output, TrainingResult(metrics=metrics, shortfalls=tuple(map(str, missed))))
        return 7
    log.info("gates passed")
    registered = register(model, parts.test_x, args.register_as, metrics, tags) if args.register_as else None
    _write(args.output, TrainingResult(metrics=metrics, model=str(registered) if registered else None))
    if registered:
        mlflow.set_tag("registered_model", str(registered))
        log.info("registered %s", registered)
    return 0


def _write(folder: Path, result: TrainingResult) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(result.metrics, indent=2))
    (folder / "quality_gate_status.txt").write_text("FAILED\n" if result.shortfalls else "PASSED\n")
    (folder / RESULT_FILE).write_text(result.model_dump_json(indent=2))


def _json_object(text: str, option: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{option} must be a JSON object, not {text}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.run", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="CSV or Parquet file")
    parser.add_argument("--use-case", default="churn", help="name or YAML file")
    parser.add_argument("--kind", choices=sorted(DEFAULTS), default="xgboost")
    parser.add_argument("--params", default="{}", help="hyperparameters as JSON, over the defaults")
    parser.add_argument("--unknown-categories", choices=["ignore", "error"], default="ignore")
    parser.add_argument("--gates", default="{}", help="contract.Gates as JSON; the default is dev's")
    parser.add_argument("--register-as", default="", help="model name; empty: don't register")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path, default=Path("outputs"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
