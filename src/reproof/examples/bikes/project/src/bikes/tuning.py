"""Searches for better settings of the forest; each trial is a run within the run."""

from collections.abc import Mapping
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterSampler, TimeSeriesSplit

from bikes import tracking
from bikes.data import FEATURES, TARGET, as_dataset, read_table, split_table
from bikes.metrics import measure
from bikes.pipeline import make_pipeline
from bikes.results import write_results
from bikes.settings import Forest, Tuning, flat


def run(settings: Tuning) -> None:
    """Try random settings on the training rows alone, and log the best as `best.*`."""
    table = read_table(settings.data.path)
    train, _ = split_table(table, settings.split)
    search = settings.search
    space = search.space.model_dump()
    trials = min(search.trials, int(np.prod([len(values) for values in space.values()])))
    best_rmse, best = float("inf"), {}
    with tracking.start(settings.step):
        mlflow.log_params(flat(settings, "data", "split", "forest", "search"))
        mlflow.log_input(as_dataset(table, settings.data.path), context=settings.step)
        sampler = ParameterSampler(space, trials, random_state=search.seed)
        for number, chosen in enumerate(sampler, start=1):
            rmse = _try(number, chosen, settings, train)
            mlflow.log_metric("trial_rmse", rmse, step=number)
            if rmse < best_rmse:
                best_rmse, best = rmse, chosen
        mlflow.log_metric("best_rmse", best_rmse)
        mlflow.log_params({f"best.{name}": value for name, value in sorted(best.items())})
        if settings.output is not None:
            write_results(
                settings.output, {"rmse": best_rmse, "forest": dict(sorted(best.items()))}
            )
    print(f"best: RMSE {best_rmse:.2f} bikes per hour with {dict(sorted(best.items()))}")


def _try(number: int, chosen: Mapping[str, Any], settings: Tuning, train: pd.DataFrame) -> float:
    """One trial: the mean error over folds, each tested on the time after its training."""
    forest = Forest.model_validate({**settings.forest.model_dump(), **chosen})
    errors = []
    with mlflow.start_run(run_name=f"Trial {number}", nested=True):
        mlflow.log_params({f"forest.{name}": value for name, value in sorted(chosen.items())})
        folds = TimeSeriesSplit(settings.search.folds).split(train)
        for fold, (fit_rows, test_rows) in enumerate(folds, start=1):
            fitted, tested = train.iloc[fit_rows], train.iloc[test_rows]
            pipeline = make_pipeline(forest).fit(fitted[list(FEATURES)], fitted[TARGET])
            error = measure(tested[TARGET], pipeline.predict(tested[list(FEATURES)]))["rmse"]
            mlflow.log_metric("fold_rmse", error, step=fold)
            errors.append(error)
        rmse = float(np.mean(errors))
        mlflow.log_metric("rmse", rmse)
    return rmse
