"""Why two builds differ: found by varying one thing at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from reproof.base.programs import find
from reproof.build.causes import name_cause
from reproof.build.conditions import AMBIENT, HELD, LIKELY, Conditions, faketime, varied
from reproof.build.members import Trait
from reproof.model.build import Cause, Grade
from reproof.model.event import Emit, Event
from reproof.workflow.build.once import Built, Delta, Site, build_once, delta, discard

_WORKERS = 2
_TICK = 2.1  # seconds: more than the resolution of the times in zip files


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found.

    Attributes:
        grade: ``controlled`` where all causes are held by the controlled build, which a further build proves.
        causes: Why the builds differ.
        builds: How many builds it took.
    """

    grade: Grade
    causes: tuple[Cause, ...]
    builds: int


def build_all(site: Site, wanted: Sequence[Conditions]) -> list[Built]:
    """One build for each of `wanted`, two at a time where they cannot disturb each other."""
    with ThreadPoolExecutor(_WORKERS if site.sandboxed else 1) as pool:
        return list(pool.map(lambda each: build_once(site, each), wanted))


def search(site: Site, pair: tuple[Built, Built], exercised: Sequence[str], emit: Emit) -> Found:
    """Find what makes the second of two builds differ from the first, the controlled one."""
    return _Search(site, pair, exercised, emit).run()


class _Search:
    """The builds of one search, and what each of them tells."""

    def __init__(self, site: Site, pair: tuple[Built, Built], exercised: Sequence[str], emit: Emit) -> None:
        self._site = site
        self._first, self._second = pair
        self._exercised = exercised
        self._emit = emit
        self._base = self._first
        self._builds = 2
        self._causes: list[Cause] = []

    def run(self) -> Found:
        """Search until every difference has a cause, or no factor is left."""
        self._emit(Event(kind="start", subject="cause", message="finding the cause"))
        wanted = delta(self._first, self._second)
        surroundings = [factor for factor in self._exercised if factor in AMBIENT]
        grade: Grade = "different"
        if not delta(self._first, self._make(varied(self._first.conditions, surroundings))[0]):
            grade = "controlled"  # whatever it is, the controlled build holds it
        unstable = self._unstable() if grade == "different" else {}
        left = self._by_factors(_without(wanted, unstable), unstable, thorough=grade == "different")
        for kind, traits in left.items():
            self._add("", traits, kind)
        self._emit(Event(kind="finish", subject="cause", message=f"found the cause in {self._builds} builds"))
        return Found(grade=grade, causes=_merged(self._causes), builds=self._builds)

    def _make(self, *wanted: Conditions) -> list[Built]:
        self._builds += len(wanted)
        made = build_all(self._site, wanted)
        self._emit(Event(kind="advance", subject="cause", done=self._builds))
        for each in made:
            discard(each)
        return made

    def _unstable(self) -> Delta:
        """What differs between two builds under the same conditions, named: addresses, or chance.

        From here on the clock stands still, where that can be had: time is a factor like others.
        """
        base = self._first.conditions
        if faketime() is None:
            time.sleep(_TICK)  # a time stamp must have had the time to change
            self._base = self._first
            unstable = delta(self._base, self._make(base)[0])
        else:
            base = msgspec.structs.replace(base, stopped=int(time.time()))
            self._base, again = self._make(base, base)
            unstable = delta(self._base, again)
        random = unstable
        if random and find("setarch") is not None:
            fixed = msgspec.structs.replace(base, fixed_addresses=True)
            random = delta(*self._make(fixed, fixed))
            self._add_all("addresses", _without(unstable, random))
        self._add_all("random" if faketime() is not None else "instability", random)
        return _union(unstable, random)

    def _by_factors(self, left: Delta, unstable: Delta, *, thorough: bool) -> Delta:
        """Vary one factor after the other; what none of them brings about remains.

        `thorough`: also when everything is explained already, because one file may have two faults.
        """
        factors = [factor for factor in LIKELY if factor in self._exercised and (thorough or factor in HELD)]
        while factors and left:
            count = len(factors) if thorough else _WORKERS
            now, factors = factors[:count], factors[count:]
            made = self._make(*(varied(self._base.conditions, [factor]) for factor in now))
            for factor, built in zip(now, made, strict=True):
                found = _without(delta(self._base, built), unstable)
                self._add_all(factor, found)
                left = _without(left, found)
        return left

    def _add_all(self, factor: str, found: Delta) -> None:
        for kind, traits in found.items():
            self._add(factor, traits, kind)

    def _add(self, factor: str, traits: Iterable[Trait], kind: str) -> None:
        listing = self._first.listings[kind]
        name = _name_of(self._first.files.get(kind), kind)
        self._causes += name_cause(factor, traits, name, listing)


def _name_of(path: Path | None, kind: str) -> str:
    return path.name if path is not None else kind


def _without(one: Delta, two: Delta) -> Delta:
    rest = {kind: traits - two.get(kind, frozenset()) for kind, traits in one.items()}
    return {kind: traits for kind, traits in rest.items() if traits}


def _union(one: Delta, two: Delta) -> Delta:
    return {
        kind: one.get(kind, frozenset()) | two.get(kind, frozenset()) for kind in dict.fromkeys([*one, *two])
    }


def _merged(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """One cause for each name and factor, with the files of all."""
    found: dict[tuple[str, str], Cause] = {}
    for cause in causes:
        key = cause.name, cause.factor
        known = found.get(key)
        files = (*known.files, *cause.files) if known else cause.files
        found[key] = msgspec.structs.replace(cause, files=tuple(dict.fromkeys(files)))
    return tuple(sorted(found.values(), key=lambda each: each.held))
