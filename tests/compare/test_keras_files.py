"""Keras archives: dates and addresses are set aside by name, layers are content."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_samples import FILES

from reproof.compare import compare
from reproof.model.difference import Difference, Outcome


def changed(path: Path, member: str, change: Callable[[Any], None]) -> Path:
    with zipfile.ZipFile(FILES / "keras_a.keras") as archive, zipfile.ZipFile(path, "w") as target:
        for name in archive.namelist():
            data = archive.read(name)
            if name == member:
                tree = json.loads(data)
                change(tree)
                data = json.dumps(tree).encode()
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return path


def parts(found: Difference) -> list[str]:
    return [part.subject for part in found.walk()]


def test_one_seed_twice_and_another_seed() -> None:
    found = compare(FILES / "keras_a.keras", FILES / "keras_b.keras")
    assert found.outcome is Outcome.EQUIVALENT
    assert set(found.canonicalisations) >= {"Keras date_saved", "Keras shared_object_id"}
    other = compare(FILES / "keras_a.keras", FILES / "keras_c.keras")
    assert other.outcome is Outcome.DIFFERENT
    assert "layers/dense/vars/0" in parts(other)


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("metadata.json", lambda tree: tree.update(keras_version="2.0")),
        ("metadata.json", lambda tree: tree.update(date_saved="yesterday")),
        ("metadata.json", lambda tree: tree.update(inner={"date_saved": "2026-11-23@10:11:26"})),
        ("config.json", lambda tree: tree["config"].update(name="other")),
        ("config.json", lambda tree: tree["config"].update(shared_object_id=7)),
        ("config.json", lambda tree: tree["config"]["dtype"].update(shared_object_id="7")),
    ],
)
def test_other_values_are_content(tmp_path: Path, member: str, change: Callable[[Any], None]) -> None:
    plain = changed(tmp_path / "one.keras", member, lambda _: None)
    assert compare(plain, changed(tmp_path / "two.keras", member, change)).outcome is Outcome.DIFFERENT


def test_which_objects_are_shared_is_content(tmp_path: Path) -> None:
    def part_ways(tree: Any) -> None:
        dtype = tree["config"]["layers"][1]["config"]["dtype"]
        dtype["shared_object_id"] = 1

    plain = changed(tmp_path / "one.keras", "config.json", lambda _: None)
    assert (
        compare(plain, changed(tmp_path / "two.keras", "config.json", part_ways)).outcome is Outcome.DIFFERENT
    )


def test_a_member_that_is_gone(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(FILES / "keras_a.keras") as archive,
        zipfile.ZipFile(tmp_path / "x.keras", "w") as target,
    ):
        for name in archive.namelist():
            if not name.endswith(".h5"):
                target.writestr(name, archive.read(name))
    found = compare(FILES / "keras_a.keras", tmp_path / "x.keras")
    assert (found.outcome, "model.weights.h5" in parts(found)) == (Outcome.DIFFERENT, True)


TRAIN = """\
import os, sys
os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
for wanted in sys.argv[1:]:
    name, _, seed = wanted.rpartition(":")
    keras.utils.clear_session()
    keras.utils.set_random_seed(int(seed))
    points = np.random.RandomState(0).rand(40, 3)
    layers = [keras.layers.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(points, points.sum(1), epochs=1, verbose=0)
    model.save(name + ".keras")
    model.save(name + ".h5")
"""


@pytest.mark.frameworks
@pytest.mark.needs("keras", "torch", "h5py")
def test_trainings_in_two_processes(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    for wanted in (("one:1",), ("two:1", "three:2")):  # importing all that takes most of the time
        subprocess.run([sys.executable, "-c", TRAIN, *wanted], cwd=tmp_path, check=True)
    for ending in (".keras", ".h5"):
        paths = [tmp_path / f"{name}{ending}" for name in names]
        assert compare(paths[0], paths[1]).outcome <= Outcome.EQUIVALENT
        other = compare(paths[0], paths[2])
        assert other.outcome is Outcome.DIFFERENT
        assert any("dense" in part for part in parts(other))
