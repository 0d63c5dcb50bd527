"""The error of a model that forty packages have a share in, logged to MLflow."""

import importlib
import os

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

import mlflow

shares = [importlib.import_module(f"part{number:02d}").WEIGHT for number in range(40)]
mlflow.log_metric("rmse", 5.0 * sum(shares) / len(shares))
