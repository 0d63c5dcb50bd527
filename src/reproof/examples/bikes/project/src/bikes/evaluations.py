"""Measures a model on the test rows, as a whole and group by group."""

import mlflow
import pandas as pd

from bikes import tracking
from bikes.data import FEATURES, TARGET, as_dataset, read_table, split_table
from bikes.metrics import measure
from bikes.results import write_results
from bikes.settings import Evaluations, flat


def run(settings: Evaluations) -> None:
    """Evaluate within an MLflow run; the groups go into the artifact `groups.json`."""
    table = read_table(settings.data.path)
    _, test = split_table(table, settings.split)
    with tracking.start(settings.step) as active:
        mlflow.log_params(flat(settings, "data", "split"))
        mlflow.log_input(as_dataset(table, settings.data.path), context=settings.step)
        pipeline = tracking.load_model(settings.model, active)
        test = test.assign(predicted=pipeline.predict(test[list(FEATURES)]))
        errors = measure(test[TARGET], test["predicted"])
        mlflow.log_metrics({f"test_{metric}": value for metric, value in errors.items()})
        groups = {column: _by_value(test, column) for column in settings.groups}
        mlflow.log_dict(groups, "groups.json")
        if settings.output is not None:
            write_results(settings.output, {**errors, "groups": groups})
    print(f" test: RMSE {errors['rmse']:.2f} bikes per hour, R2 {errors['r2']:.4f}")


def _by_value(rows: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """The number of rows, and the errors, for each value of a column."""
    return {
        value if isinstance(value, str) else f"{value:g}": {
            "rows": len(group),
            **measure(group[TARGET], group["predicted"]),
        }
        for value, group in rows.groupby(column)
    }
