"""`reproof explain RUN` on the zoo: the first class that it names is that of the hidden cause.

Here for some projects, each of another class; `bench/zoo.py` asks about all of them, and prints the table that
docs/explain.md keeps.
"""

from __future__ import annotations

from typing import Any

import pytest

from projects import Project
from zoo.test_zoo import CAUSES, home, project, projects

__all__ = ["home", "project"]

#: The class of each cause, in the words of `explain`: what truth.json says in a sentence.
CLASSES = {
    "set_of_words": "hash-seed",
    "columns_as_set": "hash-seed",
    "set_of_objects": "aslr",
    "hash_split": "hash-seed",
    "uninitialised_memory": "memory",
    "clock_seed": "clock",
    "pid_seed": "process-id",
    "late_seed": "entropy",
    "helper_generator": "entropy",
    "legacy_state": "entropy",
    "unseeded_random": "entropy",
    "uuid_feature": "entropy",
    "salt_from_system": "entropy",
    "child_process": "entropy",
    "forest_without_state": "entropy",
    "loader_workers": "entropy",
    "thread_order": "threads",
    "pool_order": "threads",
    "temporary_path": "entropy",
    "file_time": "file-times",
    "project_path": "path",
    "environment_order": "environment-order",
    "listing_order": "readdir",
    "time_zone": "time-zone",
    "cpu_count": "cpu-count",
}

#: One of each way to a proof: a variable, a shim and a recorded draw, addresses, what is varied instead of pinned.
SOME = ("set_of_words", "clock_seed", "set_of_objects", "listing_order")
#: Asked with two at the same time: the answer is the same.
AT_ONCE = ("set_of_objects", "listing_order")


def explain(project: Project, *words: str) -> Any:
    """Record a run without a seed, and ask about it."""
    project.write(".gitignore", "result.json\n")
    project.commit()
    project.reproof("run", "--env-manager", "local", "--no-log", "--seed", "none", "--", "python", "train.py")
    done = project.reproof("explain", "last", "--output-format", "json", *words)
    assert done.status in (0, 1, 3), done.err
    return {"exit": done.status, **done.json}


def test_each_cause_has_a_class() -> None:
    assert set(CLASSES) == set(CAUSES)


@pytest.mark.needs("cc")
@pytest.mark.parametrize("name", projects({name: CAUSES[name] for name in SOME}))
def test_the_class_of_the_cause_is_proven_first(name: str, project: Project) -> None:
    found = explain(project, *(("--jobs", "2") if name in AT_ONCE else ()))
    assert (found["exit"], found["status"]) == (0, "proven"), found["reason"]
    first = found["causes"][0]
    assert first["kind"] == CLASSES[name]
    assert found["subjects"] == ["result.json"]
    assert found["a"] == found["b"]
    assert len(found["causes"]) == 1
    assert first["where"] in (CAUSES[name]["where"], *CAUSES[name].get("also", []))


@pytest.mark.parametrize("name", ["exact_arithmetic"])
def test_of_a_sound_project_nothing_is_blamed(name: str, project: Project) -> None:
    found = explain(project, "--budget", "30")
    assert (found["exit"], found["status"], found["causes"], found["suspects"]) == (3, "not found", [], [])


@pytest.mark.parametrize("name", ["helper_generator"])
def test_a_spent_budget_leaves_suspects_and_no_proof(name: str, project: Project) -> None:
    found = explain(project, "--budget", "4")
    assert (found["exit"], found["status"], found["causes"]) == (1, "suspected", [])
    assert found["runs"] <= 4
    assert found["suspects"][0]["kind"] == "entropy"
    assert found["suspects"][0]["where"] == CAUSES[name]["where"]
    assert "budget" in found["reason"]


@pytest.mark.parametrize("name", ["exact_arithmetic"])
def test_what_needs_two_runs_is_refused_for_one(name: str, project: Project) -> None:
    project.commit()
    for words, said in {
        ("--metric", "loss"): "needs two runs",
        ("--on", "dask://127.0.0.1:1"): "explained on this machine, not on a cluster",
    }.items():
        done = project.reproof("explain", "last", *words)
        assert done.status == 2
        assert said in done.err
        assert "Traceback" not in done.err
