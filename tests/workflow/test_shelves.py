"""What stages pass on to each other through MLflow is carried from re-run to re-run where that is needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from minimal import minimal_record
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.model.tracked import OwnVersion, ReadVersion, TrackedSection
from reproof.store.records import Found
from reproof.workflow.earlier_runs import Shelf
from reproof.workflow.pipeline.shelves import Shelves
from reproof.workflow.room import Room
from reproof.workflow.room_store import store_folder

PLAIN = minimal_record()
TRAIN = msgspec.structs.replace(
    PLAIN, tracked=TrackedSection(own_versions=(OwnVersion(name="bikes", version="3"),))
)
MODEL = Artifact(name="models:/bikes/3/model.pkl", digests={"blake3": "a" * 64}, origin="mlflow")
INFER = msgspec.structs.replace(
    PLAIN,
    tracked=TrackedSection(versions=(ReadVersion(name="bikes", version="3"),)),
    materials=(MODEL, msgspec.structs.replace(MODEL, name="models:/bikes/3/MLmodel")),
)


def shelves(tmp_path: Path, **records: Record) -> Shelves:
    found = {name: cast("Found", SimpleNamespace(record=record)) for name, record in records.items()}
    return Shelves(cast("Room", SimpleNamespace(folder=tmp_path)), found)


def left_by_a_stage(tmp_path: Path) -> None:
    store_folder(tmp_path).mkdir(parents=True)
    (store_folder(tmp_path) / "mlflow.db").write_text("x")


def test_what_a_stage_registered_is_there_for_the_next(tmp_path: Path) -> None:
    passing = shelves(tmp_path, train=TRAIN, infer=INFER)
    assert passing.current == Shelf()
    left_by_a_stage(tmp_path)
    passing.set_aside()
    assert passing.current == Shelf()  # the same stage, once more, starts where it did
    passing.pass_on(TRAIN)
    carried = passing.current.carried
    assert carried is not None
    assert (carried / "mlflow.db").read_text() == "x"
    assert passing.current.made == {"models:/bikes/3"}
    assert passing.recorded == Shelf()


def test_other_bytes_name_the_stage_that_made_them(tmp_path: Path) -> None:
    passing = shelves(tmp_path, train=TRAIN, infer=INFER)
    other = msgspec.structs.replace(MODEL, digests={"blake3": "b" * 64})
    assert list(passing.others(INFER, msgspec.structs.replace(INFER, materials=(other,)))) == ["train"]
    # MLmodel names ids and times: it is never the same
    assert not list(passing.others(INFER, msgspec.structs.replace(INFER, materials=(MODEL,))))


@pytest.mark.parametrize("records", [{"one": TRAIN, "two": TRAIN}])
def test_nothing_is_copied_where_nobody_reads_it(tmp_path: Path, records: dict[str, Record]) -> None:
    passing = shelves(tmp_path, **records)
    left_by_a_stage(tmp_path)
    passing.set_aside()
    passing.pass_on(TRAIN)
    assert passing.current == Shelf()


def test_of_a_claim_everything_is_passed_on(tmp_path: Path) -> None:
    passing = shelves(tmp_path, train=PLAIN, infer=PLAIN)
    left_by_a_stage(tmp_path)
    passing.set_aside()
    passing.pass_on(PLAIN)
    assert passing.recorded == passing.current
    assert passing.current.carried is not None
