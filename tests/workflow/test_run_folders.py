from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from minimal import minimal_record
from reproof.model.artifact import Artifact
from reproof.model.difference import Outcome
from reproof.model.policy import Policy
from reproof.model.record import Byproducts, Record
from reproof.store.directory import DirectoryStore
from reproof.workflow.judge import Side, judge
from reproof.workflow.run_folders import NUMBER, TIME, pair_folders


def record(started: str, *names: str, seconds: float = 30) -> Record:
    return minimal_record(
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


Judged = Callable[[dict[str, str], dict[str, str]], dict[str, tuple[Outcome, tuple[str, ...]]]]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """Compares the files of a run with those of a re-run: outcome and what was set aside, by name."""
    store = DirectoryStore(tmp_path / "store")

    def side(started: str, files: dict[str, str]) -> Side:
        kept = [
            Artifact(
                name=name,
                digests={"blake3": store.put_bytes(text.encode()).value},
                size=len(text),
                origin="tree",
                kept=True,
            )
            for name, text in files.items()
        ]
        return Side(msgspec.structs.replace(record(started), products=tuple(kept)), store)

    def compare(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[Outcome, tuple[str, ...]]]:
        found = judge(side(FIRST, before), side(SECOND, after), Policy(), tmp_path / "scratch")
        return {each.subject: (each.outcome, each.canonicalised) for each in found.differences}

    return compare


OLD, NEW = "outputs/2026-11-23/17-58-55", "outputs/2026-12-01/09-00-03"


def test_a_file_in_such_a_folder_is_equivalent_at_best(judged: Judged) -> None:
    found = judged({f"{OLD}/a.json": "1", f"{OLD}/b.txt": "x"}, {f"{NEW}/a.json": "1", f"{NEW}/b.txt": "y"})
    assert found[f"{OLD}/a.json"] == (Outcome.EQUIVALENT, (TIME,))
    assert found[f"{OLD}/b.txt"] == (Outcome.DIFFERENT, (TIME,))
    assert not any(name.startswith(NEW) for name in found)


def test_what_only_one_of_them_made_stays_different(judged: Judged) -> None:
    found = judged({f"{OLD}/a": "1", f"{OLD}/gone": ""}, {f"{NEW}/a": "1", f"{NEW}/more": ""})
    assert found[f"{OLD}/gone"][0] is found[f"{NEW}/more"][0] is Outcome.DIFFERENT


def test_what_is_in_doubt_is_unknown(judged: Judged) -> None:
    found = judged({f"{OLD}/a": "1"}, {f"{NEW}/a": "1", "outputs/2026-12-01/09-00-05/a": "1"})
    assert len(found) == 4
    assert {outcome for name, (outcome, _) in found.items() if "/" in name} == {Outcome.UNKNOWN}


def test_files_of_hydra_are_compared_without_place_and_time(judged: Judged) -> None:
    def files(folder: str, home: str, stamp: str, loss: str) -> dict[str, str]:
        runtime = f"    cwd: {home}\n    output_dir: {home}/{folder}\n"
        log = f"[{stamp}][m][INFO] - {loss}\n"
        return {f"{folder}/.hydra/hydra.yaml": f"hydra:\n  runtime:\n{runtime}", f"{folder}/train.log": log}

    one = files(OLD, "/home/ada/work", "2026-11-23 17:58:55,958", "0.5")
    two = files(NEW, "/tmp/room", "2026-12-01 09:00:03,001", "0.5")  # noqa: S108 - a name
    found = judged(one, two)
    assert found[f"{OLD}/.hydra/hydra.yaml"][0] is found[f"{OLD}/train.log"][0] is Outcome.EQUIVALENT
    other = files(NEW, "/tmp/room", "2026-12-01 09:00:03,001", "0.6")  # noqa: S108 - a name
    found = judged(one, other)
    assert found[f"{OLD}/train.log"][0] is Outcome.DIFFERENT
    strange = {
        name: text.replace("output_dir: /tmp/room/outputs", "output_dir: /tmp/room/out")
        for name, text in two.items()
    }
    assert judged(one, strange)[f"{OLD}/.hydra/hydra.yaml"][0] is Outcome.DIFFERENT
