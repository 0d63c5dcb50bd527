"""What a run read of earlier MLflow runs is known, kept, and put into the room's own store."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from minimal import minimal_record
from reproof.base.naming import Naming
from reproof.errors import MaterialError, TrackingError
from reproof.model.artifact import Artifact
from reproof.model.tracked import OwnVersion, ReadMetric, ReadModel, ReadRun, ReadVersion, TrackedSection
from reproof.store.directory import DirectoryStore
from reproof.tracking.shelf import place_of
from reproof.tracking.template import prepare
from reproof.workflow.earlier_runs import artifacts_read, copy_tree, lay_out_earlier, require_kept

RECORD = minimal_record()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mlruns/1/models/m-1/artifacts/model.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"model")
    os.utime(path, (1000, 1000))
    return path


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def test_what_was_there_before_counts(tmp_path: Path, model: Path, store: DirectoryStore) -> None:
    naming = Naming(top=str(tmp_path), home="/nowhere")
    other = tmp_path / "mlruns/1/meta.yaml"
    other.write_text("x")
    read = artifacts_read(
        [str(model), str(other), str(model) + "x"], [str(tmp_path / "mlruns")], naming, 2000
    )
    assert [(each.name, each.origin, each.size) for each in read] == [
        ("mlruns/1/models/m-1/artifacts/model.pkl", "mlflow", 5)
    ]
    with pytest.raises(MaterialError, match="does not say of which") as caught:
        require_kept(msgspec.structs.replace(RECORD, materials=tuple(read)), store)
    assert "model.pkl" in caught.value.details[0][1]


def test_what_the_run_wrote_itself_does_not(tmp_path: Path, model: Path, store: DirectoryStore) -> None:
    naming = Naming(top=str(tmp_path), home="/nowhere")
    assert artifacts_read([str(model)], [str(tmp_path / "mlruns")], naming, 500) == []
    require_kept(RECORD, store)


@pytest.mark.parametrize("note", ["too large to keep", None])
def test_what_was_not_kept_is_named_with_the_way_out(store: DirectoryStore, note: str | None) -> None:
    lost = Artifact(
        name="models:/bikes/3/model.pkl",
        digests={"sha256": "5" * 64},
        size=3 << 30,
        origin="mlflow",
        source="models:/bikes@champion",
        note=note,
    )
    record = msgspec.structs.replace(RECORD, materials=(lost,), tracked=TrackedSection())
    with pytest.raises(MaterialError, match=r"cannot restore `models:/bikes/3/model.pkl`") as caught:
        require_kept(record, store)
    assert "models:/bikes@champion" in caught.value.details[0][1]
    assert caught.value.hint is not None
    assert ("max-kept-bytes = 3221225472" if note else "--store") in caught.value.hint


@pytest.mark.parametrize("root", ["models:/a/../b", "runs:/", "s3://a/b", "models:/a//1"])
def test_no_address_leads_out_of_the_room(root: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no address of a run or model"):
        place_of(root, tmp_path)


@pytest.mark.parametrize("name", ["runs:/abc/../../../x", "runs:/abc"])
def test_no_material_leads_out_of_the_room(name: str, tmp_path: Path, store: DirectoryStore) -> None:
    stray = Artifact(name=name, digests={"blake3": store.put_bytes(b"x").value}, origin="mlflow")
    record = msgspec.structs.replace(RECORD, materials=(stray,), tracked=TrackedSection())
    with pytest.raises(MaterialError, match="not in the clean room"):
        lay_out_earlier(record, store, f"sqlite:///{tmp_path}/x.db", tmp_path)


def test_links_in_a_store_are_not_followed(tmp_path: Path) -> None:
    source = tmp_path / "a"
    (source / "inner").mkdir(parents=True)
    (source / "inner/file").write_text("x")
    (source / "out").symlink_to("/etc")
    (source / "link").symlink_to("/etc/passwd")
    copy_tree(source, tmp_path / "b")
    names = sorted(str(path.relative_to(tmp_path / "b")) for path in (tmp_path / "b").rglob("*"))
    assert names == ["inner", "inner/file"]


SECTION = TrackedSection(
    versions=(
        ReadVersion(
            name="bikes", version="3", aliases=("champion",), source="models:/m-" + "a" * 32, tags={"a": "b"}
        ),
    ),
    runs=(
        ReadRun(
            run="f" * 32,
            experiment="mine",
            experiment_id="7",
            tags={"step": "train"},
            parameters={"k": "v"},
            metrics=(
                ReadMetric(key="a", value="0x1.8p+0", step=2, time=5),
                ReadMetric(key="b", value="nan"),
                ReadMetric(key="c", value="-inf"),
            ),
        ),
    ),
    models=(ReadModel(model="m-" + "a" * 32, name="model", experiment="mine", experiment_id="7"),),
    own_versions=(OwnVersion(name="bikes", version="9"), OwnVersion(name="bikes", version="10")),
)


@pytest.mark.needs("mlflow")
@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_mlflow_finds_what_was_recorded(
    tmp_path: Path, store: DirectoryStore, major: int, request: pytest.FixtureRequest
) -> None:
    import subprocess

    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    folder = tmp_path / "room"
    folder.mkdir()
    version = subprocess.check_output(
        [python, "-c", "import importlib.metadata as m; print(m.version('mlflow'))"], text=True
    ).strip()
    uri = prepare(python, version, folder / "mlflow.db")
    read = [
        Artifact(name=name, digests={"blake3": store.put_bytes(name.encode()).value}, origin="mlflow")
        for name in ("models:/bikes/3/MLmodel", f"runs:/{'f' * 32}/sub/x.txt")
    ]
    record = msgspec.structs.replace(RECORD, materials=tuple(read), tracked=SECTION)
    lay_out_earlier(record, store, uri, folder)
    code = f"""
import mlflow
mlflow.set_tracking_uri({uri!r})
client = mlflow.MlflowClient()
found = client.get_model_version_by_alias("bikes", "champion")
assert (str(found.version), found.status, found.tags) == ("3", "READY", {{"a": "b"}}), found
get = mlflow.artifacts.download_artifacts
assert open(get("models:/bikes@champion/MLmodel")).read() == "models:/bikes/3/MLmodel"
assert open(get("runs:/{"f" * 32}/sub/x.txt")).read().startswith("runs:/")
run, = mlflow.search_runs(experiment_names=["mine"], filter_string="tags.step = 'train'", output_format="list")
assert run.info.experiment_id == "7" and run.data.params == {{"k": "v"}}, run
assert run.data.metrics["a"] == 1.5 and run.data.metrics["b"] != run.data.metrics["b"]
if mlflow.__version__ >= "3":
    model = client.get_logged_model("m-{"a" * 32}")
    assert (model.name, str(model.status)) == ("model", "READY")
assert str(client.create_model_version("bikes", "x").version) == "9"
mlflow.set_experiment("other")
mlflow.start_run()
"""
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("mlflow")
def test_what_an_earlier_stage_makes_again_is_left_to_it(tmp_path: Path, store: DirectoryStore) -> None:
    from importlib.metadata import version

    uri = prepare(Path(sys.executable), version("mlflow"), tmp_path / "mlflow.db")
    record = msgspec.structs.replace(RECORD, tracked=SECTION)
    made = frozenset(("models:/bikes/3", "runs:/" + "f" * 32, "models:/bikes/8"))
    lay_out_earlier(record, store, uri, tmp_path, made)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM model_versions").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM logged_models").fetchone() == (1,)
