from __future__ import annotations

from reproof.compare import Limits, new_context
from reproof.compare.collecting import Collector
from reproof.compare.protocol import Source
from reproof.model.difference import Difference, Outcome

EMPTY = Source(name="", data=b"")


def part(name: str, outcome: Outcome, *canonicalised: str) -> Difference:
    return Difference(subject=name, outcome=outcome, summary=name, canonicalised=canonicalised)


def test_identical_parts_are_only_counted() -> None:
    parts = Collector()
    parts.add(part("a", Outcome.IDENTICAL))
    parts.count(Outcome.IDENTICAL, 10)
    found = parts.difference("it", kind="x")
    assert (found.outcome, found.children, found.summary) == (Outcome.IDENTICAL, (), "11 identical")
    assert (parts.total, parts.differing) == (11, 0)
    assert Collector().words() == "nothing to compare"


def test_the_worst_are_kept_in_the_order_in_which_they_came() -> None:
    parts = Collector(new_context(EMPTY, EMPTY, limits=Limits(max_children=3)))
    parts.extend(part(f"e{number}", Outcome.EQUIVALENT, f"name {number}") for number in range(5))
    parts.extend(part(f"d{number}", Outcome.DIFFERENT) for number in range(2))
    found = parts.difference("it", kind="x")
    assert [child.subject for child in found.children] == ["e0", "d0", "d1", "(more)"]
    assert found.children[-1].summary == "4 equivalent not shown"
    assert found.canonicalisations == tuple(f"name {number}" for number in range(5))
    assert found.evidence["parts"] == {"equivalent": 5, "different": 2}


def test_the_size_of_the_whole_tree_is_limited() -> None:
    context = new_context(EMPTY, EMPTY, limits=Limits(max_nodes=10))
    outer = Collector(context)
    for number in range(50):
        inner = Collector(context)
        inner.extend(part(f"{number}.{each}", Outcome.DIFFERENT) for each in range(50))
        outer.add(inner.difference(f"{number}", kind="x"))
    found = outer.difference("it", kind="x")
    assert found.outcome is Outcome.DIFFERENT
    assert sum(1 for _ in found.walk()) < 50
    assert found.summary == "50 different"
