"""`reproof stress` on the zoo: it names what each project depends on, and finds nothing in the sound ones."""

from __future__ import annotations

import os
from typing import Any

import pytest

from projects import Project
from reproof.model.stress import LEVELS
from zoo.test_zoo import CAUSES, SOUND, home, project, projects

__all__ = ["home", "project"]

#: What is to be named where two plain runs agree.
NAMED = {
    "file_time": "file-times",
    "project_path": "path",
    "environment_order": "environment-order",
    "time_zone": "time-zone",
    "cpu_count": "one-cpu",
    "listing_order": "readdir-order",
}
#: Where only the seed of Python's hashes is to blame, and reproof's own seed holds it.
BY_HASH = [name for name, truth in CAUSES.items() if truth["plain"] != "equal" == truth["hash_seed_fixed"]]


def stress(project: Project, *words: str, seed: str = "none") -> Any:
    project.commit()
    project.reproof("run", "--env-manager", "local", "--no-log", "--seed", seed, "--", "python", "train.py")
    done = project.reproof("stress", "--output-format", "json", *words)
    assert done.status in (0, 1), done.err
    return {"status": done.status, **done.json}


def blamed(report: Any) -> list[str]:
    return [each["name"] for each in report["exercises"] if each["outcome"] not in ("same", "not exercised")]


@pytest.mark.needs("cc")
@pytest.mark.parametrize("name", projects(CAUSES))
def test_what_it_depends_on_is_named(name: str, project: Project) -> None:
    if name == "cpu_count" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this process may use one processor only")
    expected = NAMED.get(name, "repeat")
    report = stress(project)
    if name == "pid_seed" and ["isolation", "bubblewrap"] in report["conditions"]:
        expected = "process-ids"  # each sandbox counts anew, so that plain runs agree
    assert blamed(report) == [expected]
    assert report["status"] == 1


@pytest.mark.parametrize("name", BY_HASH)
def test_what_a_fixed_seed_of_hashes_hides_is_found(name: str, project: Project) -> None:
    assert blamed(stress(project, "--vary", "repeat,circumstances", seed="5")) == ["hash-seed"]


@pytest.mark.parametrize("name", ["project_path"])
def test_several_groups_at_once_say_the_same(name: str, project: Project) -> None:
    """Each lane has another folder, and none of them is blamed but by the variation of the folder itself."""
    report = stress(project, "--jobs", "2", "--vary", "path,umask,one-cpu,entropy")
    assert blamed(report) == ["path"]
    assert [each["name"] for each in report["exercises"]] == ["repeat", "umask", "path", "one-cpu", "entropy"]
    assert report["runs"] >= 3 * 2 + 3


@pytest.mark.parametrize("name", ["sorted_listing"])
def test_what_a_result_may_depend_on_is_told_and_not_blamed(name: str, project: Project) -> None:
    report = stress(project, "--vary", "informative", seed="5")
    outcomes = {each["name"]: each["outcome"] for each in report["exercises"]}
    assert outcomes == {"repeat": "same", "seed": "same", "row-order": "differs"}
    assert (report["status"], report["level"]) == (0, "repeats")


@pytest.mark.parametrize("name", ["exact_arithmetic"])
def test_a_budget_is_kept(name: str, project: Project) -> None:
    report = stress(project, "--budget", "2")
    assert report["runs"] == 2
    assert (report["level"], report["status"]) == ("repeats", 0)  # what was not tried is no dependence
    assert {each["outcome"] for each in report["exercises"][1:]} == {"not exercised"}
    done = project.reproof("stress", "--budget", "soon")
    assert (done.status, "no budget" in done.err) == (2, True)


@pytest.mark.parametrize("name", projects(SOUND))
def test_sound_projects_depend_on_nothing(name: str, project: Project) -> None:
    report = stress(project)
    # The last bits of PyTorch's sums follow the instruction set of the CPU: true of it, and no false alarm.
    numeric = {"isa", "cpu-mask"} if "torch" in SOUND[name].get("needs", ()) else set()
    found = set(blamed(report))
    assert found <= numeric
    assert report["status"] == int(bool(found))
    assert report["level"] is not None
    assert LEVELS.index(report["level"]) >= LEVELS.index("independent of circumstances")
    assert report["runs"] <= 7 + 3 * bool(found)  # those of one group are told apart, and a late control
