"""What MLflow has of a run, as a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.errors import MissingError
from reproof.model.event import silent
from reproof.store.directory import DirectoryStore
from reproof.tracking.address import parse
from reproof.tracking.lookup import find_run
from reproof.tracking.values import Access, Run
from reproof.workflow.unrecorded.results import Results, fetch_results

ID, CHILD = "a" * 32, "b" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of files with a run, a run below it, metrics and artifacts."""
    top = tmp_path / "mlruns"

    def write(name: str, text: str) -> None:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)

    write("3/meta.yaml", "experiment_id: '3'\nname: flows\n")
    for run, started in ((ID, 10), (CHILD, 20)):
        uri = (top / "3" / run / "artifacts").as_uri()
        facts = f"run_id: {run}\nexperiment_id: '3'\nstart_time: {started}\nend_time: 2010\nstatus: 3\n"
        write(f"3/{run}/meta.yaml", f"{facts}artifact_uri: {uri}\n")
    write(f"3/{CHILD}/tags/mlflow.parentRunId", ID)
    write(f"3/{ID}/metrics/loss", "2 0.5 1\n1 0.25 0\n")
    write(f"3/{ID}/metrics/system/cpu", "1 0.25 0\n")
    write(f"3/{ID}/params/api_token", "ghp_0123456789abcdefghijklmnopqrstuvwxyz")
    write(f"3/{ID}/artifacts/out/plot.txt", "plot")
    write(f"3/{ID}/artifacts/reproof/verdict.json", "{}")
    write(f"3/{CHILD}/artifacts/small.txt", "x")
    return top


def fetch(folder: Path, *, limit: int = 1 << 20, run: Run | None = None) -> Results:
    access = Access(address=parse(folder.as_uri(), folder), environment={}, directory=folder)
    store = DirectoryStore(folder.parent / "store")
    return fetch_results(access, run or find_run(access, ID), store, limit, silent)


def test_everything_of_a_run_and_those_below(folder: Path) -> None:
    found = fetch(folder)
    assert [each.parent for each in found.runs] == [None, 0]
    assert [(each.key, each.step, float.fromhex(each.value)) for each in found.metrics] == [
        ("loss", 0, 0.25),
        ("loss", 1, 0.5),
    ]
    assert "ghp_" not in found.parameters[0].value
    names = [each.name for each in found.products]
    assert names == ["mlflow/artifacts/out/plot.txt", "mlflow/run-1/artifacts/small.txt"]
    assert not found.omissions


def test_a_model_whose_upload_failed_has_no_files_to_miss(folder: Path) -> None:
    for number, status in enumerate((2, 3)):  # ready, and failed
        place = folder / f"3/models/m-{number}"
        place.mkdir(parents=True)
        (place / "meta.yaml").write_text(f"source_run_id: {ID}\nname: model{number}\nstatus: {status}\n")
    assert [each.subject for each in fetch(folder).omissions] == ["mlflow/models/model0"]


def test_what_is_too_much_is_unknown(folder: Path) -> None:
    found = fetch(folder, limit=1)
    assert [(each.subject, each.hides_results) for each in found.omissions] == [
        ("mlflow/run-1/artifacts/small.txt", True)
    ]


@pytest.mark.parametrize(
    ("status", "tags", "message"),
    [
        ("RUNNING", {}, "has not ended"),
        ("KILLED", {}, "was killed"),
        ("FINISHED", {"mlflow.parentRunId": "p"}, "is part of run `p`"),
    ],
)
def test_runs_that_are_no_whole(folder: Path, status: str, tags: dict[str, str], message: str) -> None:
    with pytest.raises(MissingError, match=message) as caught:
        fetch(folder, run=Run(run_id=ID, status=status, tags=tags))
    assert caught.value.ingredient == "run"


def test_names_that_lead_out_are_refused(folder: Path) -> None:
    model = folder / "3/models/m-1"
    (model / "artifacts").mkdir(parents=True)
    (model / "artifacts/MLmodel").write_text("x")
    (model / "meta.yaml").write_text(f"name: ../../evil\nsource_run_id: {ID}\ncreation_timestamp: 1\n")
    found = fetch(folder)
    assert not [each for each in found.products if "evil" in each.name]
    assert [each.reason for each in found.omissions] == ["its name leads out of the artifacts"]
