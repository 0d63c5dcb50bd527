"""The folder `mlruns` is read as MLflow wrote it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reproof.errors import TrackingError
from reproof.tracking.filestore import find_runs
from reproof.tracking.lookup import find_run

pytestmark = pytest.mark.needs("mlflow")


def test_a_run_is_read(files3: tuple[Path, str], access_to) -> None:
    run = find_run(access_to(files3[0]), files3[1][:5])
    assert (run.run_id, run.name, run.experiment, run.status) == (files3[1], "Training", "bikes", "RUNNING")
    assert run.parameters == {"depth": "3"}
    assert run.tags == {"own": "tag", "mlflow.runName": "Training"}
    assert run.artifact_uri.endswith(f"{files3[1]}/artifacts")


@pytest.mark.slow
def test_a_run_of_mlflow_2_is_read(tmp_path: Path, mlflow2: Path) -> None:
    from reproof.tracking.address import parse
    from reproof.tracking.finish import finish
    from reproof.tracking.values import Access, Finish

    access = Access(parse("mlruns", tmp_path), {}, tmp_path, (mlflow2,))
    parameters = {"a/b": "x", "long": "y" * 3000}
    done = finish(Finish(record="r", uri=access.address.uri, status="FAILED", parameters=parameters), access)
    assert done.status == "written", done.reason
    (run,) = find_runs(tmp_path / "mlruns", "")
    assert (run.run_id, run.status, run.parameters) == (done.run_id, "FAILED", parameters)


def test_trash_and_strangers_are_left_out(files3: tuple[Path, str], tmp_path: Path) -> None:
    root = tmp_path / "mlruns"
    shutil.copytree(files3[0], root)
    (experiment,) = {path.parent.parent for path in root.glob(f"*/{files3[1]}/meta.yaml")}
    shutil.move(experiment / files3[1], root / ".trash" / files3[1])
    (root / "models" / "m").mkdir(parents=True)
    (root / "models" / "m" / "meta.yaml").write_text("run_id: x\n")
    assert find_runs(root, "") == []
    assert find_runs(tmp_path / "absent", "") == []


@pytest.mark.parametrize("text", ["a: [", "- a list", "", "\x00"])
def test_damaged_files_are_named(files3: tuple[Path, str], tmp_path: Path, text: str) -> None:
    root = tmp_path / "mlruns"
    shutil.copytree(files3[0], root)
    (meta,) = root.glob(f"*/{files3[1]}/meta.yaml")
    meta.write_text(text)
    with pytest.raises(TrackingError, match="is damaged") as caught:
        find_runs(root, files3[1])
    assert str(meta) in caught.value.message


def test_yaml_of_others_is_not_executed(files3: tuple[Path, str], tmp_path: Path) -> None:
    root = tmp_path / "mlruns"
    shutil.copytree(files3[0], root)
    (meta,) = root.glob(f"*/{files3[1]}/meta.yaml")
    meta.write_text(f"run_id: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    with pytest.raises(TrackingError):
        find_runs(root, "")
    assert not (tmp_path / "made").exists()
