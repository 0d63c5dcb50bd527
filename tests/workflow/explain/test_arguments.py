"""Words of two commands side by side."""

from __future__ import annotations

import pytest

from reproof.workflow.explain.arguments import correspond, mix_arguments, of_arguments


def test_words_that_face_each_other() -> None:
    before, after = ["python", "a.py", "--rate", "1", "x"], ["python", "a.py", "--rate", "2", "y"]
    atoms = list(of_arguments(before, after))
    assert [(each.name, each.before, each.after) for each in atoms] == [
        ("--rate", "1", "2"),
        ("argument 4", "x", "y"),
    ]
    assert mix_arguments(before, after, {atoms[0].id}) == ("python", "a.py", "--rate", "2", "x")


def test_options_of_which_one_side_has_more() -> None:
    before = ["python", "a.py", "--rate", "-1", "in.csv"]
    after = ["python", "a.py", "--fast", "--rate", "-2", "in.csv", "--size=3"]
    assert correspond(before, after)
    atoms = list(of_arguments(before, after))
    assert [(each.name, each.before, each.after) for each in atoms] == [
        ("--rate", "--rate -1", "--rate -2"),
        ("--fast", None, "--fast"),
        ("--size", None, "--size=3"),
    ]
    assert mix_arguments(before, after, {"option:--size"}) == (
        *before[:2],
        "in.csv",
        *before[2:4],
        "--size=3",
    )
    every = {each.id for each in atoms}
    assert mix_arguments(before, after, set()) == tuple(before)
    assert mix_arguments(before, after, every) == tuple(after)


@pytest.mark.parametrize(
    ("before", "after"), [(["python", "a.py"], ["sh", "a.py"]), (["python", "a.py"], ["python", "a.py", "b"])]
)
def test_commands_that_do_not_correspond(before: list[str], after: list[str]) -> None:
    assert not correspond(before, after)
