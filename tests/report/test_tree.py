from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reproof.model.difference import Difference, Outcome, combine
from reproof.report.tree import Branch, Limits, cut, foremost

OUTCOMES = st.sampled_from(list(Outcome))


def leaf(name: str, outcome: Outcome) -> Difference:
    return Difference(subject=name, outcome=outcome, summary=name)


def nodes(branch: Branch) -> list[Branch]:
    return [branch, *(node for child in branch.branches for node in nodes(child))]


@given(st.lists(OUTCOMES, max_size=40), st.integers(0, 10))
def test_the_worst_are_shown_and_the_rest_is_counted(outcomes: list[Outcome], limit: int) -> None:
    shown, hidden = foremost(outcomes, limit)
    assert sorted(shown + hidden) == list(range(len(outcomes)))
    assert len(shown) == min(limit, len(outcomes))
    assert min((outcomes[i] for i in shown), default=4) >= max((outcomes[i] for i in hidden), default=0)


def test_a_list_that_fits_keeps_its_order() -> None:
    assert foremost([Outcome.IDENTICAL, Outcome.DIFFERENT], 2) == ([0, 1], [])


@given(
    st.recursive(
        st.builds(leaf, st.just("x"), OUTCOMES),
        lambda inner: st.lists(inner, max_size=6).map(lambda parts: combine("n", parts, kind="")),
        max_leaves=60,
    )
)
def test_a_cut_tree_keeps_its_limits_and_drops_only_what_is_identical(difference: Difference) -> None:
    limits = Limits(depth=3, breadth=2, nodes=8)
    branch = cut(difference, limits)
    found = nodes(branch)
    assert len(found) <= 1 + limits.nodes
    for node in found:
        assert len(node.branches) <= limits.breadth
        unequal = [child for child in node.difference.children if child.outcome > Outcome.IDENTICAL]
        assert len(node.branches) + len(node.hidden) == len(unequal)


def test_a_tree_of_any_depth_is_cut_without_recursion() -> None:
    node = leaf("bottom", Outcome.DIFFERENT)
    for number in range(50_000):
        node = combine(str(number), [node], kind="")
    branch = cut(node, Limits(depth=4, breadth=5, nodes=50))
    assert len(nodes(branch)) == 5
    assert nodes(branch)[-1].more == "1 more: 1 different"


def test_one_object_at_several_places_stays_within_the_limits() -> None:
    node = leaf("bottom", Outcome.DIFFERENT)
    for number in range(30):
        node = combine(str(number), [node, node], kind="")
    assert len(nodes(cut(node, Limits(depth=5, breadth=2, nodes=40)))) <= 64


def test_what_a_comparator_only_counted_is_counted_here_too() -> None:
    count = Difference(
        subject="(more)",
        outcome=Outcome.DIFFERENT,
        summary="",
        kind="count",
        evidence={"different": 1200, "close": 3, "identical": "?"},
    )
    parts = [leaf(str(number), Outcome.CLOSE) for number in range(3)]
    branch = cut(combine("x", [*parts, count], kind=""), Limits(breadth=2))
    assert branch.more == "1,204 more: 1,200 different, 4 close"
    assert len(branch.branches) == 2
