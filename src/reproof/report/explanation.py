"""Why two runs differ, as text, JSON and a page."""

from __future__ import annotations

from collections.abc import Iterator

from reproof.model.explanation import Attempt, Explanation, ExplanationStatus, Factor
from reproof.report.forms import in_form
from reproof.report.numbers import count_text, seconds_text
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint, pad, pairs, wrapped

_STYLES: dict[ExplanationStatus, str] = {
    "proven": "bold green",
    "suspected": "bold yellow",
    "not found": "bold red",
}
_TONES: dict[ExplanationStatus, str] = {"proven": "good", "suspected": "unsure", "not found": "bad"}
_CAME = {"A": "A", "B": "B", "other": "neither", "unresolved": "no result"}
_SHOWN = 12  # suspects and factors that are listed
_LONG = 80


def render_explanation(
    explanation: Explanation,
    format: str,  # noqa: A002  # the word of the command line
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """An explanation, ending with one newline; `format` is ``text``, ``json`` or ``html``.

    Raises:
        UsageError: There is no such format.
    """
    return in_form(
        format,
        {
            "text": lambda: "\n".join(_text(explanation, width, Paint(color=color))) + "\n",
            "json": lambda: json_document(explanation),
            "html": lambda: _page(explanation),
        },
    )


def headline(explanation: Explanation) -> str:
    """What may be said, in one line."""
    if explanation.status == "proven":
        return "proven: " + " and ".join(factor_text(each) for each in explanation.causes)
    if explanation.status == "suspected":
        return f"not proven, {count_text(len(explanation.suspects), 'suspect')}"
    return "no cause found" if explanation.comparable else "nothing to explain"


def factor_text(factor: Factor) -> str:
    """A factor and how it differs, on one line."""
    text = f"{factor.kind} {factor.name}" if factor.name != factor.kind else factor.kind
    if factor.where and not factor.where.startswith(f"{factor.name}:"):
        text += f" ({factor.where})"
    elif factor.where:
        text += factor.where.removeprefix(factor.name)
    sides = _sides(factor)
    return plain(f"{text}: {sides}" if sides else text)


def _sides(factor: Factor) -> str:
    if factor.parts > 1:
        return f"{factor.parts} parts differ"
    if factor.before is None and factor.after is None:
        return ""
    sides = ["absent" if side is None else plain(side, _LONG) for side in (factor.before, factor.after)]
    return f"{sides[0]} -> {sides[1]}"


def _text(explanation: Explanation, width: int, paint: Paint) -> Iterator[str]:
    yield f"explained: {paint(headline(explanation), _STYLES[explanation.status])}"
    alone = explanation.a == explanation.b
    yield f"  {'run' if alone else 'A'.ljust(3)}       {explanation.a[:12]} of {plain(explanation.project)}"
    if not alone:
        yield f"  B         {explanation.b[:12]}"
    if explanation.subjects:
        names = ", ".join(plain(each, _LONG) for each in explanation.subjects[:5])
        more = f" and {len(explanation.subjects) - 5} more" if len(explanation.subjects) > 5 else ""
        yield f"  in        {names}{more}"
    budget = f", budget {explanation.budget}" if explanation.budget else ""
    again = f", {explanation.remembered} of them by earlier calls" if explanation.remembered else ""
    yield f"  made      {count_text(explanation.runs, 're-run')}{again}{budget}"
    if explanation.reason:
        yield from wrapped(f"because {plain(explanation.reason)}", width, 2)
    for title, factors in (
        ("cause", explanation.causes),
        ("suspects, the likeliest first", explanation.suspects),
    ):
        if factors:
            yield ""
            yield title
            yield from _factors(factors, width)
    if explanation.evidence:
        yield ""
        yield "evidence"
        for line in explanation.evidence:
            yield from wrapped(plain(line), width, 2)
    yield from _rest(explanation, width)


def _rest(explanation: Explanation, width: int) -> Iterator[str]:
    if explanation.attempts:
        yield ""
        yield "re-runs"
        for each in explanation.attempts:
            yield from _attempt(each, width)
    others = [each for each in explanation.factors if each not in explanation.causes + explanation.suspects]
    if others:
        yield ""
        yield "what else differs"
        yield from _factors(others, width)
    if explanation.aside:
        yield ""
        yield "left aside"
        yield from pairs([(plain(name), plain(reason)) for name, reason in explanation.aside], width)
    yield ""
    yield "conditions under which this holds"
    yield from pairs([(plain(name), plain(value)) for name, value in explanation.conditions], width)


def _factors(factors: tuple[Factor, ...] | list[Factor], width: int) -> Iterator[str]:
    for each in factors[:_SHOWN]:
        obstacle = f"; cannot be swapped here: {plain(each.obstacle)}" if each.obstacle else ""
        yield from wrapped(factor_text(each) + obstacle, width, 2)
    if len(factors) > _SHOWN:
        yield f"  and {len(factors) - _SHOWN:,} more"


def _attempt(attempt: Attempt, width: int) -> Iterator[str]:
    again = " once more" if attempt.again else ""
    yield from wrapped(
        f"{pad(_CAME[attempt.came], 11)}{plain(attempt.swapped)} swapped{again}: {plain(attempt.summary, 200)}",
        width,
        2,
    )


def _page(explanation: Explanation) -> str:
    from reproof.report.page import render_page
    from reproof.report.page_parts import Page
    from reproof.report.protocol import Sides
    from reproof.report.words import date

    def rows(factors: tuple[Factor, ...]) -> list[dict[str, str]]:
        return [
            {
                "kind": each.kind,
                "name": plain(each.name),
                "sides": _sides(each),
                "where": plain(each.where or ""),
                "obstacle": plain(each.obstacle or ""),
            }
            for each in factors
        ]

    return render_page(
        "explanation.html",
        Page(Sides()),
        title=f"explained: {explanation.status}: {plain(explanation.project)}",
        tone=_TONES[explanation.status],
        explanation=explanation,
        alone=explanation.a == explanation.b,
        headline=headline(explanation),
        made=plain(date(explanation.created)),
        causes=rows(explanation.causes),
        suspects=rows(explanation.suspects),
        factors=rows(explanation.factors),
        evidence=[plain(each) for each in explanation.evidence],
        reason=plain(explanation.reason),
        subjects=[plain(each) for each in explanation.subjects],
        attempts=[
            {
                "swapped": plain(each.swapped) + (" once more" if each.again else ""),
                "came": _CAME[each.came],
                "summary": plain(each.summary, 400),
                "took": seconds_text(each.seconds) if each.seconds else "",
            }
            for each in explanation.attempts
        ],
        aside=[(plain(name), plain(reason)) for name, reason in explanation.aside],
        conditions=[(plain(name), plain(value)) for name, value in explanation.conditions],
    )
