"""Parts of files, put together again: where they are."""

from __future__ import annotations

import pytest

from reproof.workflow.explain.atoms import Atom, as_factors


def _part(number: int, where: str | None, kind: str = "data") -> Atom:
    return Atom(id=f"file:d.csv#{number:05}", kind=kind, name="d.csv", group=kind, where=where)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(3, "d.csv:31-40")], "d.csv:31-40"),
        ([(3, "d.csv:31-40"), (4, "d.csv:41-50")], "d.csv:31-50"),
        ([(4, "d.csv:41"), (3, "d.csv:31")], "d.csv:31-41"),
        ([(3, "d.csv:31-40"), (7, "d.csv:71-80")], "d.csv:31-40"),
        ([(0, None), (1, None)], None),
    ],
)
def test_consecutive_rows_are_one_place(places: list[tuple[int, str]], expected: str | None) -> None:
    (factor,) = as_factors([_part(*each) for each in places])
    assert (factor.where, factor.parts) == (expected, len(places))


def test_hunks_of_code_are_named_by_the_first() -> None:
    (factor,) = as_factors([_part(0, "d.csv:3", "code"), _part(1, "d.csv:9", "code")])
    assert factor.where == "d.csv:3"
