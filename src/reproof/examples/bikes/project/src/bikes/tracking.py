"""MLflow: the run of a step, and the models of earlier runs."""

import logging
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.pipeline import Pipeline

from bikes.errors import BikesError

#: By this tag a step finds the runs of another.
STEP = "bikes.step"
#: What loading the model needs; more would tie it to this project.
_NEEDED = ("cloudpickle", "mlflow", "numpy", "pandas", "scikit-learn", "scipy")


def start(step: str) -> mlflow.ActiveRun:
    """The run of this step, to be used in a `with` statement.

    Under `mlflow run` it exists already, and keeps the name that it was given there.
    """
    given = "MLFLOW_RUN_ID" in os.environ
    return mlflow.start_run(run_name=None if given else step.capitalize(), tags={STEP: step})


def log_model(pipeline: Pipeline, features: pd.DataFrame) -> None:
    """Log a fitted pipeline as `model`, with its signature and an input example.

    Args:
        pipeline: The fitted pipeline.
        features: Rows that it was fitted to.
    """
    example = features.head(5)
    # skops, the default, does not trust trees, and writes memory addresses into its files: no two
    # trainings are byte for byte the same. Those of cloudpickle are. As any pickle, load it only
    # from a store that you trust; having said so, we need no warning at each training.
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    mlflow.sklearn.log_model(
        pipeline,
        name="model",
        serialization_format="cloudpickle",
        signature=infer_signature(example, pipeline.predict(example)),
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
    )


def save_model(pipeline: Pipeline, folder: Path) -> None:
    """Write a fitted pipeline into a folder, in place of what is there, for `load_model`."""
    shutil.rmtree(folder, ignore_errors=True)
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    mlflow.sklearn.save_model(
        pipeline,
        path=str(folder),
        serialization_format="cloudpickle",
        pip_requirements=[f"{name}=={version(name)}" for name in _NEEDED],
    )


def register_model(pipeline: Pipeline, features: list[str], name: str, alias: str) -> None:
    """Log a fitted pipeline as a new version of the registered model `name`, known by `alias`."""
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    logged = mlflow.sklearn.log_model(
        pipeline,
        name=name,
        serialization_format="cloudpickle",
        metadata={"features": ",".join(features)},
        pip_requirements=[f"{each}=={version(each)}" for each in _NEEDED],
        registered_model_name=name,
    )
    mlflow.MlflowClient().set_registered_model_alias(
        name, alias, str(logged.registered_model_version)
    )


def load_model(address: str, run: mlflow.ActiveRun) -> Pipeline:
    """Load a fitted pipeline, and log its address as parameter `model`.

    Args:
        address: `newest` for the last finished training in the experiment of `run`, or what MLflow
            understands: `runs:/RUN_ID/model`, `models:/NAME/VERSION`, a folder.
        run: The run of this step.

    Raises:
        BikesError: There is no such model.
    """
    if address == "newest":
        address = _newest(run.info.experiment_id)
    mlflow.log_param("model", address)
    try:
        return mlflow.sklearn.load_model(address)
    except (MlflowException, OSError) as error:
        raise BikesError(f"cannot load the model `{address}`: {error}") from error


def _newest(experiment_id: str) -> str:
    runs = mlflow.search_runs(
        [experiment_id],
        filter_string=f"tags.`{STEP}` = 'training' AND attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    if not runs:
        name = mlflow.get_experiment(experiment_id).name
        raise BikesError(
            f"experiment `{name}` has no finished training: run confs/training.yaml in it first, "
            "or name a model in the settings"
        )
    return f"runs:/{runs[0].info.run_id}/model"
