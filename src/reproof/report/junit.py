"""JUnit XML: a test case for each thing compared, as continuous integration shows them.

The form is that of the Apache Ant and Jenkins readers: ``testsuites/testsuite/testcase`` with
``failure`` and ``skipped``; what cannot be re-run gives no verdict, so ``errors`` is always 0.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from reproof.model.difference import Difference
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.protocol import Look, Sides
from reproof.report.safe import plain
from reproof.report.text import TextRenderer
from reproof.report.view import Row, groups_of, summary_of
from reproof.report.words import sentence

_TEXT = 2000  # characters of one foreign text
_CASES = 20_000  # more make the readers of such files give up


class JUnitRenderer:
    """Renders JUnit XML; not accepted is a failure, not checked is skipped."""

    def __init__(self, look: Look) -> None:
        self._text = TextRenderer(Look(width=look.width))
        self._accept = look.accept

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """One suite with a case for each difference, and one for each thing that was not checked."""
        project = plain(verdict.project) or "project"
        cases: list[str] = []
        failures = 0
        for group in groups_of(verdict, record):
            failures += sum(not row.accepted for row in group.rows)
            place = f"{project}.{group.title.replace(' ', '_')}"
            cases += [_case(place, row.name, self._failure(row)) for row in group.foremost(_CASES)[0]]
        for item in verdict.not_checked[:_CASES]:
            reason = quoteattr(plain(item.reason, _TEXT))
            cases.append(_case(f"{project}.not_checked", item.subject, f"<skipped message={reason}/>"))
        seconds = sum(verdict.seconds.values())
        return _document(
            {
                "name": f"reproof verify {verdict.record[:12]}",
                "tests": str(len(cases)),
                "failures": str(failures),
                "errors": "0",
                "skipped": str(min(len(verdict.not_checked), _CASES)),
                "time": f"{seconds:.3f}",
                "timestamp": verdict.created.removesuffix("Z").partition("+")[0],
            },
            {"verdict": verdict.word, "meaning": sentence(verdict), "stability": verdict.stability}
            | {f"condition.{condition.name}": condition.value for condition in verdict.conditions},
            cases,
        )

    def difference(self, difference: Difference, sides: Sides) -> str:
        """One case, which fails unless both sides are the same as far as is accepted."""
        row = Row(difference.subject, difference, difference.outcome <= self._accept)
        text = "" if row.accepted else self._body(difference, sides)
        return _document(
            {
                "name": "reproof diff",
                "tests": "1",
                "failures": str(int(not row.accepted)),
                "errors": "0",
                "skipped": "0",
            },
            {},
            [_case("diff", row.name, text)],
        )

    def _failure(self, row: Row) -> str:
        return "" if row.accepted else self._body(row.difference, Sides())

    def _body(self, difference: Difference, sides: Sides) -> str:
        message = quoteattr(plain(summary_of(difference), _TEXT))
        text = escape(self._text.difference(difference, sides).rstrip("\n"))
        return (
            f"<failure type={quoteattr(difference.outcome.word)} message={message}>\n{text}\n    </failure>"
        )


def _case(place: str, name: str, body: str) -> str:
    head = f"    <testcase classname={quoteattr(f'reproof.{place}')} name={quoteattr(plain(name, _TEXT))}"
    return f"{head}>\n      {body}\n    </testcase>" if body else f"{head}/>"


def _document(attributes: dict[str, str], properties: dict[str, str], cases: list[str]) -> str:
    written = " ".join(f"{name}={quoteattr(plain(value))}" for name, value in attributes.items())
    totals = " ".join(f'{name}="{attributes[name]}"' for name in ("tests", "failures", "errors", "skipped"))
    told = [
        f"      <property name={quoteattr(plain(name))} value={quoteattr(plain(value, _TEXT))}/>"
        for name, value in properties.items()
    ]
    block = ["    <properties>", *told, "    </properties>"] if told else []
    return (
        "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8"?>',
                f"<testsuites {totals}>",
                f"  <testsuite {written}>",
                *block,
                *cases,
                "  </testsuite>",
                "</testsuites>",
            ]
        )
        + "\n"
    )
