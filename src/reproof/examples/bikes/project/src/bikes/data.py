"""The table of hourly rentals: reading, splitting, and naming it for MLflow."""

import hashlib
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.pandas_dataset import PandasDataset

from bikes.errors import BikesError
from bikes.settings import Split

#: Columns whose values are names, even where they look like numbers.
CATEGORIES = ("season", "mnth", "weekday", "weathersit")
#: Columns whose values have an order. See data/DATA.md for their units.
NUMBERS = ("day", "hr", "holiday", "workingday", "temp", "atemp", "hum", "windspeed")
#: What the model sees. `casual` and `registered` add up to the target: they must stay out.
FEATURES = (*CATEGORIES, *NUMBERS)
#: Bikes rented in the hour.
TARGET = "bikers"

_TYPES = {**dict.fromkeys(CATEGORIES, "str"), **dict.fromkeys((*NUMBERS, TARGET), "float64")}


def read_table(path: Path, *, with_target: bool = True) -> pd.DataFrame:
    """Read the table with declared types, so that nothing is guessed from its content.

    Args:
        path: A CSV file with the columns of data/DATA.md, others are left out.
        with_target: Whether the target is needed as well as the features.

    Returns:
        One row for each hour: names as `str`, numbers as `float64`, in the order of the file.

    Raises:
        BikesError: The file cannot be read, lacks a column, or has a value of another type.
    """
    columns = [*FEATURES, TARGET] if with_target else [*FEATURES]
    types = {name: _TYPES[name] for name in columns}
    try:
        table = pd.read_csv(path, usecols=columns, dtype=types)
    except OSError as error:
        hint = f"try `dvc pull {path}`"
        raise BikesError(f"cannot read `{path}`: {error.strerror} ({hint})") from error
    except ValueError as error:
        raise BikesError(f"`{path}` cannot be used: {error}") from error
    if table.isna().any(axis=None):
        holes = ", ".join(f"`{name}`" for name in table.columns[table.isna().any()])
        raise BikesError(f"`{path}` cannot be used: values are missing in {holes}")
    return table[columns]


def split_table(table: pd.DataFrame, split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the rows into those for training and those for testing, at least one of each.

    Args:
        table: Rows in order of time.
        split: The share of the test rows, and how they are chosen.
    """
    rows = np.arange(len(table))
    if split.order == "shuffled":
        rows = np.random.default_rng(split.seed).permutation(rows)
    tested = min(max(round(len(table) * split.test_share), 1), len(table) - 1)
    return table.iloc[rows[:-tested]], table.iloc[rows[-tested:]]


def as_dataset(table: pd.DataFrame, path: Path) -> PandasDataset:
    """The table as MLflow logs data: where it lies, and its digest.

    MLflow's own digest covers 10,000 rows with 32 bits; this is the MD5 of the whole
    file, the same by which DVC names it.
    """
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    with warnings.catch_warnings():
        # MLflow knows a local file under two equal names, and says so each time.
        warnings.filterwarnings("ignore", "The specified dataset source can be interpreted")
        return mlflow.data.from_pandas(
            table, source=path.as_posix(), targets=TARGET, name=path.stem, digest=digest
        )
