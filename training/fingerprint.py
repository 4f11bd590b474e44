"""What a model is, in one hash: the same data, settings and versions give the same one."""

from __future__ import annotations

import hashlib

import joblib
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier


def fingerprint(model: Pipeline, threshold: float | None) -> str:
    """SHA-256 over the fitted features, the trees (or coefficients) and the threshold; not over file formats."""
    classifier = model.steps[-1][1]
    digest = hashlib.sha256(joblib.hash(model[:-1], hash_name="sha1").encode())
    if isinstance(classifier, XGBClassifier):
        digest.update(classifier.get_booster().save_raw("json"))
    else:
        digest.update(joblib.hash(classifier, hash_name="sha1").encode())
    digest.update(repr(threshold).encode())
    return digest.hexdigest()
