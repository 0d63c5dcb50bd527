"""Sums up what the processes of a run told of entropy that was drawn."""

from __future__ import annotations

import msgspec

from reproof.capture.observations import Observations
from reproof.model.observation import Draws, Drew
from reproof.model.randomness import Control, EntropyDraw

#: From the word that a reader need not care about to the one that counts.
_WEIGHT: dict[str, int] = {"harmless": 0, "controlled": 1, "uncontrolled": 2}


class _Told(msgspec.Struct):
    """What one process told of one place."""

    line: Drew
    count: int


def draws(observations: Observations) -> tuple[EntropyDraw, ...]:
    """Draws of entropy and first uses of unseeded generators, once for each place, uncontrolled ones first.

    Of several processes that draw at one place the counts are added, and the worst control stands.
    What packages make for themselves while they are imported is left out.
    """
    told: dict[tuple[int, str, str, str], _Told] = {}
    for line in observations.of(Drew):
        if line.importing:
            continue
        key = (line.p, line.what, line.where, line.inside)
        count = line.count if isinstance(line, Draws) else 1
        known = told.get(key)
        if known is None:
            told[key] = _Told(line, count)
        else:
            known.line, known.count = line, known.count + count
    places: dict[tuple[str, str], EntropyDraw] = {}
    for each in told.values():
        found = _draw(each)
        before = places.get((found.what, found.where))
        places[found.what, found.where] = _merged(before, found) if before is not None else found
    return tuple(sorted(places.values(), key=lambda draw: -_WEIGHT[draw.control]))


def called(line: Drew) -> str:
    """What was called, through a package with the place there."""
    return f"{line.what} in {line.inside.rpartition('-packages/')[2]}" if line.inside else line.what


def _draw(told: _Told) -> EntropyDraw:
    line = told.line
    return EntropyDraw(
        what=called(line),
        where=line.where,
        count=max(told.count, 1),
        control=_control(line.control),
        by=line.by,
        package=line.package,
        concurrent=line.concurrent,
    )


def _control(word: str) -> Control:
    # Written by the user's process: whatever it says, a word that is not known makes nothing harmless.
    return word if word in ("controlled", "harmless") else "uncontrolled"  # type: ignore[return-value]


def _merged(one: EntropyDraw, other: EntropyDraw) -> EntropyDraw:
    worst = max(one, other, key=lambda draw: _WEIGHT[draw.control])
    concurrent = one.concurrent or other.concurrent
    return msgspec.structs.replace(worst, count=one.count + other.count, concurrent=concurrent)
