"""MLflow's model folders: what belongs to the run is set aside by name and place, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from model_samples import mlmodel, skops_bytes

from projects import ready_store
from reproof.compare import compare
from reproof.model.difference import Difference, Outcome

FIELDS = {
    f"MLmodel {name}" for name in ("artifact_path", "model_id", "model_uuid", "run_id", "utc_time_created")
}


def described(folder: Path, one: bytes, two: bytes) -> Difference:
    sides = []
    for name, data in (("one", one), ("two", two)):
        path = folder / name / "MLmodel"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sides.append(path)
    return compare(*sides)


def test_another_run_is_equivalent_and_each_field_is_named(tmp_path: Path) -> None:
    found = described(tmp_path, mlmodel(), mlmodel("c", "d", "2026-11-24 10:00:00"))
    assert (found.outcome, set(found.canonicalisations)) == (Outcome.EQUIVALENT, FIELDS)


def test_fields_of_mlflow_2_are_known_too(tmp_path: Path) -> None:
    old = b"artifact_path: model\nflavors:\n  sklearn:\n    code: null\nmodel_uuid: %s\nrun_id: %s\n"
    found = described(tmp_path, old % (b"a" * 32, b"b" * 32), old % (b"c" * 32, b"d" * 32))
    assert set(found.canonicalisations) == {"MLmodel model_uuid", "MLmodel run_id"}
    other = (old % (b"c" * 32, b"d" * 32)).replace(b"artifact_path: model", b"artifact_path: other")
    assert described(tmp_path, old % (b"a" * 32, b"b" * 32), other).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("before", "after", "subject"),
    [
        ("sklearn_version: 1.9.1", "sklearn_version: 1.9.2", "$.flavors.sklearn.sklearn_version"),
        ("code: null", "code: src", "$.flavors.sklearn.code"),
        ("run_id: b", "run_id: X", "$.run_id"),
        ("model_uuid: m-a", "model_uuid: m-f", "$.model_uuid"),
        ("'2026-11-23", "'yesterday", "$.utc_time_created"),
        ("/artifacts\n", "/elsewhere\n", "$.artifact_path"),
        ("mlflow_version: 3.17.2", "mlflow_version: 3.17.3", "$.mlflow_version"),
        ("float64", "float32", "$.signature.inputs"),
        ("run_id: b", "run_id: null\nother: b", "$.run_id"),
    ],
)
def test_other_values_are_content(tmp_path: Path, before: str, after: str, subject: str) -> None:
    changed = mlmodel("c", "d").decode().replace(before.replace(" b", " d").replace("m-a", "m-c"), after)
    assert changed != mlmodel("c", "d").decode()
    found = described(tmp_path, mlmodel(), changed.encode())
    assert found.outcome is Outcome.DIFFERENT
    assert subject in [part.subject for part in found.children]


@pytest.mark.parametrize("place", ["metadata:\n  ", "signature:\n  ", "flavors:\n  python_function:\n    "])
@pytest.mark.parametrize("field", ["run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path"])
def test_fields_of_the_same_name_elsewhere_are_content(tmp_path: Path, place: str, field: str) -> None:
    values = {"utc_time_created": ("'2026-11-23 10:00:00'", "'2026-11-24 10:00:00'")}
    first, second = values.get(field, ("a" * 32, "b" * 32))
    kept = "flavors:\n  own:\n    x: 1\n" if not place.startswith("flavors") else ""
    sides = [f"{kept}{place}{field}: {value}\n".encode() for value in (first, second)]
    found = described(tmp_path, *sides)
    assert found.outcome is Outcome.DIFFERENT


def test_the_size_is_derived_only_where_it_is_that_of_the_files(tmp_path: Path) -> None:
    sides = []
    for name, content in (("one", b"x" * 100), ("two", b"x" * 101)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.skops").write_bytes(content)
        (folder / "MLmodel").write_bytes(mlmodel(size=len(content)))
        sides.append(folder / "MLmodel")
    found = compare(*sides)
    assert found.outcome is Outcome.EQUIVALENT
    assert found.canonicalisations == ("MLmodel model_size_bytes, the size of the files beside it",)
    sides[1].write_bytes(mlmodel(size=102))
    assert compare(*sides).outcome is Outcome.DIFFERENT
    for side in sides:
        (side.parent / "model.skops").unlink()
    found = compare(*sides)
    assert (found.outcome, found.children[0].subject) == (Outcome.UNKNOWN, "$.model_size_bytes")


def test_what_is_no_model_description_is_plain_yaml(tmp_path: Path) -> None:
    found = described(tmp_path, b"run_id: %s\n" % (b"a" * 32), b"run_id: %s\n" % (b"b" * 32))
    assert (found.outcome, found.kind) == (Outcome.DIFFERENT, "yaml")


def test_broken_yaml_is_unknown_or_different(tmp_path: Path) -> None:
    found = described(tmp_path, mlmodel(), mlmodel() + b"\t: [\n")
    assert found.outcome in (Outcome.UNKNOWN, Outcome.DIFFERENT)


def test_the_registry_counts_versions(tmp_path: Path) -> None:
    def both(one: str, two: str) -> Difference:
        paths = []
        for name, text in (("one", one), ("two", two)):
            path = tmp_path / name / "registered_model_meta"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            paths.append(path)
        return compare(*paths)

    text = "model_name: {}\nmodel_version: '{}'\n"
    found = both(text.format("bikes", 1), text.format("bikes", 12))
    assert found.canonicalisations == ("registered_model_meta model_version",)
    assert both(text.format("bikes", 1), text.format("cars", 1)).outcome is Outcome.DIFFERENT
    assert both(text.format("bikes", 1), text.format("bikes", "x")).outcome is Outcome.DIFFERENT


LOG = """\
import sys
import mlflow
import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

