"""The sentences that several formats share: headline, stability, exit status, conditions of equality."""

from __future__ import annotations

from collections.abc import Iterable

from reproof.model.difference import Outcome
from reproof.model.policy import Policy, Rule, Tolerance
from reproof.model.verdict import Verdict, Word, accepted
from reproof.report.numbers import count_text, seconds_text
from reproof.report.safe import plain
from reproof.report.view import count_by_outcome

#: Exit status of `verify` for each word.
EXIT_STATUS: dict[Word, int] = {
    "reproduced": 0,
    "repeated": 0,
    "reconstructed": 0,
    "not reproduced": 1,
    "inconclusive": 3,
    "same result": 0,
    "other result": 1,
}

_EXIT_MEANING = {
    0: "the result is the same under the accepted outcome",
    1: "checked and not reproduced",
    3: "inconclusive: something could not be compared",
}
_STABILITY = {
    "varies": "the re-run differs from itself under the same conditions: the run is nondeterministic",
    "consistent": "the re-run agrees with itself but not with the record: something changed",
    "not tried": "",
}
_SAME = {
    Outcome.IDENTICAL: "bit for bit the same",
    Outcome.EQUIVALENT: "the same; what was set aside to compare is listed",
    Outcome.CLOSE: "the same within the declared tolerance",
}
_HOW: dict[Word, str] = {
    "reproduced": "everything was re-created from the record",
    "repeated": "part of the original set-up was used again",
    "reconstructed": "the run was put together again from what MLflow and Git know of it",
}


def sentence(verdict: Verdict) -> str:
    """What the word of the verdict means here, in one sentence without the word and final full stop."""
    total = len(verdict.differences)
    if verdict.word == "same result":
        return f"{_replaced(verdict)} does not alter the result: {_SAME.get(verdict.outcome, 'the same')}"
    if verdict.word in _HOW:
        same = _SAME.get(verdict.outcome, "the same under the rules that were declared")
        return f"{_HOW[verdict.word]} and came out {same}"
    if verdict.word == "inconclusive":
        unknown = sum(d.outcome == Outcome.UNKNOWN for d in verdict.differences)
        return f"{unknown:,} of {count_text(total, 'comparison')} could not be decided"
    failed = sum(not accepted(d, verdict.policy) for d in verdict.differences)
    what = "stage" if verdict.stages else "comparison"
    if verdict.word == "other result":
        return f"{_replaced(verdict)} alters {failed:,} of {count_text(total, what)}"
    said = f"{failed:,} of {count_text(total, what)} came out other than the record says"
    return f"{said}{_first(verdict)}"


def _replaced(verdict: Verdict) -> str:
    return plain(" and ".join(verdict.replaced))


def _first(verdict: Verdict) -> str:
    """Of a pipeline: which stage differs first, and what became of those after it."""
    if verdict.first is None:
        return ""
    inherited = [each.address for each in verdict.stages if each.state == "inherited"]
    others = [
        each.address for each in verdict.stages if each.state == "differs" and each.address != verdict.first
    ]
    text = f"; the first to differ by itself is `{plain(verdict.first)}`"
    if others:
        text += f", then {', '.join(f'`{plain(name)}`' for name in others)}"
    if inherited:
        text += f"; inherited by {', '.join(f'`{plain(name)}`' for name in inherited)}"
    return text


def counts(outcomes: Iterable[Outcome], *, empty: str = "nothing compared") -> str:
    """``1 different, 3 identical``: worst first."""
    found = count_by_outcome(outcomes)
    return ", ".join(f"{count:,} {outcome.word}" for outcome, count in found.items()) or empty


def stability(verdict: Verdict) -> str:
    """What the stability means; empty where it was not tried."""
    if verdict.reproduced and verdict.stability == "consistent":
        return "the re-runs agree with each other, too"
    return _STABILITY[verdict.stability]


def exit_meaning(verdict: Verdict) -> tuple[int, str]:
    """The exit status that goes with the verdict, and what it means."""
    status = EXIT_STATUS[verdict.word]
    if status == 0:
        return status, f"the result is the same (accepted: {verdict.policy.accept.word} or better)"
    return status, _EXIT_MEANING[status]


def timings(verdict: Verdict) -> str:
    """``recorded run 12.4 s, environment 3.1 s, re-run 12.6 s``; empty where nothing was timed."""
    return ", ".join(f"{name} {seconds_text(value)}" for name, value in verdict.seconds.items())


def policy_lines(policy: Policy) -> list[tuple[str, str]]:
    """The policy as (what it speaks of, what holds) pairs: the general rule, then the exceptions."""
    general = f"{policy.accept.word} or better" + _tolerance(policy.tolerance)
    return [("accepted", general), *[(f"for {rule.pattern}", _rule(rule)) for rule in policy.rules]]


def date(stamp: str) -> str:
    """An ISO 8601 time in UTC for people, to the second: ``2026-11-23 09:15:02 UTC``."""
    head, _, rest = stamp.partition("T")
    if not rest:
        return stamp
    return f"{head} {rest[:8]}" + (" UTC" if stamp.endswith(("Z", "+00:00")) else rest[8:])


def _tolerance(tolerance: Tolerance) -> str:
    parts = [
        f"{name} {value:g}"
        for name, value in (("rtol", tolerance.rtol), ("atol", tolerance.atol), ("ulp", tolerance.ulp))
        if value
    ]
    return f", numbers within {', '.join(parts)}" if parts else ""


def _rule(rule: Rule) -> str:
    if rule.ignore is not None:
        return f"not compared: {rule.ignore}"
    parts = []
    if rule.accept is not None:
        parts.append(f"{rule.accept.word} or better")
    if rule.stable != "content":
        parts.append("only its presence")
    return (", ".join(parts) or "as accepted") + _tolerance(rule.tolerance)
