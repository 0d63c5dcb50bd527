"""Lines of the user's code that look at what may be another the next time, seen in one re-run under watch."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.capture.unordered import lines_through_sets
from reproof.model.recipe import Recipe
from reproof.workflow.altering import Setting, Variation
from reproof.workflow.bench import Bench

_FILE = "sites.jsonl"
_MOST = 5000  # lines that are read
_FILES, _LARGE = 500, 1 << 20  # how many files of code, and bytes of one
_ASIDE = frozenset({".git", ".venv", "node_modules", "site-packages"})


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One line that was seen.

    Attributes:
        kind: Class of causes that it may bring in, ``clock``; a second word says how.
        what: What was called.
        where: ``${PROJECT}/train.py:12``.
        inside: The package in between, if there is one.
        direct: The line itself called it, not a module of Python's in between.
    """

    kind: str
    what: str = ""
    where: str = ""
    inside: str = ""
    direct: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that this may bring in: ``clock duration`` is both."""
        return tuple(self.kind.split())


def see_sites(bench: Bench) -> tuple[Site, ...]:
    """Make one re-run under watch.

    Returns:
        What was seen, in order; nothing where the program is none of Python's.

    Raises:
        SpentError: The budget does not allow it.
    """
    bench.run((_WATCHED,))
    return read_sites(bench.latest / _FILE)


def read_sites(path: Path) -> tuple[Site, ...]:
    """The lines of a file that processes of the run wrote; what is no such line is passed over."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return ()
    found: dict[Site, None] = {}
    for line in text.splitlines()[:_MOST]:
        try:
            found.setdefault(msgspec.json.decode(line, type=Site))
        except msgspec.MsgspecError:
            continue
    return tuple(found)


def places(kind: str, sites: tuple[Site, ...]) -> tuple[str, ...]:
    """Where a class of causes may come in: what decides an order first, then what the line itself called."""
    own = [each for each in sites if kind in each.classes and each.where]
    own.sort(key=lambda each: ("order" not in each.classes, not each.direct))
    return tuple(dict.fromkeys(each.where for each in own))


def sets_gone_through(top: Path) -> tuple[str, ...]:
    """Lines of the Python files below `top` that go through a set, as ``train.py:15``: read, not seen."""
    found = []
    files = [path for path in sorted(top.rglob("*.py")) if not any(part in _ASIDE for part in path.parts)]
    for path in files[:_FILES]:
        try:
            source = path.read_text("utf-8", "replace") if path.stat().st_size < _LARGE else ""
        except OSError:
            continue
        found += [f"{path.relative_to(top)}:{line}" for line in lines_through_sets(source)]
    return tuple(found)


def _under_watch(recipe: Recipe, setting: Setting) -> Recipe:
    return recipe.with_env({"REPROOF_SITES": str(setting.log.parent / _FILE)})


_WATCHED = Variation(name="nothing, under watch", group="pins", what="", apply=_under_watch)
