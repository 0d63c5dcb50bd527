"""`reproof explain` names what was mutated, for pairs of real runs, and the judge of the benchmark is strict.

Some pairs that take seconds; `bench/explain.py` makes and asks about all of them.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
PAIRS = (
    "plain-cell",
    "plain-variable",
    "plain-among-comments",
    "plain-argument-and-cell",
    "parts-one-of-three",
)
NUMPY = {"kind": "package", "name": "numpy", "from": "2.2.6", "to": "2.4.6", "where": None}
SCIPY = {**NUMPY, "name": "scipy"}
THREADS = {"kind": "threads", "name": "OMP_NUM_THREADS", "from": "1", "to": "2", "where": None}
TRUTH = [{"kind": "package", "name": "numpy"}]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("mutations.judge")


def test_the_mutated_factor_is_the_proven_cause(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    words = ["--only", ",".join(PAIRS), "--keep", str(tmp_path / "pairs"), "--json", str(rows)]
    done = subprocess.run(
        [sys.executable, BENCH / "explain.py", *words], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = json.loads(rows.read_text())
    assert [row["name"] for row in table["rows"] if row.get("right")] == list(PAIRS), done.stdout
    assert table["totals"]["wrong_as_proven"] == 0


@pytest.mark.parametrize(
    ("status", "causes", "right", "wrong"),
    [
        ("proven", [NUMPY], True, False),
        ("proven", [SCIPY], False, True),
        ("proven", [NUMPY, SCIPY], False, True),
        ("proven", [], False, True),
        ("suspected", [NUMPY], False, False),
        ("suspected", [SCIPY], False, False),
        ("not found", [], False, False),
    ],
)
def test_the_judge_is_strict(
    judge: ModuleType, status: str, causes: list[Any], right: bool, wrong: bool
) -> None:
    judgement = judge.judge(TRUTH, {"status": status, "causes": causes})
    assert (judgement.right, judgement.wrong_as_proven) == (right, wrong)


def test_of_two_factors_both_are_wanted(judge: ModuleType) -> None:
    truth = [*TRUTH, {"kind": "threads", "name": "OMP_NUM_THREADS"}]
    assert judge.judge(truth, {"status": "proven", "causes": [THREADS, NUMPY]}).right
    assert judge.judge(truth, {"status": "proven", "causes": [NUMPY]}).wrong_as_proven
    other = {**THREADS, "name": "MKL_NUM_THREADS"}
    assert judge.judge(truth, {"status": "proven", "causes": [NUMPY, other]}).wrong_as_proven


def test_a_suspicion_will_do_only_where_nothing_can_be_swapped(judge: ModuleType) -> None:
    answer = {"status": "suspected", "causes": [], "suspects": [NUMPY, SCIPY]}
    assert not judge.judge(TRUTH, answer).right
    assert judge.judge(TRUTH, answer, either=True).right
    assert not judge.judge([{"kind": "package", "name": "scipy"}], answer, either=True).right


def test_what_must_go_along_may_be_named(judge: ModuleType) -> None:
    truth = [*TRUTH, {"kind": "package", "name": "scipy", "optional": True}]
    for causes in ([NUMPY], [NUMPY, SCIPY]):
        assert judge.judge(truth, {"status": "proven", "causes": causes}).right
    assert judge.judge(truth, {"status": "proven", "causes": [SCIPY]}).wrong_as_proven


def test_names_are_whole_names(judge: ModuleType) -> None:
    longer = {**NUMPY, "name": "numpy-financial"}
    assert not judge.judge(
        [{"kind": "package", "name": "num"}], {"status": "proven", "causes": [NUMPY]}
    ).right
    assert judge.judge(TRUTH, {"status": "proven", "causes": [longer]}).wrong_as_proven


def test_lines_are_judged_apart(judge: ModuleType) -> None:
    truth = [{"kind": "code", "name": "model.py", "where": "model.py:7"}]
    cause = {"kind": "code", "name": "model.py", "where": "model.py:5-8"}
    assert judge.judge(truth, {"status": "proven", "causes": [cause]}) == (True, False, "yes")
    assert (
        judge.judge(truth, {"status": "proven", "causes": [{**cause, "where": "model.py:9"}]}).lines == "no"
    )


def test_every_pair_says_what_is_true_of_it(monkeypatch: pytest.MonkeyPatch, judge: ModuleType) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    making = importlib.import_module("mutations.making")
    projects, pairs = making.read_table()
    assert len(pairs) >= 40
    assert len({pair["name"] for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert pair["project"] in projects
        assert all(one["kind"] in judge.KINDS for one in pair["truth"])
