"""What a build is worth, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reproof.errors import UsageError
from reproof.model.build import BuildReport, Cause, Output
from reproof.report.numbers import count_text, seconds_text, size_text
from reproof.report.protocol import Look, Sides
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint, pairs, wrapped
from reproof.report.text import TextRenderer

SCHEMA = "reproof/build/1"
_FILES = 5  # names of one cause
_STYLES = {"identical": "bold green", "controlled": "bold green", "different": "bold red"}


def render_build(
    report: BuildReport,
    format: str,  # noqa: A002  # the word of the command line
    *,
    width: int = 100,
    color: bool = False,
    strict: bool = False,
) -> str:
    """A report of a build.

    Args:
        report: What to show.
        format: ``text`` or ``json``.
        width: Columns, for text.
        color: ANSI colours, for text.
        strict: See :func:`exit_status_of`.

    Raises:
        UsageError: There is no such format.
    """
    if format == "json":
        document = {
            "schema": SCHEMA,
            **msgspec.to_builtins(report),
            "exit_status": exit_status_of(report, strict=strict),
        }
        return json_document(document, indent=2)
    if format != "text":
        raise UsageError(f"`{format}` cannot show a build", hint="pass `--output-format text`")
    return _Text(report, Look(width=width, color=color)).render(strict=strict)


def exit_status_of(report: BuildReport, *, strict: bool = False) -> int:
    """0 for the same bytes, 1 otherwise; `strict`: 1 also where only what the build holds makes them so."""
    return 0 if report.grade == "identical" or (report.grade == "controlled" and not strict) else 1


class _Text:
    def __init__(self, report: BuildReport, look: Look) -> None:
        self._report = report
        self._look = look
        self._paint = Paint(color=look.color)

    def render(self, *, strict: bool) -> str:
        """The report, ended by what it means for the exit status."""
        report = self._report
        lines = [
            f"{self._paint(report.grade, _STYLES[report.grade])}: {plain(report.project)}: {_sentence(report)}"
        ]
        lines += pairs(list(_facts(report)), self._look.width)
        if report.folder:
            lines += ["", f"in {plain(report.folder)}"]
            lines += [line for each in report.info.outputs for line in _output(each)]
            lines += [f"  {plain(report.document)}"]
        lines += self._causes("depends on" if report.grade == "controlled" else "cause", report.causes)
        lines += self._causes("fault", report.findings)
        if report.difference is not None and report.grade == "different":
            sides = Sides("built", "given") if report.checked else Sides("first", "second")
            lines += ["", TextRenderer(self._look).difference(report.difference, sides).rstrip("\n")]
        return "\n".join([*lines, "", _status(report, strict=strict)]) + "\n"

    def _causes(self, label: str, causes: Iterable[Cause]) -> list[str]:
        lines: list[str] = []
        for cause in causes:
            style = "yellow" if cause.held or label == "fault" else "red"
            proof = f" (varied: {cause.factor})" if cause.factor else ""
            lines += ["", f"{label} {self._paint(cause.name, style)}{proof}: {cause.words}"]
            for name in cause.files[:_FILES]:
                lines.append(f"  {plain(name)}")
            if len(cause.files) > _FILES:
                lines.append(f"  and {len(cause.files) - _FILES} more")
            lines += wrapped(f"remedy: {cause.remedy}", self._look.width, 2)
        return lines


def _sentence(report: BuildReport) -> str:
    if report.checked:
        same = report.grade == "identical"
        return (
            f"a controlled build gives {'the same bytes as' if same else 'other bytes than'} {report.checked}"
        )
    if report.grade == "identical":
        return "the second build has the same bytes, with all of this varied"
    if report.grade == "controlled":
        return "the same bytes in every controlled build; other builds depend on what is named below"
    return "two controlled builds do not have the same bytes"


def _facts(report: BuildReport) -> Iterable[tuple[str, str]]:
    info = report.info
    where = f", {info.source.subdirectory}" if info.source.subdirectory else ""
    yield "commit", f"{info.source.commit[:12]}{where}"
    tools = info.tools
    locked = f", locked by {tools.locked_by}" if tools.locked_by else ", not locked by the project"
    count = sum(1 for line in tools.requirements.splitlines() if line[:1].isalnum())
    if tools.python:
        yield (
            "backend",
            f"{plain(tools.backend)}: {count_text(count, 'distribution')}{locked if count else ''}",
        )
    programs = ", ".join(f"{name} {version}" for name, version in tools.programs.items())
    yield (
        "tools",
        ", ".join(part for part in (f"Python {tools.python}" if tools.python else "", programs) if part),
    )
    if info.exercised:
        yield "varied", ", ".join(info.exercised)
    for missing in info.not_exercised:
        yield "not exercised", f"{missing.name}: {missing.reason}"
    for condition in info.conditions:
        yield "condition", plain(condition)
    adjusted = [f"{each.name}: {words}" for each in info.outputs for words in each.adjusted]
    for words in adjusted:
        yield "adjusted", plain(words)
    times = ", ".join(f"{name} {seconds_text(value)}" for name, value in report.seconds.items())
    yield "builds", f"{report.builds}{f' ({times})' if times else ''}"


def _output(output: Output) -> tuple[str, str]:
    size = f"  ({size_text(output.size)})" if output.size else ""
    return f"  {plain(output.name)}{size}", f"    sha256:{output.sha256}"


def _status(report: BuildReport, *, strict: bool) -> str:
    meaning = {
        "identical": "the same bytes",
        "controlled": "the same bytes under control",
        "different": "not the same bytes",
    }
    return f"exit status {exit_status_of(report, strict=strict)}: {meaning[report.grade]}"
