"""Logged metrics, step by step, and parameters."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from reproof.compare.collecting import Collector
from reproof.compare.numbers import FAR, compare_numbers
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy, Rule, Tolerance
from reproof.model.record import Metric, Parameter

_BY_NAME = "value (declared stable by name only)"


def compare_metrics(
    expected: Sequence[Metric], actual: Sequence[Metric], policy: Policy | None = None
) -> list[Difference]:
    """Compare logged metrics: one Difference for each run and key, in the order of the record.

    Args:
        expected: Recorded values, in the order in which they were logged.
        actual: Values of the re-run.
        policy: Its rules are asked for ``metric:KEY`` (``metric:run-1/KEY`` in further runs).

    Returns:
        Differences named like that; where there are several values or steps, with a child for each
        step that is not identical (``metric:rmse@step 3``). Several values at one step are compared
        in their order.
    """
    rules = policy or Policy()
    before, after = _by_key(expected), _by_key(actual)
    return [
        _compare_key(_subject("metric", key), before.get(key, {}), after.get(key, {}), rules)
        for key in dict.fromkeys((*before, *after))
    ]


def compare_parameters(
    expected: Sequence[Parameter], actual: Sequence[Parameter], policy: Policy | None = None
) -> list[Difference]:
    """Compare logged parameters as text: one Difference for each, ``parameter:NAME``."""
    rules = policy or Policy()
    before = {(each.run, each.key): each.value for each in expected}
    after = {(each.run, each.key): each.value for each in actual}
    found = []
    for key in dict.fromkeys((*before, *after)):
        subject = _subject("parameter", key)
        one, two = before.get(key), after.get(key)
        if one is not None and two is not None and rules.rule_for(subject).stable == "name":
            found.append(_by_name(subject))
        else:
            found.append(_text(subject, one, two))
    return found


def last_values(metrics: Iterable[Metric]) -> dict[str, str]:
    """The last value of each metric, by the name that rules know it by (``rmse``, ``run-1/rmse``).

    Of several values at the last step the last one logged counts, as in MLflow.
    """
    found: dict[str, tuple[int, str]] = {}
    for metric in metrics:
        name = _subject("", (metric.run, metric.key))[1:]
        if name not in found or metric.step >= found[name][0]:
            found[name] = metric.step, metric.value
    return {name: value for name, (_, value) in found.items()}


def number_of(value: str) -> float:
    """The number that a recorded value stands for, bit for bit.

    Args:
        value: ``float.hex``, a decimal, ``inf``, ``-inf``, ``nan`` or ``nan:BITS`` with the 64 bits
            as hexadecimal digits.

    Raises:
        ValueError: It is none of these.
    """
    text = value.strip().lower()
    if text.startswith("nan:"):
        bits: float = struct.unpack("<d", struct.pack("<Q", int(text[4:], 16)))[0]
        return bits
    return float.fromhex(text) if "0x" in text else float(text)


def _subject(noun: str, key: tuple[int, str]) -> str:
    run, name = key
    return f"{noun}:run-{run}/{name}" if run else f"{noun}:{name}"


def _by_key(metrics: Iterable[Metric]) -> dict[tuple[int, str], dict[int, list[str]]]:
    found: dict[tuple[int, str], dict[int, list[str]]] = {}
    for metric in metrics:
        found.setdefault((metric.run, metric.key), {}).setdefault(metric.step, []).append(metric.value)
    return found


def _compare_key(
    subject: str, before: dict[int, list[str]], after: dict[int, list[str]], policy: Policy
) -> Difference:
    rule = policy.rule_for(subject)
    if not before or not after:
        return _one_sided(subject, before or after, gone=not after)
    if rule.stable == "name":
        return _by_name(subject)
    only = list(before.values()), list(after.values())
    if before.keys() == after.keys() and all(len(side) == 1 and len(side[0]) == 1 for side in only):
        return _value(subject, only[0][0][0], only[1][0][0], rule.tolerance)
    return _steps(subject, before, after, rule)


def _steps(subject: str, before: dict[int, list[str]], after: dict[int, list[str]], rule: Rule) -> Difference:
    parts = Collector()
    worst: dict[str, Any] = {}
    missing = extra = 0
    for step in sorted({*before, *after}):
        one, two = before.get(step, []), after.get(step, [])
        missing += max(0, len(one) - len(two))
        extra += max(0, len(two) - len(one))
        for part in _at_step(f"{subject}@step {step}", one, two, rule.tolerance):
            parts.add(part)
            for name in ("absolute", "relative", "ulp"):
                fact = part.evidence.get(name)
                if isinstance(fact, int | float):
                    worst[name] = max(fact, worst.get(name, 0))
    total = sum(map(len, before.values()))
    words = [f"{parts.differing:,} of {max(total, parts.total):,} values differ"] if parts.differing else []
    words += [f"{missing:,} missing"] if missing else []
    words += [f"{extra:,} extra"] if extra else []
    if "relative" in worst:
        words.append(f"largest relative difference {worst['relative']:.3g}")
    return replace(
        parts.difference(
            subject,
            kind="metric",
            summary=", ".join(words) or f"{total:,} values are identical",
            evidence={"steps": len(before), **{f"largest_{name}": fact for name, fact in worst.items()}},
        ),
        expected=_shown(before[max(before)][-1]),
        actual=_shown(after[max(after)][-1]),
    )


def _at_step(subject: str, one: list[str], two: list[str], tolerance: Tolerance) -> list[Difference]:
    """The values at one step in their order; numbered from 1 when there are several."""
    found = []
    count = max(len(one), len(two))
    for index in range(count):
        name = subject if count == 1 else f"{subject} #{index + 1}"
        if index < len(one) and index < len(two):
            found.append(_value(name, one[index], two[index], tolerance))
        else:
            gone = index < len(one)
            value = _shown((one if gone else two)[index])
            found.append(
                Difference(
                    subject=name,
                    outcome=Outcome.DIFFERENT,
                    summary=f"missing; it was {value}" if gone else f"only in the re-run: {value}",
                    kind="metric",
                    expected=value if gone else None,
                    actual=None if gone else value,
                )
            )
    return found


def _value(subject: str, expected: str, actual: str, tolerance: Tolerance) -> Difference:
    try:
        outcome, facts = compare_numbers(number_of(expected), number_of(actual), tolerance)
    except (ValueError, OverflowError, struct.error):
        return _text(subject, expected, actual, "metric")
    one, two = _shown(expected), _shown(actual)
    distance = ""
    if "ulp" in facts:
        relative = f"relative {facts['relative']:.3g}" if "relative" in facts else "the sign of zero"
        distance = f" ({facts['ulp']:,} ulp, {relative})" if facts["ulp"] < FAR else f" ({relative})"
    return Difference(
        subject=subject,
        outcome=outcome,
        summary=one if outcome is Outcome.IDENTICAL else f"{one} -> {two}{distance}",
        kind="metric",
        expected=one,
        actual=two,
        evidence={**facts, "expected": expected, "actual": actual} if facts else {},
    )


def _one_sided(subject: str, steps: dict[int, list[str]], *, gone: bool) -> Difference:
    last = _shown(steps[max(steps)][-1])
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        summary=f"was not logged again; it was {last}" if gone else f"only in the re-run: {last}",
        kind="metric",
        expected=last if gone else None,
        actual=None if gone else last,
        evidence={"values": sum(map(len, steps.values()))},
    )


def _text(subject: str, one: str | None, two: str | None, kind: str = "parameter") -> Difference:
    if one == two:
        outcome, summary = Outcome.IDENTICAL, _cut(one or "")
    elif two is None:
        outcome, summary = Outcome.DIFFERENT, f"was not logged again; it was `{_cut(one or '')}`"
    elif one is None:
        outcome, summary = Outcome.DIFFERENT, f"only in the re-run: `{_cut(two)}`"
    else:
        outcome, summary = Outcome.DIFFERENT, f"`{_cut(one)}` -> `{_cut(two)}`"
    return Difference(subject=subject, outcome=outcome, summary=summary, kind=kind, expected=one, actual=two)


def _by_name(subject: str) -> Difference:
    return Difference(
        subject=subject,
        outcome=Outcome.EQUIVALENT,
        summary="logged on both sides",
        kind="name",
        canonicalised=(_BY_NAME,),
    )


def _shown(value: str) -> str:
    """The shortest decimal that reads back to the same bits; NaN with its bits."""
    try:
        number = number_of(value)
    except (ValueError, OverflowError, struct.error):
        return value
    return value if math.isnan(number) else repr(number)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
