"""How far predictions are from the truth, in bikes per hour."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import Pipeline


def measure(actual: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """The errors of predictions, both of shape (rows,).

    Returns:
        `rmse`, `mae` and `bias` (mean of predicted minus actual) in bikes per hour, and `r2`,
        the explained share of the variance (at most 1; NaN for a single row).
    """
    actual, predicted = np.asarray(actual), np.asarray(predicted)
    return {
        "rmse": float(root_mean_squared_error(actual, predicted)),
        "mae": float(mean_absolute_error(actual, predicted)),
        "bias": float(np.mean(predicted - actual)),
        "r2": float(r2_score(actual, predicted)) if len(actual) > 1 else float("nan"),
    }


def rmse_by_trees(
    pipeline: Pipeline, features: pd.DataFrame, actual: ArrayLike, every: int
) -> Iterator[tuple[int, float]]:
    """How the error falls while the forest grows.

    Args:
        pipeline: Fitted; its last part is a forest.
        features: The rows to predict.
        actual: The true values, of shape (rows,).
        every: The number of trees between two measurements.

    Yields:
        The number of trees, and the RMSE of the mean of their predictions in bikes per hour.
    """
    forest = pipeline[-1]
    inputs = np.asarray(pipeline[:-1].transform(features), dtype=np.float32)
    total = np.zeros(len(inputs))
    for count, tree in enumerate(forest.estimators_, start=1):
        total += tree.predict(inputs)
        if count % every == 0 or count == len(forest.estimators_):
            yield count, float(root_mean_squared_error(actual, total / count))


def importances(pipeline: Pipeline) -> dict[str, float]:
    """The share of each feature in the forest's decrease of variance; adds up to 1.

    The indicator columns of one feature are added up. Largest first.
    """
    shares: dict[str, float] = {}
    names = pipeline[:-1].get_feature_names_out()
    for name, share in zip(names, pipeline[-1].feature_importances_, strict=True):
        feature = name.split("__", 1)[1]
        if name.startswith("names__"):
            feature = feature.rsplit("_", 1)[0]
        shares[feature] = shares.get(feature, 0.0) + float(share)
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
