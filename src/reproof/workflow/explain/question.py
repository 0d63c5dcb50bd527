"""What is to be explained: results that differ, or a metric that is worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from reproof.compare.metrics import number_of
from reproof.errors import UsageError
from reproof.model.difference import Difference, Outcome
from reproof.model.explanation import Came
from reproof.model.record import Record
from reproof.workflow.explain.trials import STATUS, Facts

#: Files of a logged model that repeat the set-up: they differ because the set-up does.
_ECHOES = frozenset({"requirements.txt", "conda.yaml", "python_env.yaml", "MLmodel"})


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The results in question, and whose a re-run has.

    Attributes:
        a: The record whose result is "A".
        b: The record whose result is "B".
        subjects: Names of the results.
        metric: A metric in place of all results; None for the results themselves.
        limit: What it may be worse by, as a share of A's value: 0.005 for 0.5 %.
        values: The metric's value in A and in B.
        complaints: The end of what A and B said, where they failed.
    """

    a: Record
    b: Record
    subjects: tuple[str, ...] = ()
    metric: str | None = None
    limit: float = 0.0
    values: tuple[float, float] = (0.0, 0.0)
    complaints: tuple[str, str] = ("", "")

    def came(self, facts: Facts) -> Came:
        """Whose result a re-run has."""
        if self.metric is not None:
            return self._by_metric(facts)
        if not self._ended(facts):
            return "unresolved"
        found = [facts.standings[name] for name in self.subjects if name in facts.standings]
        if all(each.like_a for each in found):
            return "A"
        return "B" if all(each.like_b for each in found) else "other"

    def label(self, facts: Facts) -> str:
        """The same, but that third results are told apart."""
        came = self.came(facts)
        if came != "other":
            return came
        pattern = [facts.standings.get(name) for name in self.subjects]
        return f"{came} {sorted(facts.metrics.items())} {pattern}"

    def is_exact(self, facts: Facts, side: Came) -> bool:
        """Whether the results are the very bytes of that side."""
        found = [facts.standings[name] for name in self.subjects if name in facts.standings]
        outcomes = [each.to_a if side == "A" else each.to_b for each in found]
        return bool(found) and all(each == Outcome.IDENTICAL for each in outcomes)

    def say(self, facts: Facts) -> str:
        """How a re-run came out, for people."""
        came = self.came(facts)
        if came == "unresolved":
            return facts.problem.strip().splitlines()[-1] if facts.problem.strip() else "no result"
        if self.metric is not None:
            return f"{self.metric} {number_of(facts.metrics[self.metric]):.6g}"
        words = {"A": "the result of A", "B": "the result of B", "other": "a third result"}
        return words[came]

    def _ended(self, facts: Facts) -> bool:
        """Whether it ended as A or B did, and not for a reason of its own."""
        statuses = [side.byproducts.exit_status for side in (self.a, self.b)]
        if facts.exit_status not in statuses:
            return False
        if facts.exit_status == 0:
            return True
        said = _complaint(facts.problem)
        return any(
            status == facts.exit_status and _complaint(complaint) == said
            for status, complaint in zip(statuses, self.complaints, strict=True)
        )

    def _by_metric(self, facts: Facts) -> Came:
        assert self.metric is not None
        value = facts.metrics.get(self.metric)
        if facts.exit_status is None or value is None:
            return "unresolved"
        one, two = self.values
        worse = worsening(one, number_of(value), upwards=two > one)
        return "B" if worse > self.limit else "A"


def worsening(base: float, value: float, *, upwards: bool) -> float:
    """By which share of its base a metric is worse; not a number is the worst of all.

    Args:
        base: The good value.
        value: The one that is judged.
        upwards: Whether more is worse.
    """
    if math.isnan(value):
        return math.inf
    difference = value - base if upwards else base - value
    return difference / abs(base) if base else math.copysign(math.inf, difference) if difference else 0.0


def parse_share(text: str) -> float:
    """Read ``--worse-than``: ``0.5%`` or ``0.005``, as a share.

    Raises:
        UsageError: It is neither.
    """
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if rest.strip() or not math.isfinite(value) or value < 0:
        raise UsageError(f"`{text}` is no share of a metric", hint="pass `--worse-than 0.5%`")
    return value


def choose_subjects(differences: Sequence[Difference]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The results to be explained, among those that differ, and those that are left aside, with the reason.

    Logged parameters, and the files of a model that repeat its requirements, differ because the set-up does:
    they are left aside where anything else differs.
    """
    echoes = [each for each in differences if _is_echo(each)]
    real = [each for each in differences if each not in echoes]
    if not real:
        return tuple(each.subject for each in echoes), ()
    reason = "it repeats the set-up"
    return tuple(each.subject for each in real), tuple((each.subject, reason) for each in echoes)


def _is_echo(difference: Difference) -> bool:
    name = difference.subject
    if name == STATUS:
        return False
    return name.startswith("parameter:") or (
        name.startswith("mlflow/") and PurePosixPath(name).name in _ECHOES
    )


def _complaint(text: str) -> str:
    """What kind of error ended a run: the word before the colon of the last line that it wrote."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].partition(":")[0].strip() if lines else ""
