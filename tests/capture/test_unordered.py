"""Lines that go through a set, as the code reads."""

from __future__ import annotations

import pytest

from reproof.capture.unordered import lines_through_sets


@pytest.mark.parametrize(
    "code",
    [
        "for x in {1, 2}: pass",
        "a = set(words)\nb = [x for x in a]",
        "a = {x for x in words}\nlist(a | other)",
        "a: set[str] = set()\nb = a\nprint(*b)",
        "','.join(set(words))",
        "a = frozenset(words)\nnumber = {w: i for i, w in enumerate(a)}",
        "a = set()\nfirst = a.pop()",
        "for x in set(a).union(b): pass",
    ],
)
def test_a_set_is_gone_through(code: str) -> None:
    assert lines_through_sets(code) == (len(code.splitlines()),)


@pytest.mark.parametrize(
    "code",
    [
        "for x in sorted(set(words)): pass",
        "len({1, 2})",
        "a = {}\nfor x in a: pass",
        "1 in set(words)",
        "for x in [1, 2]: pass",
        "a = [3]\na.pop()",
        "no python (",
        "a\0b",
        "",
    ],
)
def test_no_set_is_gone_through(code: str) -> None:
    assert lines_through_sets(code) == ()
