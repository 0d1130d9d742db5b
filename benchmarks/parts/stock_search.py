"""Optuna's own ask and tell, on the same database and after the same history."""

from __future__ import annotations

import time

import optuna

from benchmarks.parts.search_loop import objective
from services.optimizer.core.trial import Value

optuna.logging.set_verbosity(optuna.logging.WARNING)

_WARM_TRIALS = 2


def trials_per_second(url: str, name: str, search: str, trial_count: int) -> float:
    """Return how many trials a second a stock client adds to a study.

    Args:
        url: The database.
        name: The study, with its history.
        search: "random" or "tpe".
        trial_count: Trials to time, after two that fill Optuna's caches.
    """
    storage = optuna.storages.RDBStorage(url)
    sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(seed=1)
    if search == "random":
        sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
    try:
        for _ in range(_WARM_TRIALS):
            _trial(study)
        began = time.perf_counter()
        for _ in range(trial_count):
            _trial(study)
        return trial_count / (time.perf_counter() - began)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _trial(study: optuna.Study) -> None:
    trial = study.ask()
    point: dict[str, Value] = {
        "fast_period": trial.suggest_int("fast_period", 2, 100),
        "slow_period": trial.suggest_int("slow_period", 20, 400),
        "stop_loss_ratio": trial.suggest_float("stop_loss_ratio", 0.001, 0.2, log=True),
        "average": trial.suggest_categorical("average", ["sma", "ema", "wma"]),
    }
    study.tell(trial, objective(point))
