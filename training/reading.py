"""What people are told of a step, out of the files that it wrote. Light: the command line reads them without the steps' libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

VERDICT_FILE, INFO_FILE = "gates.json", "registered_model_info.json"
_FILES = {
    "validate": "validation_report.json",
    "features": "feature_metadata.json",
    "train": "training_metrics.json",
    "evaluate": "evaluation_metrics.json",
    "register": VERDICT_FILE,
    "prepare": "deployment_config.json",
}


def figures(step: str, read: Callable[[str], str | None]) -> dict[str, str]:
    """The few figures that a step is known by; empty when it wrote nothing."""
    document = _document(read(_FILES[step]))
    return _FIGURES[step](document) if document else {}


def shortfalls(text: str | None) -> list[str]:
    """The gates that were missed: what, by how much, what to try."""
    return [f"{each['said']}; try: {each['advice']}" for each in _document(text).get("missed", [])]


def table_findings(text: str | None) -> list[str]:
    """What made the table be refused."""
    return [each["message"] for each in _document(text).get("findings", []) if each["severity"] == "error"]


def _document(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _validated(report: dict[str, Any]) -> dict[str, str]:
    count = {kind: sum(each["severity"] == kind for each in report["findings"]) for kind in ("error", "warning")}
    shown = {"rows": f"{report['rows']:,}", "columns": str(report["columns"])}
    return shown | {f"{kind}s": str(number) for kind, number in count.items() if number}


def _engineered(found: dict[str, Any]) -> dict[str, str]:
    plan = found["plan"]
    made = len(found["importance"])
    return {
        "learned from": f"{found['train_rows']:,}",
        "set aside": f"{found['test_rows']:,}",
        "features": f"{made if plan['keep'] is None else len(plan['keep'])} of {made}",
    }


def _trained(found: dict[str, Any]) -> dict[str, str]:
    scores = {f"cv {name}": f"{found['cv_mean'][name]:.3f}" for name in ("auc", "f1")}
    return {"trials": str(found["trials"]), **scores, "simple rival's auc": f"{found['rival_cv_mean']['auc']:.3f}"}


def _evaluated(found: dict[str, Any]) -> dict[str, str]:
    metrics = {name: f"{value:.3f}" for name, value in found["metrics"].items()}
    return metrics | ({"p against the baseline": f"{found['p_value']:.2g}"} if found.get("p_value") is not None else {})


def _judged(found: dict[str, Any]) -> dict[str, str]:
    return {"gates": "passed" if found["passed"] else f"{len(found['missed'])} missed"}


def _prepared(found: dict[str, Any]) -> dict[str, str]:
    return {"deployment": found["name"], "instances": f"{found['instance_count']} x {found['instance_type']}"}


_FIGURES: dict[str, Callable[[dict[str, Any]], dict[str, str]]] = {
    "validate": _validated,
    "features": _engineered,
    "train": _trained,
    "evaluate": _evaluated,
    "register": _judged,
    "prepare": _prepared,
}
