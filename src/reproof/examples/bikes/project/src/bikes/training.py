"""Fits one forest and logs it, with all that is needed to judge it."""

import mlflow
import pandas as pd
from sklearn.pipeline import Pipeline

from bikes import tracking
from bikes.data import FEATURES, TARGET, as_dataset, read_table, split_table
from bikes.metrics import importances, measure, rmse_by_trees
from bikes.pipeline import make_pipeline
from bikes.results import read_results
from bikes.settings import Forest, Training, flat


def run(settings: Training) -> None:
    """Train as the settings say, within an MLflow run of its own."""
    table = read_table(settings.data.path)
    train, test = split_table(table, settings.split)
    with tracking.start(settings.step):
        settings = _with_best(settings)
        mlflow.log_params(flat(settings, "data", "split", "forest"))
        mlflow.log_input(as_dataset(table, settings.data.path), context=settings.step)
        pipeline = make_pipeline(settings.forest)
        pipeline.fit(train[list(FEATURES)], train[TARGET])
        predicted = _log_metrics(pipeline, train, test)
        _log_artifacts(pipeline, test, predicted)
        tracking.log_model(pipeline, train[list(FEATURES)])
        if settings.output is not None:
            tracking.save_model(pipeline, settings.output)


def _with_best(settings: Training) -> Training:
    """The settings, with what tuning found on top."""
    if settings.best is None:
        return settings
    found = read_results(settings.best)["forest"]
    forest = Forest.model_validate({**settings.forest.model_dump(), **found})
    return settings.model_copy(update={"forest": forest})


def _log_metrics(pipeline: Pipeline, train: pd.DataFrame, test: pd.DataFrame) -> pd.Series:
    """Log the errors on both parts, and return the predictions for `test`."""
    for name, part in (("train", train), ("test", test)):
        predicted = pd.Series(pipeline.predict(part[list(FEATURES)]), index=part.index)
        errors = measure(part[TARGET], predicted)
        mlflow.log_metrics({f"{name}_{metric}": value for metric, value in errors.items()})
        print(f"{name:>5}: RMSE {errors['rmse']:.2f} bikes per hour, R2 {errors['r2']:.4f}")
    for trees, rmse in rmse_by_trees(pipeline, test[list(FEATURES)], test[TARGET], every=10):
        mlflow.log_metric("test_rmse_by_trees", rmse, step=trees)
    return predicted


def _log_artifacts(pipeline: Pipeline, test: pd.DataFrame, predicted: pd.Series) -> None:
    rows = pd.DataFrame(
        {"day": test["day"].astype(int), "hr": test["hr"].astype(int), "actual": test[TARGET]}
    ).assign(predicted=predicted)
    mlflow.log_text(rows.to_csv(index_label="row", lineterminator="\n"), "predictions.csv")
    mlflow.log_dict(importances(pipeline), "feature_importances.json")
