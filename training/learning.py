"""Cross-validation with early stopping, and the search for hyperparameters. Everything is fitted inside the folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from sklearn.pipeline import Pipeline

from training.plan import FeaturePlan, booster, feature_steps, folds, pipeline, rival
from training.scores import Floats, Ints, metrics
from training.usecase import SearchSettings

#: Above the mean of the folds: the last fit has more rows.
_MORE_ROUNDS = 1.1


@dataclass(frozen=True, slots=True)
class Fold:
    """One part: encoded features, shape (rows, features), for fitting and for judging."""

    train_x: Floats
    train_y: Ints
    test_x: Floats
    test_rows: Ints


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """`probability`: out of fold, shape (rows, classes); `scores`: metric to one value a fold; `loss` per round, averaged."""

    probability: Floats
    scores: dict[str, list[float]]
    rounds: int
    loss: tuple[float, ...] = ()

    def mean(self, metric: str) -> float:
        return float(np.mean(self.scores[metric]))

    def deviation(self, metric: str) -> float:
        return float(np.std(self.scores[metric]))


@dataclass(frozen=True, slots=True)
class Trial:
    """One parameter set that was tried, and what came of it."""

    number: int
    params: dict[str, Any]
    result: CrossValidation


def make_folds(x: pd.DataFrame, y: Ints, plan: FeaturePlan, count: int) -> list[Fold]:
    """The parts, each with features that were fitted without its judged rows."""
    made = []
    for train, test in folds(plan.seed, count).split(x, y):
        steps = Pipeline(feature_steps(plan))
        train_x = steps.fit_transform(x.iloc[train], y[train])
        made.append(Fold(train_x, y[train], steps.transform(x.iloc[test]), test))
    return made


def cross_validate(
    parts: list[Fold], y: Ints, plan: FeaturePlan, params: dict[str, Any], search: SearchSettings, *, threads: int = 1
) -> CrossValidation:
    """Boost each part until its judged rows stop gaining."""
    probability = np.zeros((len(y), len(plan.classes)))
    rounds, losses = [], []
    for part in parts:
        model = booster(
            plan,
            params,
            threads=threads,
            n_estimators=search.max_rounds,
            early_stopping_rounds=search.early_stopping_rounds,
        )
        model.fit(part.train_x, part.train_y, eval_set=[(part.test_x, y[part.test_rows])], verbose=False)
        probability[part.test_rows] = model.predict_proba(part.test_x)
        rounds.append(model.best_iteration + 1)
        losses.append(next(iter(model.evals_result()["validation_0"].values())))
    shortest = min(map(len, losses))
    return CrossValidation(
        probability=probability,
        scores=_scores(parts, y, probability),
        rounds=max(1, round(float(np.mean(rounds)) * _MORE_ROUNDS)),
        loss=tuple(float(value) for value in np.mean([loss[:shortest] for loss in losses], axis=0)),
    )


def cross_validate_rival(parts: list[Fold], y: Ints, plan: FeaturePlan) -> CrossValidation:
    """The simple model on the same parts."""
    probability = np.zeros((len(y), len(plan.classes)))
    for part in parts:
        probability[part.test_rows] = rival(plan).fit(part.train_x, part.train_y).predict_proba(np.asarray(part.test_x))
    return CrossValidation(probability, _scores(parts, y, probability), rounds=0)


def _scores(parts: list[Fold], y: Ints, probability: Floats) -> dict[str, list[float]]:
    threshold = 0.5 if probability.shape[1] == 2 else None
    found = [metrics(y[part.test_rows], probability[part.test_rows], threshold) for part in parts]
    return {name: [each[name] for each in found] for name in found[0]}


def search_parameters(
    parts: list[Fold],
    y: Ints,
    plan: FeaturePlan,
    search: SearchSettings,
    *,
    threads: int = 1,
    heard: Callable[[Trial], None] = lambda _: None,
) -> Trial:
    """Optuna's TPE, seeded: the parameters with the best mean AUC over the parts. `heard` is told of each trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    best: Trial | None = None

    def objective(trial: optuna.Trial) -> float:
        nonlocal best
        params = _suggest(trial, search)
        tried = Trial(trial.number, params, cross_validate(parts, y, plan, params, search, threads=threads))
        heard(tried)
        if best is None or tried.result.mean("auc") > best.result.mean("auc"):
            best = tried
        return tried.result.mean("auc")

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=plan.seed))
    study.optimize(objective, n_trials=search.trials)
    assert best is not None  # nosec B101  # there is at least one trial
    return best


def _suggest(trial: optuna.Trial, search: SearchSettings) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", *search.learning_rate, log=True),
        "max_depth": trial.suggest_int("max_depth", *search.max_depth),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 10.0),
        "subsample": trial.suggest_float("subsample", 0.6, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.6, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 10.0, log=True),
    }


def fit(x: pd.DataFrame, y: Ints, plan: FeaturePlan, trial: Trial, *, threads: int = 1) -> Pipeline:
    """The model: all training rows, the best parameters, and as many rounds as the folds asked for."""
    estimator = booster(plan, trial.params, threads=threads, n_estimators=trial.result.rounds)
    return pipeline(plan, estimator).fit(x, y)
