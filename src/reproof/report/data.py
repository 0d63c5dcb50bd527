"""What was found out about data and about the store, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from reproof.model.data import DataReport, ObjectFault, StoreReport, TrackedData
from reproof.report.numbers import count_text, size_text
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint

DATA_SCHEMA = "reproof/data/1"
STORE_SCHEMA = "reproof/store/1"

_SHOWN = 20  # lines about one entry
_STATES = {"unchanged": "green", "changed": "red", "missing": "red", "corrupted": "bold red"}
_WIDTH = 11


def render_data(report: DataReport, format: str, *, width: int = 100, color: bool = False) -> str:  # noqa: A002, ARG001  # as all renderers
    """All data of a repository; `format` is ``text`` or ``json``."""
    if format == "json":
        document = {"schema": DATA_SCHEMA, "sound": report.is_sound, **_builtins(report)}
        for item, shown in zip(report.items, document["items"], strict=True):
            shown |= {"state": item.state, "sound": item.is_sound}
        return json_document(document)
    paint = Paint(color=color)
    lines = [line for item in report.items for line in _item(item, paint)]
    lines += [_fault_line(fault, paint) for fault in report.others]
    return "\n".join([*lines, _data_summary(report)]) + "\n"


def render_store(report: StoreReport, format: str, *, width: int = 100, color: bool = False) -> str:  # noqa: A002, ARG001  # as all renderers
    """What was found or done in the store; `format` is ``text`` or ``json``."""
    if format == "json":
        return json_document({"schema": STORE_SCHEMA, "sound": report.is_sound, **_builtins(report)})
    paint = Paint(color=color)
    lines = [_fault_line(fault, paint) for fault in report.faults[:_SHOWN]]
    if len(report.faults) > _SHOWN:
        lines.append(f"{len(report.faults) - _SHOWN:,} more")
    lines += [f"{paint('damaged', 'bold red')}    record {plain(name)}" for name in report.damaged]
    lines += [paint(plain(note), "yellow") for note in report.notes]
    return "\n".join([*lines, *_store_summary(report)]) + "\n"


def _item(item: TrackedData, paint: Paint) -> Iterator[str]:
    facts = [plain(item.id[: item.id.find(":") + 9] if item.id else "no id")]
    if item.files is not None:
        facts.append(count_text(item.files, "file"))
    if item.size is not None:
        facts.append(size_text(item.size))
    facts.append(f"named in `{plain(item.source)}`")
    if item.unpushed:
        facts.append(
            paint(f"not pushed to `{plain(item.remote or '')}`: {item.unpushed:,} objects", "yellow")
        )
    elif item.unpushed == 0:
        facts.append(f"pushed to `{plain(item.remote or '')}`")
    word = paint(item.state, _STATES[item.state]) + " " * (_WIDTH - len(item.state))
    yield f"{word}{plain(item.path)}  ({', '.join(facts)})"
    inside = [change for change in item.changes if change.name != item.path]
    for change in inside[:_SHOWN]:
        yield f"{' ' * _WIDTH}{change.kind:<8} {plain(change.name)}"
    if len(inside) > _SHOWN:
        yield f"{' ' * _WIDTH}{len(inside) - _SHOWN:,} more"
    faults = [*item.corrupted, *item.missing]
    for fault in faults[:_SHOWN]:
        yield _fault_line(fault, paint)
    if len(faults) > _SHOWN:
        yield f"{' ' * _WIDTH}{len(faults) - _SHOWN:,} more objects"
    if item.note:
        yield f"{' ' * _WIDTH}{plain(item.note)}"


def _fault_line(fault: ObjectFault, paint: Paint) -> str:
    """One object, with its path and ids."""
    name = f"of `{plain(fault.name)}` " if fault.name else ""
    if fault.found is None:
        return (
            f"{paint('no copy', 'yellow')}    {name}{plain(fault.expected)} is not in `{plain(fault.place)}`"
        )
    what = plain(fault.note) if fault.note else f"found {plain(fault.found)}"
    return f"{paint('corrupted', 'bold red')}  {name}`{plain(fault.place)}`: expected {plain(fault.expected)}, {what}"


def _data_summary(report: DataReport) -> str:
    if not report.items and not report.others:
        return "DVC tracks nothing here"
    counts = {
        "changed or missing": sum(item.state != "unchanged" for item in report.items),
        "with corrupted objects": sum(bool(item.corrupted) for item in report.items),
        "with objects that are not in the cache": sum(bool(item.missing) for item in report.items),
    }
    told = [f"{count:,} {words}" for words, count in counts.items() if count]
    if report.others:
        told.append(f"{len(report.others):,} corrupted objects that nothing here names")
    how = "everything was read" if report.reread else "what did not change was not read again"
    return f"{len(report.items):,} tracked: {', '.join(told) or 'all as named'} ({how})"


def _store_summary(report: StoreReport) -> Iterator[str]:
    yield f"{report.objects:,} objects, {size_text(report.size)}"
    if report.checked:
        yield f"{len(report.faults):,} corrupted or missing" if report.faults else "all read, all sound"
    if report.removed is not None:
        verb = "would be removed" if report.dry_run else "removed"
        yield f"{report.removed:,} objects that no record names {verb}, {size_text(report.freed)}"


def _builtins(report: Any) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(report)
    return document
