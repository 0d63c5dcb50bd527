"""What must hold for any settings and data; the training itself is checked by running it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bikes.data import CATEGORIES, FEATURES, NUMBERS, TARGET, read_table, split_table
from bikes.errors import BikesError
from bikes.metrics import importances, measure, rmse_by_trees
from bikes.pipeline import make_pipeline
from bikes.settings import Forest, Split, read_settings

CONFS = sorted((Path(__file__).parent.parent / "confs").rglob("*.yaml"))
FOREST = Forest(n_estimators=7, max_depth=3, min_samples_leaf=1, max_features=1.0, random_state=1)


@pytest.fixture
def table() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    names = {name: draw.choice(["a", "b"], 60) for name in CATEGORIES}
    numbers = {name: draw.random(60) for name in NUMBERS}
    return pd.DataFrame({**names, **numbers, TARGET: draw.random(60)})


@pytest.mark.parametrize("path", CONFS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_settings_file_can_be_read(path: Path) -> None:
    assert read_settings(path).step == path.stem


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("n_estimators: 150", "n_trees: 150", "`forest.n_trees` is not a setting of this step"),
        ("n_estimators: 150", "n_trees: 150", "`forest.n_estimators` is missing"),
        ("test_share: 0.2", "test_share: 2", "`split.test_share`: "),
        ("step: training", "step: traning", "'traning'"),
        ("split:", "split: {", "is not YAML"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "training.yaml"
    path.write_text((CONFS[0].parent / "training.yaml").read_text().replace(old, new))
    with pytest.raises(BikesError, match=path.name) as caught:
        read_settings(path)
    assert complaint in str(caught.value)


def test_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(BikesError, match="cannot read"):
        read_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("season,day\n1,2\n", "Usecols"),
        (",".join((*FEATURES, TARGET)) + "\n" + ",".join(["x"] * 13), "could not convert"),
        (",".join((*FEATURES, TARGET)) + "\n" + ",".join([""] * 13), "values are missing"),
    ],
)
def test_wrong_table(tmp_path: Path, rows: str, complaint: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(rows)
    with pytest.raises(BikesError, match=complaint):
        read_table(path)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(BikesError, match="dvc pull"):
        read_table(tmp_path / "none.csv")


@pytest.mark.parametrize("order", ["time", "shuffled"])
def test_the_parts_make_up_the_whole(table: pd.DataFrame, order: str) -> None:
    train, test = split_table(table, Split(order=order, test_share=0.25, seed=3))
    assert len(test) == 15
    assert sorted([*train.index, *test.index]) == list(table.index)
    assert (test.index.min() > train.index.max()) == (order == "time")


def test_the_target_is_not_a_feature() -> None:
    assert not {TARGET, "casual", "registered"} & set(FEATURES)


def test_measure() -> None:
    errors = measure([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    assert errors == pytest.approx({"rmse": 3**0.5, "mae": 1.0, "bias": 1.0, "r2": -3.5})


def test_the_whole_forest_is_the_last_step(table: pd.DataFrame) -> None:
    features = table[list(FEATURES)]
    pipeline = make_pipeline(FOREST).fit(features, table[TARGET])
    steps = dict(rmse_by_trees(pipeline, features, table[TARGET], every=3))
    assert list(steps) == [3, 6, 7]
    assert steps[7] == pytest.approx(measure(table[TARGET], pipeline.predict(features))["rmse"])


def test_importances_are_by_feature(table: pd.DataFrame) -> None:
    shares = importances(make_pipeline(FOREST).fit(table[list(FEATURES)], table[TARGET]))
    assert set(shares) == set(FEATURES)
    assert sum(shares.values()) == pytest.approx(1.0)
