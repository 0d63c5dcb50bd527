"""Outcomes fold, policies choose rules, digests and recipes are what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.model.difference import Difference, Outcome, combine, count_outcomes
from reproof.model.digest import Digest
from reproof.model.policy import EXACT, Policy, Rule, Tolerance
from reproof.model.recipe import Recipe
from reproof.model.verdict import accepted

outcomes = st.sampled_from(Outcome)


@given(st.lists(outcomes))
def test_the_worst_outcome_wins_whatever_the_order(values: list[Outcome]) -> None:
    assert Outcome.worst(values) == max(values, default=Outcome.IDENTICAL)
    assert Outcome.worst(reversed(values)) == Outcome.worst(values)


@given(st.lists(outcomes, max_size=5), st.booleans())
def test_a_parent_is_never_better_than_its_children(values: list[Outcome], canonicalised: bool) -> None:
    children = [Difference(subject=str(i), outcome=value, summary="") for i, value in enumerate(values)]
    parent = combine("p", children, kind="k", canonicalised=("dates",) if canonicalised else ())
    assert parent.outcome >= Outcome.worst(values)
    assert not canonicalised or parent.outcome >= Outcome.EQUIVALENT
    assert [node.subject for node in parent.walk()] == ["p", *(child.subject for child in children)]


def test_counts() -> None:
    parts = [
        Difference(subject="", outcome=outcome, summary="")
        for outcome in (Outcome.DIFFERENT, Outcome.IDENTICAL, Outcome.IDENTICAL)
    ]
    assert count_outcomes(parts) == "2 identical, 1 different"
    assert count_outcomes([]) == "empty"


def test_canonicalisations_are_collected_once() -> None:
    leaf = Difference(subject="a", outcome=Outcome.EQUIVALENT, summary="", canonicalised=("b", "a"))
    assert combine("p", [leaf, leaf], kind="k", canonicalised=("a",)).canonicalisations == ("a", "b")


@pytest.mark.parametrize("words", ["", "md5", "md5:xyz", "blake3:00", "sha1:" + "0" * 39, "what:00"])
def test_what_is_no_digest(words: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        Digest.parse(words)


def test_a_digest_reads_its_own_text() -> None:
    digest = Digest("md5", "0" * 32 + ".dir")
    assert Digest.parse(str(digest)) == digest
    assert digest.short == "md5:00000000"


def test_the_first_rule_that_matches_wins() -> None:
    close = Tolerance(rtol=1e-3)
    policy = Policy(tolerance=close, rules=(Rule(pattern="out/*.csv"), Rule(pattern="*", ignore="why")))
    assert policy.rule_for("out/a/b.csv").tolerance == EXACT
    assert policy.rule_for("other").ignore == "why"
    assert Policy(tolerance=close).rule_for("x").tolerance == close


def test_a_rule_may_accept_more_or_less_than_the_policy() -> None:
    close = Difference(subject="metric:rmse", outcome=Outcome.CLOSE, summary="")
    assert not accepted(close, Policy())
    assert accepted(close, Policy(rules=(Rule(pattern="metric:*", accept=Outcome.CLOSE),)))
    assert not accepted(
        close, Policy(accept=Outcome.CLOSE, rules=(Rule(pattern="metric:*", accept=Outcome.IDENTICAL),))
    )


def test_recipes_change_by_copies() -> None:
    recipe = Recipe(argv=("a",), env={"X": "1", "Y": "2"}, cwd="/")
    assert recipe.with_env({"X": None, "Z": "3"}).env == {"Y": "2", "Z": "3"}
    assert recipe.wrapped("b", "c").argv == ("b", "c", "a")
    assert recipe.env == {"X": "1", "Y": "2"}
