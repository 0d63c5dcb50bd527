"""HTML: one self-contained page that fetches nothing, works without scripts, and can be printed."""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproof.model.difference import Difference, Outcome
from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.chance import by_itself, draw_rows
from reproof.report.essentials import artifact_text, essentials, metric_values
from reproof.report.numbers import seconds_text
from reproof.report.page_parts import Page
from reproof.report.protocol import ListedRun, Look, Sides
from reproof.report.safe import plain
from reproof.report.view import count_by_outcome, factors_of, groups_of, set_aside
from reproof.report.words import (
    EXIT_STATUS,
    counts,
    date,
    exit_meaning,
    policy_lines,
    sentence,
    stability,
)

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_WORSE = {Outcome.UNKNOWN: "unsure"}
_TONES = {0: "good", 1: "bad", 3: "unsure"}


class HtmlRenderer:
    """Renders HTML pages from the templates beside this module."""

    def __init__(self, look: Look) -> None:
        self._accept = look.accept  # the page follows the reader's window and colours

    def verdict(self, verdict: Verdict, record: Record | None) -> str:
        """Summary, tables of metrics and artifacts with what differs unfolded, and what limits the answer."""
        page = Page(Sides())
        status, meaning = exit_meaning(verdict)
        return render_page(
            "verdict.html",
            page,
            title=f"{verdict.word}: {plain(verdict.project)}",
            tone=_TONES[EXIT_STATUS[verdict.word]],
            verdict=verdict,
            sentence=sentence(verdict),
            bar=_bar([difference.outcome for difference in verdict.differences]),
            facts=_facts(verdict, record),
            stability=stability(verdict),
            by_itself=plain(by_itself(verdict)),
            draws=[(plain(place), plain(text)) for place, text in draw_rows(verdict)],
            groups=[page.group(group) for group in groups_of(verdict, record)],
            aside=page.items(
                [(name, ", ".join(names)) for name, names in set_aside(verdict.differences).items()], "aside"
            ),
            conditions=[(plain(c.name), plain(c.value), plain(c.note or "")) for c in verdict.conditions],
            policy=[(plain(name), plain(text)) for name, text in policy_lines(verdict.policy)],
            unchecked=page.items([(item.subject, item.reason) for item in verdict.not_checked], "unchecked"),
            factors=page.factors(factors_of(verdict.factors)),
            sections=essentials(record, verdict.record) if record is not None else {},
            exit_status=status,
            meaning=meaning,
        )

    def difference(self, difference: Difference, sides: Sides) -> str:
        """The tree of one difference."""
        page = Page(sides)
        return render_page(
            "difference.html",
            page,
            title=f"{difference.outcome.word}: {plain(difference.subject)}",
            tone="good" if difference.outcome <= self._accept else _WORSE.get(difference.outcome, "bad"),
            difference=difference,
            bar=_bar([child.outcome for child in difference.children]),
            node=page.tree(difference),
            counts=counts((child.outcome for child in difference.children), empty=""),
            aside=page.items([(name, "") for name in set_aside((difference,))], "aside"),
        )

    def record(self, record: Record, identity: str) -> str:
        """The essentials of a record, its results and its materials."""
        page = Page(Sides())
        tables = {
            "parameters": list(record.project.parameters.items()),
            "logged parameters": [(each.key, each.value) for each in record.parameters],
            "metrics": metric_values(record.metrics),
            "materials": [(each.name, artifact_text(each)) for each in record.materials],
            "products": [(each.name, artifact_text(each)) for each in record.products],
            "packages": [(each.name, each.version) for each in record.environment.distributions],
        }
        return render_page(
            "record.html",
            page,
            title=f"record {plain(identity[:12])}: {plain(record.project.name)}",
            tone="plain",
            record=record,
            made=plain(date(record.created)),
            sections=essentials(record, identity),
            tables={title: page.items(items, title) for title, items in tables.items() if items},
        )

    def rows(self, rows: Sequence[ListedRun]) -> str:
        """A table of runs."""
        lines = [
            {
                "record": plain(row.record[:12]),
                "run_id": plain(row.run_id or ""),
                "made": plain(date(row.created)),
                "project": plain(row.project),
                "entry_point": plain(row.entry_point),
                "state": plain(row.state),
                "took": seconds_text(row.seconds) if row.seconds else "",
                "verdict": row.verdict or "not verified",
                "tone": _TONES[EXIT_STATUS[row.verdict]] if row.verdict else "plain",
            }
            for row in rows
        ]
        return render_page("list.html", Page(Sides()), title="recorded runs", tone="plain", lines=lines)

    def findings(self, findings: Sequence[Finding]) -> str:
        """A table of what was examined."""
        lines = [
            {
                "tone": "good" if finding.ok else "bad" if finding.required else "unsure",
                "state": "ok" if finding.ok else "missing",
                "name": plain(finding.name),
                "value": plain(finding.value),
                "meaning": plain(finding.meaning),
            }
            for finding in findings
        ]
        lacking = any(finding.required and not finding.ok for finding in findings)
        tone = "bad" if lacking else "good"
        return render_page(
            "findings.html", Page(Sides()), title="what this machine offers", tone=tone, lines=lines
        )


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment


@functools.cache
def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def render_page(template: str, page: Page, *, styles: Sequence[str] = (), **values: Any) -> str:
    """A page of ours from its template.

    Args:
        template: Name of the file beside this module.
        page: Holds what the page was too long for.
        styles: Further style sheets beside ours.
        values: What the template asks for; text in it is escaped.
    """
    from markupsafe import Markup

    script = _asset("page.js")
    # only the script that we wrote may run, whatever a name or value of the run contains
    digest = b64encode(sha256(script.encode()).digest()).decode()
    text = (
        _environment()
        .get_template(template)
        .render(
            style=Markup("".join(map(_asset, ("page.css", *styles)))),  # noqa: S704  # our own files
            script=Markup(script),  # noqa: S704
            script_digest=digest,
            rest=Markup(page.rest_json()),  # noqa: S704  # escaped for the place where it stands
            **values,
        )
    )
    return text.rstrip("\n") + "\n"


def _bar(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Segments of the bar, worst first, with their share in percent."""
    found = count_by_outcome(outcomes)
    return [
        {"word": outcome.word, "count": f"{count:,}", "share": round(100 * count / len(outcomes), 3)}
        for outcome, count in found.items()
    ]


def _facts(verdict: Verdict, record: Record | None) -> list[tuple[str, str]]:
    made = plain(date(record.created)) if record is not None else ""
    facts = [
        ("record", plain(verdict.record[:12])),
        ("MLflow run", plain(verdict.run_id or "")),
        ("recorded", made),
        ("verified", plain(date(verdict.created))),
        *[(plain(name), seconds_text(seconds)) for name, seconds in verdict.seconds.items()],
        ("clean room", plain(verdict.room or "")),
        ("decided by", plain(verdict.tool)),
    ]
    return [(label, text) for label, text in facts if text]
