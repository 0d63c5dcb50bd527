"""Data that MLflow takes for the same and that is not: our digest of it is another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from minimal import minimal_record
from reproof.base.digesting import digest_file
from reproof.model.artifact import Artifact
from reproof.model.record import LoggedRun, Record
from reproof.tracking.values import DatasetInput
from reproof.workflow.datasets import datasets_of, sampled_datasets

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


def record(*materials: Artifact, **more: Any) -> Record:
    return minimal_record(materials=materials, **more)


def material(name: str, digits: str = "a", **more: Any) -> Artifact:
    return Artifact(name=name, digests={"blake3": digits * 64}, size=3, **{"origin": "external", **more})


def only(*materials: Artifact) -> DatasetInput:
    (found,) = datasets_of(record(*materials))
    return found


def frame(**columns: Any) -> Any:
    return pd.DataFrame(columns)


def table() -> Any:
    chance = np.random.default_rng(0)
    return frame(
        number=chance.random(12_000),
        flag=chance.random(12_000) > 0.5,
        when=pd.date_range("2020-01-01", periods=12_000, freq="h"),
        images=[[float(number)] for number in range(12_000)],
    )


def with_column(name: str, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda data: data.assign(**{name: change(data[name])})


def beyond(data: Any) -> Any:
    changed = data.copy()
    changed.loc[10_000:, "number"] = 0.0
    return changed


def turned(data: Any) -> Any:
    """Rows beyond the sample in another order."""
    order = np.r_[:10_000, 11_999:9_999:-1]
    return data.iloc[order].set_index(data.index)


TABLES = {
    "rows after 10,000": beyond,
    "bool": with_column("flag", lambda column: ~column),
    "datetime": with_column("when", lambda column: column + pd.Timedelta(days=1)),
    "object columns": with_column("images", lambda column: column.map(lambda each: [each[0] + 1])),
    "permutation": turned,
}
ARRAYS = {
    "elements after 10,000": lambda data: np.r_[data[:10_000], np.zeros(2_000, data.dtype)],
    "dtype": lambda data: data.astype(np.int32),
}


@pytest.mark.needs("mlflow", "pandas")
@pytest.mark.parametrize("name", TABLES)
def test_tables_that_mlflow_takes_for_the_same(tmp_path: Path, name: str) -> None:
    from mlflow.data import from_pandas

    native, ours = set(), set()
    for number, data in enumerate((table(), TABLES[name](table()))):
        native.add(from_pandas(data, source=str(tmp_path)).digest)
        place = tmp_path / f"{number}.json"
        data.to_json(place, orient="split", date_format="iso")
        ours.add(only(Artifact(name="data.json", digests=digest_file(place))).digest)
    assert len(native) == 1
    assert len(ours) == 2


@pytest.mark.needs("mlflow")
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_mlflow_takes_for_the_same(tmp_path: Path, name: str) -> None:
    from mlflow.data import from_numpy

    native, ours = set(), set()
    first = np.arange(12_000, dtype=np.int64)
    for number, data in enumerate((first, ARRAYS[name](first))):
        native.add(from_numpy(data, source=str(tmp_path)).digest)
        place = tmp_path / f"{number}.npy"
        np.save(place, data)
        ours.add(only(Artifact(name="data.npy", digests=digest_file(place))).digest)
    assert len(native) == 1
    assert len(ours) == 2


def test_a_dataset_says_all_that_is_known() -> None:
    found = only(
        Artifact(
            name="data/a.csv",
            digests={"blake3": "a" * 64, "md5": "b" * 32},
            size=7,
            origin="dvc",
            source="data/a.csv.dvc",
        )
    )
    assert found.digest == "b3:" + "a" * 32
    assert len(found.digest) <= 36
    assert found.tags["reproof.blake3"] == "a" * 64
    assert found.tags["reproof.md5"] == "b" * 32
    assert msgspec.json.decode(found.source) == {"uri": "data/a.csv", "named_in": "data/a.csv.dvc"}
    assert msgspec.json.decode(found.profile) == {"size_bytes": 7}


def test_a_folder_of_dvc_is_one_dataset_and_each_file_counts() -> None:
    files = [
        material(f"images/{number}.png", str(number), origin="dvc", source="images.dvc")
        for number in range(3)
    ]
    whole = only(*files)
    assert (whole.name, whole.tags["reproof.files"]) == ("images", "3")
    assert only(*files[:2]).digest != whole.digest
    assert (
        only(*files[:2], material("images/2.png", "9", origin="dvc", source="images.dvc")).digest
        != whole.digest
    )
    assert only(*reversed(files)).digest == whole.digest


def test_code_is_no_data_and_what_has_no_digest_is_left_out() -> None:
    code = [
        material(name, origin="git")
        for name in ("train.py", "MLproject", ".dvc/config", "conf/a.yaml", "data.dvc")
    ]
    assert datasets_of(record(*code, Artifact(name="gone.csv", origin="git"))) == ()
    assert only(*code, material("table.csv", origin="git")).name == "table.csv"
    assert (
        only(material("conf.yaml")).name == "conf.yaml"
    )  # not in Git: read as data, as far as anybody knows


def test_there_are_never_too_many() -> None:
    assert len(datasets_of(record(*(material(f"{number}.csv") for number in range(1000))))) == 200


def test_the_datasets_of_the_code_are_called_sampled() -> None:
    assert sampled_datasets(record()) is None
    logged = LoggedRun(datasets=("bikes 635a2fbe", "bikes 635a2fbe"))
    said = sampled_datasets(record(runs=(logged,)))
    assert said is not None
    assert said.startswith("bikes 635a2fbe: a label, not an identity")


def test_what_came_from_the_web_has_the_digest_that_is_known() -> None:
    found = only(Artifact(name="https://host/a.csv", digests={"sha256": "c" * 64}, origin="external"))
    assert (found.name, found.digest) == ("https://host/a.csv", "sha256:" + "c" * 29)
    assert found.tags["reproof.sha256"] == "c" * 64
