"""Replication through the command line: other seeds, plans that outlive a kill, and what is said of the result."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projects import LIGHT, Project, known_stores, user_environment
from reproof.base.files import remove_tree

pytestmark = [pytest.mark.needs("mlflow"), pytest.mark.slow, pytest.mark.xdist_group("replicate")]

TRAIN = (
    LIGHT
    + """
import random, sys

gain, mode, seed = float(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if seed > 1000:
    sys.exit("no luck with this seed")

import mlflow

if mode == "useless":
    random.random()
own = random.Random(seed)
loss = random.gauss(10, 1) + gain * random.gauss(1, 0.25)
with mlflow.start_run():
    mlflow.log_metric("loss", loss)
    mlflow.log_metric("rows", 100.0)
    mlflow.log_metric("own", own.random())
    if loss > 9.5:
        mlflow.log_metric("rare", 1.0)
"""
)
PROJECT = """
name: small
entry_points:
  main:
    parameters:
      gain: {type: float, default: 0}
      mode: {default: plain}
      seed: {type: int, default: 0}
    command: "python train.py {gain} {mode} {seed}"
"""
RUN = ("run", "--env-manager", "local", "--seed", "1")
SEEDS = ("--seeds", "10", "--master-seed", "7", "--jobs", "2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with its recorded run, which all tests replicate; none changes it."""
    base = tmp_path_factory.mktemp("replicate")
    (base / "home").mkdir()
    names = {name: str(base / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    env = {
        **user_environment(base / "home"),
        **{f"REPROOF_{name}_DIR": place for name, place in names.items()},
        **{f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "test@example.org" for role in ("AUTHOR", "COMMITTER")},
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    known_stores(base / "cache")
    made = Project(base / "project", env)
    made.folder.mkdir()
    for name, text in {"train.py": TRAIN, "MLproject": PROJECT, ".gitignore": "mlflow.db\nmlruns\n"}.items():
        made.write(name, text)
    made.commit()
    made.reproof(*RUN, ".", expect=0)
    yield made
    remove_tree(base / "cache")


@pytest.fixture(scope="module")
def first(project: Project) -> str:
    """Id of the recorded run."""
    return project.records()[0].stem


@pytest.fixture(scope="module")
def replicated(project: Project, first: str) -> Any:
    """Ten seeds on two workers; killed after the second result, and run again with the same words."""
    words = ["replicate", first, *SEEDS, "--metric", "loss", "--output-format", "json"]
    child = subprocess.Popen(
        [sys.executable, "-m", "reproof.cli.main", *words],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(2400):
        if len(results(project)) >= 2 or child.poll() is not None:
            break
        time.sleep(0.05)
    child.kill()
    child.wait()
    before = {path: path.stat().st_mtime_ns for path in results(project)}
    plan = next(plans(project)).read_bytes()
    result = project.reproof(*words, expect=0).json
    after = {path: path.stat().st_mtime_ns for path in results(project)}
    return {"before": before, "after": after, "plan": plan, "result": result}


def results(project: Project) -> list[Path]:
    return [
        path
        for path in (project.folder / ".reproof/replications/runs").glob("*/*.json")
        if not path.name.endswith(".record.json")
    ]


def plans(project: Project) -> Iterator[Path]:
    return (project.folder / ".reproof/replications/plans").glob("?" * 64 + ".json")


def metric(result: Any, name: str, arm: int = 0) -> Any:
    return next(each for each in result["arms"][arm]["spreads"] if each["metric"] == name)


def test_killed_half_way_it_goes_on_with_the_same_plan(project: Project, replicated: Any) -> None:
    before, after = replicated["before"], replicated["after"]
    assert 2 <= len(before) < 10
    assert len(after) == 10
    assert {path: after[path] for path in before} == before  # nothing that was finished is done again
    plan = json.loads(replicated["plan"])
    assert plan["seeds"] == replicated["result"]["plan"]["seeds"]
    assert replicated["result"]["plan"]["created"] == plan["created"]
    assert len(list(plans(project))) >= 1


def test_it_says_the_same_when_it_is_asked_again(project: Project, first: str, replicated: Any) -> None:
    words = ("replicate", first, *SEEDS, "--metric", "loss", "--output-format", "json", "--no-log")
    again = project.reproof(*words, expect=0).json
    assert {**again, "created": "", "notes": []} == {**replicated["result"], "created": "", "notes": []}


def test_the_statistics_match_a_computation_of_their_own(project: Project, replicated: Any) -> None:
    """From the metrics that the runs' own records hold, by another bootstrap."""
    values = []
    for path in results(project):
        record = json.loads(path.with_name(f"{path.stem}.record.json").read_text())
        values += [float.fromhex(each["value"]) for each in record["metrics"] if each["key"] == "loss"]
    values = values[:10]
    found = metric(replicated["result"], "loss")
    assert sorted(value for _, value in found["values"]) == sorted(values)
    assert found["mean"] == pytest.approx(statistics.fmean(values))
    assert found["sd"] == pytest.approx(statistics.stdev(values))
    assert found["median"] == pytest.approx(statistics.median(values))
    assert found["iqm"] == pytest.approx(statistics.fmean(sorted(values)[2:-2]))
    draws = np.asarray(values)[np.random.default_rng(1).integers(0, 10, (100_000, 10))]
    for interval, means in (
        (found["interval"], draws.mean(axis=1)),
        (found["iqm_interval"], np.sort(draws, axis=1)[:, 2:-2].mean(axis=1)),
    ):
        low, high = np.quantile(means, [0.025, 0.975])
        assert interval["low"] == pytest.approx(low, abs=0.05 * (high - low))
        assert interval["high"] == pytest.approx(high, abs=0.05 * (high - low))
    below = sum(value < found["original"] for value in values)
    assert found["percentile"] == pytest.approx(10 * below)


def test_the_seeds_are_applied_and_told(project: Project, replicated: Any) -> None:
    seeds = replicated["result"]["plan"]["seeds"]
    for path in results(project):
        chance = json.loads(path.with_name(f"{path.stem}.record.json").read_text())["randomness"]
        assert (chance["seed"], chance["seed_source"]) == (int(path.stem), "replication")
    assert 1 not in seeds
    assert len({value for _, value in metric(replicated["result"], "loss")["values"]}) == 10


def test_mlflow_has_a_run_for_each_seed_below_one_parent(project: Project, replicated: Any) -> None:
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as store:
        tags = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
        (parent,) = store.execute(tags, ("reproof.replication", replicated["result"]["id"])).fetchall()
        children = store.execute(tags, ("mlflow.parentRunId", parent[0])).fetchall()
        status = store.execute("SELECT status, name FROM runs WHERE run_uuid = ?", parent).fetchone()
        values = {
            store.execute(
                "SELECT value FROM latest_metrics WHERE run_uuid = ? AND key = 'loss'", child
            ).fetchone()[0]
            for child in children
        }
        (mean,) = store.execute(
            "SELECT value FROM latest_metrics WHERE run_uuid = ? AND key = 'loss/mean'", parent
        ).fetchone()
    found = metric(replicated["result"], "loss")
    assert status == ("FINISHED", "replicate small")
    assert len(children) == 10
    assert values == {value for _, value in found["values"]}
    assert mean == found["mean"]
    (folder,) = (project.folder / "mlruns").glob(f"*/{parent[0]}/artifacts/reproof")
    assert {path.name for path in folder.iterdir()} == {
        "replication-plan.json",
        "replication.json",
        "replication.html",
    }


def test_the_work_tree_is_left_as_it_was(project: Project, replicated: Any) -> None:
    assert project.status() == ""
    assert not list(Path(project.env["REPROOF_CACHE_DIR"], "rooms").glob("replicate-*/*/work"))[4:]


def test_every_metric_is_shown_and_what_no_seed_moves_is_pointed_out(
    project: Project, first: str, replicated: Any
) -> None:
    """The same seeds, another plan: nothing is run again."""
    before = {path: path.stat().st_mtime_ns for path in results(project)}
    words = ("replicate", first, *SEEDS, "--no-log")
    result = project.reproof(*words, "--output-format", "json").json
    assert {path: path.stat().st_mtime_ns for path in results(project)} == before
    assert metric(result, "rows")["constant"] is True
    assert any("does not reach `rows`, `own`" in note for note in result["notes"])
    assert any("results may have been known" in note for note in result["notes"])
    text = project.reproof(*words).out
    page = project.reproof(*words, "--output-format", "html").out
    assert metric(result, "rare")["word"] == "not consistent"
    assert len(metric(result, "rare")["values"]) + len(metric(result, "rare")["missing"]) == 10
    for name in ("loss", "rows", "own", "rare"):
        assert name in text
        assert name in page
    assert page.count('<circle class="run"') >= 30
    assert "reproduced" not in text
    assert text.startswith("replicated: ")


def test_a_useless_change_does_not_hold_and_a_real_one_does(
    project: Project, first: str, replicated: Any
) -> None:
    for change, word in (("mode=useless", "not consistent"), ("gain=-2", "consistent")):
        project.reproof(*RUN, "-P", change, ".", expect=0)
        other = project.records()[-1].stem
        result = project.reproof(
            "replicate", first, "--against", other, "--seeds", "5", *SEEDS[2:], "--metric", "loss", "--no-log",
            "--output-format", "json", expect=0 if word == "consistent" else 1,
        ).json  # fmt: skip
        (contrast,) = result["contrasts"]
        assert (result["word"], contrast["word"]) == (word, word)
        assert len(contrast["differences"]) == 5


def test_the_seed_goes_to_a_parameter_too(project: Project, first: str) -> None:
    result = project.reproof(
        "replicate", first, "--seeds", "5,6", "--seed-parameter", "seed", "--metric", "own", "--no-log",
        "--output-format", "json", expect=3,
    ).json  # fmt: skip
    import random

    found = metric(result, "own")
    assert found["values"] == [[5, random.Random(5).random()], [6, random.Random(6).random()]]
    assert result["word"] == "too few runs"


def test_runs_that_fail_are_shown_never_dropped(project: Project, first: str) -> None:
    words = ("replicate", first, "--seed-parameter", "seed", "--no-log", "--metric", "loss")
    every = project.reproof(*words, "--seeds", "2001,2002", "--output-format", "json", expect=1).json
    assert [each["state"] for each in every["arms"][0]["replicates"]] == ["failed", "failed"]
    assert every["reasons"][0] == "all runs failed, the recorded one did not"
    for form in ("text", "html"):
        shown = project.reproof(*words, "--seeds", "2001,5", "--output-format", form, expect=1).out
        assert "1 of 2 runs failed, the recorded one did not" in shown
        assert "seed 2001" in shown
        assert "no luck with this seed" in shown


def test_bad_input(project: Project, first: str) -> None:
    refused = {
        ("--seeds", "1"): "a replication needs at least two seeds",
        ("--seeds", "5,"): "a replication needs at least two seeds",
        ("--seeds", "5,6,5"): "the seed `5` is given twice",
        ("--seeds", "1,4294967296"): "cannot use the seed `4294967296`",
        ("--seeds", "many"): "cannot read the seeds `many`",
        ("--seeds", "1,2", "--master-seed", "3"): "seeds that are listed are not derived",
        ("--seeds", "2", "--metric", "los"): "the recorded run has no metric `los`",
        ("--seeds", "2", "--seed-parameter", "sed"): "entry point `main` has no parameter `sed`",
        ("--seeds", "2", "--against", first): "cannot compare the run",
        ("--seeds", "2", "--on", "dask:nowhere"): "is no address like",
    }
    before = len(list(plans(project)))
    for words, message in refused.items():
        result = project.reproof("replicate", first, *words, expect=2)
        assert message in result.err, result.err
        assert result.out == ""
    assert len(list(plans(project))) == before


def test_a_run_without_metrics_or_without_an_end_is_refused(project: Project) -> None:
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "true", expect=0)
    result = project.reproof("replicate", "--seeds", "2", expect=2)
    assert "cannot replicate a run that logged no metric" in result.err
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "false", expect=1)
    result = project.reproof("replicate", ".", "--seeds", "2", expect=2)
    assert "cannot replicate a run that did not finish" in result.err
