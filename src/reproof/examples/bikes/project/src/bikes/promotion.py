"""Gives a model that is good enough a name and an alias in the registry."""

import mlflow

from bikes import tracking
from bikes.data import FEATURES
from bikes.results import read_results, write_results
from bikes.settings import Promotion


def run(settings: Promotion) -> None:
    """Register the model if its RMSE is low enough, and write the decision to `output`."""
    rmse = read_results(settings.evaluation)["rmse"]
    promoted = rmse <= settings.highest_rmse
    with tracking.start(settings.step) as active:
        pipeline = tracking.load_model(settings.model, active)
        mlflow.log_metric("rmse", rmse)
        mlflow.log_param("promoted", promoted)
        if promoted:
            tracking.register_model(pipeline, list(FEATURES), settings.name, settings.alias)
        decision = {"promoted": promoted, "rmse": rmse, "highest_rmse": settings.highest_rmse}
        write_results(settings.output, decision)
    print(f"{'promoted' if promoted else 'kept back'}: RMSE {rmse:.2f} bikes per hour")
