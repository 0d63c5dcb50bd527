from __future__ import annotations

import pytest

from reproof.model.artifact import Artifact
from reproof.model.record import Byproducts, CodeSection, ProjectSection, Record, Tool
from reproof.workflow.run_folders import NUMBER, TIME, pair_folders


def record(started: str, *names: str, seconds: float = 30) -> Record:
    return Record(
        tool=Tool(version="1"),
        state="finished",
        created=started,
        nonce="n",
        project=ProjectSection(name="p", command="true"),
        code=CodeSection(commit="c" * 40, tree="t" * 40),
        byproducts=Byproducts(started=started, seconds=seconds),
        products=tuple(Artifact(name=name, digests={"blake3": "0"}, size=1, origin="tree") for name in names),
    )


FIRST, SECOND = "2026-11-23T17:58:50Z", "2026-12-01T09:00:00Z"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("outputs/2026-11-23/17-58-55/model.json", "outputs/2026-12-01/09-00-03/model.json"),
        ("outputs/2026-11-23/18-58-55/.hydra/config.yaml", "outputs/2026-12-01/10-00-03/.hydra/config.yaml"),
        ("runs/Nov23_17-58-55_host/events", "runs/Dec01_09-00-03_host/events"),
        ("log/run_20261123-175855/w.npy", "log/run_20261201-090003/w.npy"),
        ("log/20261123T1758/w.npy", "log/20261201T0900/w.npy"),
        ("log/2026-11-23_17-58-55.123456/w.npy", "log/2026-12-01_09-00-03.654321/w.npy"),
        ("out/2026-11-23/w.npy", "out/2026-12-01/w.npy"),
        ("mlflow/artifacts/2026-11-23_17-58-55/a/b", "mlflow/artifacts/2026-12-01_09-00-03/a/b"),
    ],
)
def test_folders_named_by_the_time_of_their_run(before: str, after: str) -> None:
    pairs = pair_folders(record(FIRST, before), record(SECOND, after))
    assert pairs.names == {before: after}
    assert pairs.reasons == {before: (TIME,)}
    assert pairs.taken == {after}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("data/2024-01-01/rows.csv", "data/2024-01-02/rows.csv"),  # dates of something else
        ("outputs/2026-11-23/11-11-11/model.json", "outputs/2026-12-01/09-00-03/model.json"),
        ("outputs/2026-11-23/17-58-55/model.json", "outputs/2026-12-01/09-00-03/model.pkl"),
        ("outputs/2026-13-45/17-58-55/x", "outputs/2026-12-01/09-00-03/x"),
        ("model-20261123-175855.json", "model-20261201-090003.json"),  # a file's own name
        ("out/1234/x", "out/1235/x"),
        ("model/version_1/weights", "model/version_2/weights"),
    ],
)
def test_other_paths_are_never_paired(before: str, after: str) -> None:
    pairs = pair_folders(record(FIRST, before), record(SECOND, after))
    assert not pairs.names
    assert not pairs.doubtful


def test_without_the_time_of_the_run_nothing_is_paired() -> None:
    names = "outputs/2026-11-23/17-58-55/a", "outputs/2026-12-01/09-00-03/a"
    assert not pair_folders(record("", names[0]), record(SECOND, names[1])).names


def test_several_candidates_are_in_doubt() -> None:
    before = ["outputs/2026-11-23/17-58-55/a", "outputs/2026-11-23/17-58-57/a"]
    after = ["outputs/2026-12-01/09-00-03/a", "outputs/2026-12-01/09-00-05/a"]
    pairs = pair_folders(record(FIRST, *before), record(SECOND, *after))
    assert not pairs.names
    assert pairs.doubtful == {*before, *after}


def test_parts_of_a_sweep_keep_their_numbers() -> None:
    before = [f"multirun/2026-11-23/17-58-55/{number}/a" for number in range(3)]
    after = [f"multirun/2026-12-01/09-00-03/{number}/a" for number in range(3)]
    pairs = pair_folders(record(FIRST, *before), record(SECOND, *after))
    assert pairs.names == dict(zip(before, after, strict=True))


def test_numbers_that_loggers_of_lightning_count() -> None:
    rest = ("hparams.yaml", "metrics.csv", "checkpoints/last.ckpt")
    before = [f"lightning_logs/version_3/{name}" for name in rest]
    after = [f"lightning_logs/version_0/{name}" for name in rest]
    pairs = pair_folders(record(FIRST, *before), record(SECOND, *after))
    assert pairs.names == dict(zip(before, after, strict=True))
    assert set(pairs.reasons.values()) == {(NUMBER,)}
    assert not pair_folders(record(FIRST, *before), record(SECOND, *before)).names
