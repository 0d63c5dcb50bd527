"""Many at once: results as they come, errors of one that spare the others, workers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from chores import Chore, work
from reproof.errors import ExecutionError, MaterialError, ReproofError, UsageError
from reproof.model.event import Event, silent
from reproof.workflow import cluster
from reproof.workflow.many import ATTEMPTS, Batch, Hands, carry_out, results_of
from reproof.workflow.needs import Needs


def do(tmp_path: Path, kinds: dict[str, str], count: int = 2) -> tuple[dict[str, object], list[Event]]:
    results: dict[str, object] = {}
    events: list[Event] = []
    tasks = {name: Chore(str(tmp_path), name, kind) for name, kind in kinds.items()}

    def told(name: str, result: object) -> None:
        assert name not in results
        results[name] = result

    carry_out(Batch(tasks=tasks, work=work, told=told, title="chores"), Hands(count=count), events.append)
    return results, events


def test_every_task_is_told_once_and_done_elsewhere(tmp_path: Path) -> None:
    results, events = do(tmp_path, dict.fromkeys("abcde", "answer"))
    assert {name: result[0] for name, result in results.items()} == {name: name for name in "abcde"}
    assert os.getpid() not in {result[1] for result in results.values()}
    assert [event.done for event in events if event.kind == "advance"] == [1, 2, 3, 4, 5]
    assert (events[0].kind, events[0].total, events[-1].kind) == ("start", 5, "finish")


def test_nothing_to_do(tmp_path: Path) -> None:
    results, events = do(tmp_path, {})
    assert results == {}
    assert [event.kind for event in events] == ["start", "finish"]


def test_an_error_of_one_spares_the_others(tmp_path: Path) -> None:
    results, _ = do(tmp_path, {"a": "answer", "b": "fail", "c": "answer"})
    error = results["b"]
    assert isinstance(error, ReproofError)
    assert (error.message, error.hint) == ("no data", "keep it")
    assert {results["a"][0], results["c"][0]} == {"a", "c"}


def test_all_results_in_the_order_of_their_tasks_or_the_error_of_one(tmp_path: Path) -> None:
    def results(*kinds: str) -> list[str]:
        tasks = {name: Chore(str(tmp_path), name, kind) for name, kind in zip("ba", kinds, strict=True)}
        batch = Batch(tasks=tasks, work=work, title="chores")
        return [
            f"{name}: {answer}" for name, (answer, _) in results_of(batch, Hands(count=2), silent).items()
        ]

    assert results("answer", "answer") == ["b: b", "a: a"]
    with pytest.raises(MaterialError, match="no data"):
        results("fail", "answer")
    assert len(list(tmp_path.glob("a.begun-*"))) == 2  # an error of one keeps nobody from the others


def test_a_worker_that_dies_takes_nothing_with_it(tmp_path: Path) -> None:
    results, events = do(tmp_path, {"a": "answer", "b": "dies once", "c": "answer", "d": "answer"})
    assert {name: result[0] for name, result in results.items()} == {name: name for name in "abcd"}
    assert [event.done for event in events if event.kind == "advance"] == [1, 2, 3, 4]


def test_what_kills_every_worker_is_given_up_and_named(tmp_path: Path) -> None:
    results, _ = do(tmp_path, {"bad": "always dies", "good": "answer"}, count=1)
    assert isinstance(results["bad"], ExecutionError)
    assert results["bad"].message == f"the worker that carried out `bad` died {ATTEMPTS} times"
    assert len(list(tmp_path.glob("bad.begun-*"))) == ATTEMPTS
    assert results["good"][0] == "good"


SCRIPT = """
import sys, time
from pathlib import Path
from reproof.workflow.many import Batch, Hands, carry_out

def work(place):
    Path(place, "begun").touch()
    try:
        time.sleep(60)
    finally:
        Path(place, "ended").touch()

if __name__ == "__main__":
    batch = Batch(tasks={"a": sys.argv[1]}, work=work, told=print, title="")
    try:
        carry_out(batch, Hands(), lambda event: None)
    except KeyboardInterrupt:
        print("interrupted")
"""


def wait_for(place: Path) -> None:
    for _ in range(600):
        if place.exists():
            return
        time.sleep(0.05)
    raise AssertionError(place)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_workers_end_with_whoever_started_them(tmp_path: Path, number: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    child = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(tmp_path / "begun")
    if number == signal.SIGINT:  # from a terminal it reaches all processes of the group
        os.killpg(child.pid, number)
    else:
        child.kill()
    out, _ = child.communicate(timeout=30)
    wait_for(tmp_path / "ended")
    assert "interrupted" in out or number == signal.SIGKILL


def test_a_cluster_needs_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    batch = Batch(tasks={"a": 1}, work=work, told=print, title="")
    with pytest.raises(UsageError, match="Dask") as caught:
        carry_out(batch, Hands(cluster="tcp://192.0.2.1:1"), lambda event: None)
    assert caught.value.hint == "run `pip install 'reproof[dask]'`"


@pytest.mark.needs("distributed")
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT", 1.0)
    batch = Batch(tasks={"a": 1}, work=work, told=print, title="")
    with pytest.raises(ExecutionError, match="cannot reach the Dask scheduler at `tcp:"):
        carry_out(batch, Hands(cluster="tcp://127.0.0.1:1"), lambda event: None)


def test_no_more_processes_than_there_is_room_for(tmp_path: Path) -> None:
    told: list[object] = []
    events: list[Event] = []
    batch = Batch(
        tasks={name: Chore(str(tmp_path), name) for name in "ab"},
        work=work,
        told=lambda name, result: told.append((name, result[1])),
        title="chores",
        needs=Needs(cpus=4096),
    )
    carry_out(batch, Hands(count=2), events.append)
    assert len({process for _, process in told}) == 1
    assert "1 at a time instead of 2: each occupies 4096 of" in events[0].message