for wanted in sys.argv[1:]:
    target, _, seed = wanted.rpartition(":")
    points = np.random.RandomState(0).rand(60, 3)
    forest = RandomForestRegressor(3, max_depth=3, random_state=int(seed))
    model = Pipeline([("scaler", StandardScaler()), ("regressor", forest)]).fit(points, points.sum(1))
    signature = mlflow.models.infer_signature(points, model.predict(points))
    with mlflow.start_run():
        for form in ("skops", "cloudpickle", "pickle"):
            options = {"skops_trusted_types": ["sklearn.tree._tree.Tree"]} if form == "skops" else {}
            info = mlflow.sklearn.log_model(model, name=form, serialization_format=form, signature=signature,
                                            pip_requirements=["scikit-learn"], **options)
            mlflow.artifacts.download_artifacts(info.model_uri, dst_path=f"{target}/{form}")
"""


@pytest.mark.slow
@pytest.mark.needs("mlflow", "sklearn", "skops")
def test_models_that_mlflow_logs_twice(tmp_path: Path) -> None:
    (tmp_path / "log.py").write_text(LOG)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "MLFLOW_TRACKING_URI": ready_store(tmp_path / "mlflow.db"),
    }
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        for form in ("skops", "cloudpickle", "pickle"):
            (folder / form).mkdir(parents=True)
    for wanted in (("one:1",), ("two:1", "three:2")):  # importing MLflow takes most of the time
        command = [sys.executable, str(tmp_path / "log.py"), *wanted]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    found = compare(folders[0], folders[1])
    assert found.outcome is Outcome.EQUIVALENT, found
    assert set(found.canonicalisations) >= {*FIELDS, "skops object ids"}
    other = compare(folders[0], folders[2])
    named = [part for part in other.walk() if part.subject.endswith("regressor.random_state")]
    assert len(named) == 3


def test_a_folder_with_a_model_is_equivalent_as_a_whole(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    def folder(name: str, **fields: Any) -> Path:
        place = tmp_path / name
        place.mkdir()
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, fields.pop("slope", 2.0)])
        (place / "model.skops").write_bytes(skops_bytes(model))
        (place / "MLmodel").write_bytes(mlmodel(**fields))
        (place / "input_example.json").write_text('{"columns": ["a"], "data": [[1.0]]}')
        return place

    one, two, three = folder("one"), folder("two", model="c", run="d"), folder("three", slope=3.0)
    found = compare(one, two)
    assert found.outcome is Outcome.EQUIVALENT
    assert {part.kind for part in found.children} == {"mlmodel", "skops"}
    assert any(part.subject == "coef_" for part in compare(one, three).walk())
