"""Words about chance: draws of entropy, what reproof's seed covers, whether code repeats by itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reproof.model.randomness import Control, EntropyDraw, RandomnessSection
from reproof.model.verdict import ByItself, Verdict

_MAKERS = re.compile(
    r"(random\.Random|numpy\.random\.(default_rng|SeedSequence|RandomState|generator|PCG64|PCG64DXSM|MT19937|"
    r"Philox|SFC64)|(random|numpy\.random|torch)\.seed|tensorflow\..*|jax\..*)(\(\))?"
)
_SHARED = re.compile(r"(?P<name>random|numpy\.random)\.\w+\(\)")
_NAMES = {
    "random": "the module `random`",
    "numpy.random": "NumPy's global state",
    "torch": "PyTorch's generator",
}

_BY_ITSELF: dict[ByItself, str] = {
    "yes": "the code repeats without reproof's seed",
    "no": "without reproof's seed the code does not repeat",
    "not tried": "`--by-itself` tries whether the code repeats without reproof's seed",
}
_ORDER: tuple[Control, ...] = ("uncontrolled", "controlled", "harmless")

#: What no hook sees: said where a run varies and no draw explains it.
_UNSEEN = "not seen: order of sets, addresses, order of threads and processes, uninitialised memory, clocks"


def place_of(draw: EntropyDraw) -> str:
    """``train.py:41``, or where it was where that is not in the project."""
    return draw.where.removeprefix("${PROJECT}/") or "a place that is not known"


def call_of(draw: EntropyDraw) -> str:
    """What was drawn, for people: the call in backticks, then ``without a seed``."""
    what, _, _ = draw.what.partition(" in ")
    package = f" within `{draw.package}`" if draw.package and "random_state" not in what else ""
    if what in _NAMES.values():
        return f"{what} before any seed"
    call, by, origin = what.partition(" by the ")
    if by:
        return f"`{call}` by the {origin}{package}"
    short = call.removeprefix("numpy.random.") if _MAKERS.fullmatch(call) else call
    if _MAKERS.fullmatch(call):
        return f"`{short}` without a seed{package}"
    if _SHARED.fullmatch(call):
        return f"`{call}` before any seed{package}"
    if call.startswith("torch.utils.data.DataLoader"):
        return f"`DataLoader` without a generator{package}"
    return f"`{call}`{package}"


def covered(randomness: RandomnessSection) -> tuple[str, ...]:
    """What was drawn and repeats only because of reproof, each once, for people."""
    found = []
    for draw in randomness.unseeded:
        if draw.control != "controlled":
            continue
        if draw.by == "seed":
            found.append(_shared_name(draw.what))
        elif draw.by == "stream":
            found.append(f"{call_of(draw).partition(' without a seed')[0]} at {place_of(draw)}")
    return tuple(dict.fromkeys(found))


def _shared_name(what: str) -> str:
    if what in _NAMES.values():
        return what
    match = _SHARED.match(what)
    if match is not None:
        return _NAMES[match["name"]]
    return _NAMES["torch"] if what.startswith("torch") else _NAMES["numpy.random"]


def summary(randomness: RandomnessSection) -> str:
    """The line at the end of a run: ``randomness: 4 generators seeded, 1 uncontrolled draw at train.py:41 (...)``."""
    parts = ["no seed applied"]
    if randomness.seed is not None:
        # The hash seed is no generator; those of libraries count once each.
        applied = [name for name in randomness.applied if name != "PYTHONHASHSEED"]
        source = f"seed {randomness.seed} ({randomness.seed_source})"
        parts = [f"{source}, {_counted(len(applied), 'generator')} seeded"]
    if randomness.seeded:
        parts.append(f"{len(randomness.seeded)} seeded by the code")
    given = [draw for draw in randomness.unseeded if draw.control == "controlled" and draw.by == "stream"]
    if given:
        parts.append(f"{_counted(len(given), 'unseeded draw')} controlled {_first(given)}")
    loose = [draw for draw in randomness.unseeded if draw.control == "uncontrolled"]
    if loose:
        parts.append(f"{_counted(len(loose), 'uncontrolled draw')} {_first(loose)}")
    return f"randomness: {', '.join(parts)}"


def _first(draws: list[EntropyDraw]) -> str:
    more = f" and {len(draws) - 1} more" if len(draws) > 1 else ""
    return f"at {place_of(draws[0])} ({call_of(draws[0])}){more}"


def by_itself(verdict: Verdict) -> str:
    """``no: without reproof's seed the code does not repeat; it covers ...``."""
    names = f"; it covered {', '.join(verdict.covered)}" if verdict.covered else ""
    return f"{verdict.by_itself}: {_BY_ITSELF[verdict.by_itself]}{names}"


def draw_rows(verdict: Verdict) -> list[tuple[str, str]]:
    """Place and text of each draw that may be why runs differ; where a run varies and none is, that."""
    rows = [
        (place_of(draw), call_of(draw) + _rest(draw))
        for draw in verdict.draws
        if draw.control == "uncontrolled"
    ]
    if verdict.stability == "varies" and not rows:
        rows.append(("no uncontrolled draw", _UNSEEN))
    notes = {
        "controlled": "; controlled for each worker or thread, but not which of them does what",
        "harmless": "; thought harmless: ",
    }
    rows += [
        (
            place_of(draw),
            f"{call_of(draw)}{_rest(draw)}{notes[draw.control]}{draw.by if draw.control == 'harmless' else ''}",
        )
        for draw in verdict.draws
        if draw.control != "uncontrolled"
    ]
    return rows


def _rest(draw: EntropyDraw) -> str:
    return f", {draw.count:,} times" if draw.count > 1 else ""


def suspects(sections: Iterable[RandomnessSection]) -> tuple[EntropyDraw, ...]:
    """What may be why runs differ: uncontrolled draws, controlled ones of workers, those thought harmless."""
    found: dict[tuple[str, str], EntropyDraw] = {}
    for section in sections:
        for draw in section.unseeded:
            known = found.get((draw.what, draw.where))
            listed = draw.control != "controlled" or (draw.concurrent and draw.by != "code")
            if listed and (known is None or draw.control == "uncontrolled"):
                found[draw.what, draw.where] = draw
    return tuple(sorted(found.values(), key=lambda draw: _ORDER.index(draw.control)))


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
