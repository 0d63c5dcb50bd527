"""Which formats there are; each renderer is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from reproof.errors import UsageError
from reproof.model.difference import Difference, Outcome
from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.forms import unknown_form
from reproof.report.protocol import Display, ListedRun, Look, Renderer, Sides

#: Format to ``module:Class``, in the order in which help shows them.
FORMATS = {
    "text": "reproof.report.text:TextRenderer",
    "json": "reproof.report.machine:JsonRenderer",
    "html": "reproof.report.page:HtmlRenderer",
    "markdown": "reproof.report.markdown:MarkdownRenderer",
    "junit": "reproof.report.junit:JUnitRenderer",
    "github": "reproof.report.github:GitHubRenderer",
}


def renderer_for(format: str, look: Look) -> Renderer:  # noqa: A002  # the word of the command line
    """The renderer of `format`.

    Raises:
        UsageError: There is no such format.
    """
    if format not in FORMATS:
        raise unknown_form(format, FORMATS)
    module, _, name = FORMATS[format].partition(":")
    renderer: Renderer = getattr(import_module(module), name)(look)
    return renderer


def render_verdict(
    verdict: Verdict,
    record: Record | None,
    format: str,  # noqa: A002
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """A verdict, and what it is about.

    Args:
        verdict: What to show.
        record: The record that was verified, where it is at hand: adds sizes and essentials.
        format: A key of :data:`FORMATS`.
        width: Columns, for text.
        color: ANSI colours, for text.

    Returns:
        The document, ending with one newline.

    Raises:
        UsageError: There is no such format.
    """
    return renderer_for(format, Look(width=width, color=color)).verdict(verdict, record)


def render_difference(  # noqa: PLR0913  # names a caller may leave out
    difference: Difference,
    format: str,  # noqa: A002
    *,
    sides: Sides = Sides("A", "B"),  # noqa: B008  # immutable
    accept: Outcome = Outcome.EQUIVALENT,
    width: int = 100,
    color: bool = False,
) -> str:
    """A difference that belongs to no verdict; see :func:`render_verdict`.

    `sides` names its two sides; up to `accept` it counts as the same (a passed test, a green page).
    """
    return renderer_for(format, Look(width=width, color=color, accept=accept)).difference(difference, sides)


def render_record(
    record: Record,
    identity: str,
    format: str,  # noqa: A002
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """The record with the id `identity`, for people or (``json``) exactly as it is.

    Raises:
        UsageError: There is no such format, or it has no way to show a record.
    """
    return _display(format, Look(width=width, color=color), "a record").record(record, identity)


def render_list(
    rows: Sequence[ListedRun],
    format: str,  # noqa: A002
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """A list of runs, in the order given. Raises UsageError as :func:`render_record` does."""
    return _display(format, Look(width=width, color=color), "a list of runs").rows(rows)


def render_findings(
    findings: Sequence[Finding],
    format: str,  # noqa: A002
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """What a machine offers. Raises UsageError as :func:`render_record` does."""
    return _display(format, Look(width=width, color=color), "findings").findings(findings)


def _display(format: str, look: Look, what: str) -> Display:  # noqa: A002
    renderer = renderer_for(format, look)
    if not isinstance(renderer, Display):
        raise UsageError(
            f"`{format}` cannot show {what}",
            details=[("can", "text, json, html, markdown")],
            hint="pass `--output-format text`",
        )
    return renderer
