"""Folders that a program names by the time of its run, or by counting runs: which of two runs belong together.

hydra writes to ``outputs/2026-11-23/17-58-55``, TensorBoard to ``runs/Nov23_17-58-55_host``, Lightning to
``lightning_logs/version_3``. A time counts only where it lies within the run itself, whatever the time zone: a
folder named by the date of the data is content. A number counts only for folders with the files of Lightning's
loggers.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import msgspec

from reproof.model.record import Record

TIME = "time of the run in the name of a folder"
NUMBER = "number of the run in the name of a folder (version_N)"

_DATE = r"(?P<year>20\d\d)(?P<dash>[-_.]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d)(?P<colon>[-_.:h]?)(?P<minute>\d\d)(?:[-_.:m]?(?P<second>\d\d)s?)?(?:[-_.,]\d{3}(?:\d{3})?)?"
_BOTH = re.compile(rf"(?<!\d){_DATE}[-_T ./]?{_CLOCK}(?!\d)")
_DAY = re.compile(rf"(?<![^/]){_DATE}(?![^/])")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAMED = re.compile(rf"(?<![^/])(?P<name>{'|'.join(_MONTHS)})(?P<day>\d\d)[_-]{_CLOCK}(?!\d)")
_VERSION = re.compile(r"version_\d+")
_OF_LOGGERS = re.compile(r"hparams\.yaml|metrics\.csv|events\.out\.tfevents\..*")

_SLACK = dt.timedelta(seconds=2)
_ZONES = [dt.timedelta(minutes=15 * quarter) for quarter in range(-12 * 4, 14 * 4 + 1)]


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """Names of one side that stand for names of the other.

    Attributes:
        names: Recorded name to the re-run's.
        reasons: What was set aside, by recorded name.
        doubtful: Names of both sides that may belong together, and nothing says which with which.
    """

    names: dict[str, str] = {}
    reasons: dict[str, tuple[str, ...]] = {}
    doubtful: frozenset[str] = frozenset()

    @property
    def taken(self) -> frozenset[str]:
        """Names of the re-run that stand for a recorded one."""
        return frozenset(self.names.values())


class _Key(NamedTuple):
    text: str
    reasons: tuple[str, ...]


def pair_folders(expected: Record, actual: Record) -> Pairs:
    """Find files that only one of two records has, and whose paths differ in nothing but such folders."""
    before = {each.name for each in expected.products}
    after = {each.name for each in actual.products}
    left = _by_key(before - after, before, expected)
    right = _by_key(after - before, after, actual)
    names: dict[str, str] = {}
    reasons: dict[str, tuple[str, ...]] = {}
    doubtful: set[str] = set()
    for key in left.keys() & right.keys():
        if len(left[key]) == len(right[key]) == 1:
            names[left[key][0]] = right[key][0]
            reasons[left[key][0]] = key.reasons
        else:
            doubtful.update(left[key], right[key])
    return Pairs(names=names, reasons=reasons, doubtful=frozenset(doubtful))


def without_times(text: str, record: Record) -> str:
    """A path with the times of a run in the names of its folders replaced by words."""
    span = _span(record)
    return text if span is None else _timeless(text, span)


def _by_key(names: Iterable[str], all_names: Collection[str], record: Record) -> dict[_Key, list[str]]:
    span = _span(record)
    counted = set(_counted(all_names))
    found: dict[_Key, list[str]] = {}
    for name in sorted(names):
        folder, slash, file = name.rpartition("/")
        plain = _unnumbered(folder, counted)
        timed = plain if span is None else _timeless(plain, span)
        reasons = ((TIME,) if timed != plain else ()) + ((NUMBER,) if plain != folder else ())
        if reasons:
            found.setdefault(_Key(f"{timed}{slash}{file}", reasons), []).append(name)
    return found


def _unnumbered(folder: str, counted: Collection[str]) -> str:
    parts = folder.split("/")
    return "/".join(
        "version_{number}" if "/".join(parts[:end]) in counted else part for end, part in enumerate(parts, 1)
    )


def _counted(names: Iterable[str]) -> Iterator[str]:
    """Folders ``version_N`` that a logger of Lightning wrote to."""
    for name in names:
        folder, _, file = name.rpartition("/")
        if _OF_LOGGERS.fullmatch(file) and _VERSION.fullmatch(folder.rpartition("/")[2]):
            yield folder


class _Span(NamedTuple):
    start: dt.datetime
    end: dt.datetime

    def has(self, first: dt.datetime, last: dt.datetime) -> bool:
        """Whether a time between `first` and `last`, on a clock of some zone, is one of the run."""
        return any(self.start <= last - zone and first - zone <= self.end for zone in _ZONES)


def _span(record: Record) -> _Span | None:
    try:
        start = dt.datetime.fromisoformat(record.byproducts.started)
    except ValueError:
        return None
    start = start.astimezone(dt.UTC) if start.tzinfo else start.replace(tzinfo=dt.UTC)
    end = start + dt.timedelta(seconds=record.byproducts.seconds)
    return _Span(start.replace(microsecond=0) - _SLACK, end + _SLACK)


def _timeless(text: str, span: _Span) -> str:
    text = _BOTH.sub(lambda match: _said(match, "{time}", span), text)
    text = _NAMED.sub(lambda match: _said(match, "{time}", span), text)
    return _DAY.sub(lambda match: _said(match, "{date}", span), text)


def _said(match: re.Match[str], word: str, span: _Span) -> str:
    facts = match.groupdict()
    month = _MONTHS.index(facts["name"]) + 1 if facts.get("name") else int(facts["month"])
    year, clock = (
        facts.get("year") or span.end.year,
        [facts.get(name) for name in ("hour", "minute", "second")],
    )
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        first = dt.datetime(int(year), month, int(facts["day"]), hour, minute, second, tzinfo=dt.UTC)
    except ValueError:  # no time at all
        return match[0]
    width = dt.timedelta(days=1) if clock[0] is None else dt.timedelta(seconds=0 if clock[2] else 59)
    return word if span.has(first, first + width) else match[0]
