"""From a judgement to a verdict: the word, the conditions, the exit status."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy, Tolerance
from reproof.model.verdict import Stability, Verdict, Word, accepted

#: Exit statuses of verbs that compare.
REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = 0, 1, 3


def make_policy(base: Policy, accept: str | None, rtol: float | None, atol: float | None) -> Policy:
    """The policy of the settings, with what the command line asks for on top.

    A tolerance on the command line accepts CLOSE unless `accept` says otherwise; it also holds for
    rules that state none of their own.
    """
    tolerance = base.tolerance
    if rtol is not None or atol is not None:
        tolerance = Tolerance(rtol=rtol or 0.0, atol=atol or 0.0, ulp=tolerance.ulp)
    limit = base.accept
    if accept is not None:
        limit = Outcome[accept.upper()]
    elif rtol is not None or atol is not None:
        limit = max(limit, Outcome.CLOSE)
    rules = tuple(
        msgspec.structs.replace(rule, tolerance=tolerance) if rule.tolerance == base.tolerance else rule
        for rule in base.rules
    )
    return Policy(accept=limit, tolerance=tolerance, rules=rules)


def rejected(differences: Sequence[Difference], policy: Policy) -> list[Difference]:
    """The differences that do not pass."""
    return [difference for difference in differences if not accepted(difference, policy)]


def choose_word(
    differences: Sequence[Difference],
    policy: Policy,
    *,
    used_again: bool,
    replaced: bool = False,
) -> Word:
    """What may be said.

    Args:
        differences: Everything that was compared.
        policy: What passes.
        used_again: Something of the original set-up was used again (or might have been).
        replaced: Something was replaced on purpose.
    """
    bad = rejected(differences, policy)
    if not bad and replaced:
        return "same result"
    if not bad:
        return "repeated" if used_again else "reproduced"
    if all(difference.outcome is Outcome.UNKNOWN for difference in bad):
        return "inconclusive"
    return "other result" if replaced else "not reproduced"


def exit_status_of(verdict: Verdict) -> int:
    """0 reproduced (or repeated), 1 not reproduced, 3 inconclusive."""
    if verdict.reproduced:
        return REPRODUCED
    return INCONCLUSIVE if verdict.word == "inconclusive" else NOT_REPRODUCED


def choose_stability(between_reruns: Sequence[Difference], policy: Policy, *, tried: bool) -> Stability:
    """Whether the re-runs agree with each other (under the same policy as with the record)."""
    if not tried:
        return "not tried"
    return "varies" if decided(rejected(between_reruns, policy)) else "consistent"


def decided(differences: Sequence[Difference]) -> list[Difference]:
    """Those of `differences` that are known to differ, and not merely unknown."""
    return [difference for difference in differences if difference.outcome is not Outcome.UNKNOWN]
