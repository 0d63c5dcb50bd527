"""Where a model comes from, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from reproof.model.origin import Origin
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint

SCHEMA = "reproof/origin/1"

_SHOWN = 20  # files without a product that are named


def render_origin(origin: Origin, format: str, *, width: int = 100, color: bool = False) -> str:  # noqa: A002, ARG001  # as all renderers
    """The origin of a model as ``text`` or ``json``; ends with one newline."""
    if format == "json":
        document = {"schema": SCHEMA, **msgspec.to_builtins(origin), "exit_status": origin.exit_status}
        return json_document(document, indent=2)
    return "\n".join(_lines(origin, Paint(color=color))) + "\n"


def _lines(origin: Origin, paint: Paint) -> Iterator[str]:
    found = origin.record is not None
    yield paint(plain(origin.subject), "bold") + (
        f" (version {plain(origin.version)})" if origin.version else ""
    )
    yield f"  files    {len(origin.files):,} in {plain(origin.source)}"
    if origin.claimed_run_id:
        yield f"  registry says it comes from run {plain(origin.claimed_run_id)}"
    if not found:
        yield from _unknown(origin)
        return
    yield f"  made by  run {plain(origin.run_id or 'without MLflow')}, record {(origin.record or '')[:12]}"
    yield f"           {plain(origin.project)}, {plain(origin.created)}, commit {plain(origin.commit[:12])}"
    yield "           every file has the content of one of its products"
    if origin.verdict is None:
        yield "  verdict  none: nobody verified that run"
        yield ""
        yield f"hint: run `reproof verify {origin.run_id or (origin.record or '')[:12]}`"
        return
    verdict = origin.verdict
    yield f"  verdict  {paint.verdict(verdict.word)}, {plain(verdict.created)}, by {plain(verdict.tool)}"


def _unknown(origin: Origin) -> Iterator[str]:
    matched = [each for each in origin.files if each.product is not None]
    yield "  made by  no recorded run that is known here"
    yield f"  searched {', '.join(map(plain, origin.searched)) or 'nothing: this is not a project, and no store is named'}"
    if matched:
        yield f"  {len(matched):,} of {len(origin.files):,} files have the content of a product of one run; the others:"
        others = [each for each in origin.files if each.product is None]
        yield from (f"    {plain(each.name)}  {each.digest[:20]}" for each in others[:_SHOWN])
        if len(others) > _SHOWN:
            yield f"    and {len(others) - _SHOWN:,} more"
