"""Altering a recipe: variables, words around the command, shims; and whether a shim did its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.execute.locales import OtherLocale
from reproof.execute.shims import LOG, Loaded, Shims, not_loaded
from reproof.model.recipe import Recipe
from reproof.model.record import Record

ENVIRONMENT_ORDER = "environment-order"

_WITNESS = "witness"  # loaded for nothing but to tell whether addresses are fixed


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a variation may look at.

    Attributes:
        record: The recorded run.
        home: HOME of the room.
        locale: Another locale than the usual; None where there is none.
        shims: What shims there are.
        libraries: Where the libraries of those that this re-run loads are in the room.
        log: The file in which they tell that they were loaded.
    """

    record: Record
    home: Path
    locale: OtherLocale | None = None
    shims: Shims = Shims()
    libraries: Mapping[str, Path] = {}
    log: Path = Path("/dev/null")


class Variation(msgspec.Struct, frozen=True, kw_only=True):
    """One circumstance that can be another.

    Attributes:
        name: Its name for `--vary`.
        group: Its group.
        what: What is another, for people.
        remedy: What helps a run that depends on it.
        apply: The recipe under it; None where the room itself is another (path, file times), and for
            the order of the variables, which :func:`apply_all` decides.
        obstacle: Why it cannot be exercised here; None where it can.
        shim: The shim that does it, and what that is told.
    """

    name: str
    group: str
    what: str
    remedy: str = ""
    apply: Callable[[Recipe, Setting], Recipe] | None = None
    obstacle: Callable[[Setting], str | None] = lambda _: None
    shim: tuple[str, str] | None = None


def apply_all(recipe: Recipe, variations: Sequence[Variation], setting: Setting) -> Recipe:
    """The recipe under several variations at once; without any, that of a control.

    The command itself gets its variables from ``env``, in an order that is known: shells in between
    have orders of their own, and what reproof sets for every re-run must not undo a variation.
    """
    varied = recipe
    for variation in variations:
        if variation.apply is not None:
            varied = variation.apply(varied, setting)
    varied = varied.with_env(_shims(variations, setting))
    backwards = any(variation.name == ENVIRONMENT_ORDER for variation in variations)
    names = sorted(varied.env, reverse=backwards)
    words = [word for name in names for word in ("-u", name)] + [
        f"{name}={varied.env[name]}" for name in names
    ]
    own = len(varied.argv) - len(recipe.argv)
    return msgspec.structs.replace(varied, argv=(*varied.argv[:own], "env", *words, *recipe.argv))


def _shims(variations: Sequence[Variation], setting: Setting) -> dict[str, str]:
    """Variables that load the shims of some variations."""
    told = dict(each.shim for each in variations if each.shim is not None)
    if not told:
        return {}
    preloaded = ":".join(str(setting.libraries[name]) for name in told)
    variables = {f"REPROOF_SHIM_{name.upper()}": value for name, value in told.items()}
    return {"LD_PRELOAD": preloaded, LOG: str(setting.log), **variables}


def shims_of(variations: Sequence[Variation]) -> tuple[str, ...]:
    """Names of the shims that some variations need."""
    return tuple(dict.fromkeys(each.shim[0] for each in variations if each.shim is not None))


def ineffective(variation: Variation, log: Sequence[Loaded], processes: Sequence[int]) -> str | None:
    """Why a variation did nothing in a re-run, as its shim tells; None where it did, or has none.

    Args:
        variation: Was applied to the re-run.
        log: What the shims of the re-run said.
        processes: Ids of its Python processes.
    """
    if variation.shim is None:
        return None
    problem = not_loaded(variation.shim[0], log, processes)
    if problem is None and variation.shim[0] == _WITNESS:
        latest = {each.process: each for each in log}  # a process that executes another program stays one
        theirs = [latest[each] for each in processes if each in latest] or list(latest.values())[-1:]
        if not all(each.has_fixed_addresses for each in theirs):
            return "this system does not let a process switch address randomisation off"
    return problem
