"""The word and the exit status follow from the outcomes and the policy, and from nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy, Rule, Tolerance
from reproof.workflow.verdicts import choose_stability, choose_word, make_policy


def differences(*outcomes: Outcome) -> list[Difference]:
    return [Difference(subject=str(i), outcome=outcome, summary="") for i, outcome in enumerate(outcomes)]


@given(st.lists(st.sampled_from(Outcome), max_size=6), st.sampled_from(Outcome), st.booleans())
def test_nothing_unknown_or_different_ever_passes_by_default(
    values: list[Outcome], extra: Outcome, again: bool
) -> None:
    word = choose_word(differences(*values, extra), Policy(), used_again=again)
    worst = Outcome.worst([*values, extra])
    if worst <= Outcome.EQUIVALENT:
        assert word == ("repeated" if again else "reproduced")
    elif {value for value in [*values, extra] if value > Outcome.EQUIVALENT} == {Outcome.UNKNOWN}:
        assert word == "inconclusive"
    else:
        assert word == "not reproduced"


def test_the_command_line_tightens_and_loosens() -> None:
    base = Policy(rules=(Rule(pattern="a"),), tolerance=Tolerance(ulp=2))
    assert make_policy(base, None, None, None) == base
    assert make_policy(base, "identical", None, None).accept is Outcome.IDENTICAL
    loose = make_policy(base, None, 1e-6, None)
    assert (loose.accept, loose.tolerance.rtol, loose.rules) == (Outcome.CLOSE, 1e-6, base.rules)
    assert make_policy(base, "equivalent", 1e-6, None).accept is Outcome.EQUIVALENT


def test_stability() -> None:
    assert choose_stability([], Policy(), tried=False) == "not tried"
    assert choose_stability([], Policy(), tried=True) == "consistent"
    assert choose_stability(differences(Outcome.DIFFERENT), Policy(), tried=True) == "varies"
    assert choose_stability(differences(Outcome.UNKNOWN), Policy(), tried=True) == "consistent"
