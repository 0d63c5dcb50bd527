"""How chance was controlled in a run: seeds, draws of entropy, switches of libraries."""

from __future__ import annotations

from typing import Literal, get_args

from reproof.model.section import Section

#: Whether a draw of entropy repeats, and matters.
Control = Literal["uncontrolled", "controlled", "harmless"]

#: What is done about draws of entropy.
Entropy = Literal["record", "control", "forbid"]
ENTROPY: tuple[Entropy, ...] = get_args(Entropy)


class EntropyDraw(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A draw of entropy, or the first use of a generator that the code had not seeded, at one place.

    Attributes:
        what: What was called: ``numpy.random.default_rng()``; through a package with its place.
        where: Place in the user's code; empty where it is not known.
        count: How often; at least, where a process was killed.
        control: ``uncontrolled``, ``controlled`` (it repeats), or ``harmless``: names of temporary files,
            identifiers, and whatever else reaches no result.
        by: Under whose control: ``seed`` (reproof seeded the generator), ``stream`` (reproof gave it a
            stream of its own), ``code`` (the code seeded it); of what is harmless the reason.
        package: The package that drew, where it was not the user's code itself.
        concurrent: Drawn by workers or threads: what is controlled repeats for each of them, but which of them
            does what may not.
    """

    what: str
    where: str = ""
    count: int = 1
    control: Control = "uncontrolled"
    by: str = ""
    package: str = ""
    concurrent: bool = False


class Draw(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A generator that was seeded, at one place of the code.

    Attributes:
        what: The function that was called.
        where: Place in the user's code.
        count: How often it was told.
        value: The seeds, where they are whole numbers.
        answer: What the library said right afterwards that its seed is, where it tells.
    """

    what: str
    where: str = ""
    count: int = 1
    value: str | None = None
    answer: str | None = None


class Reading(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A switch of a library that decides whether, or where, a run repeats.

    Attributes:
        what: Its name, ``torch.backends.cudnn.benchmark``.
        asked: What reproof, or at `where` the user's code, set it to; None when nobody did.
        answer: What the library itself said at the end; None when it was not asked, or does not tell.
        where: Place in the user's code that set it last; empty for none.
    """

    what: str
    asked: str | None = None
    answer: str | None = None
    where: str = ""


class RandomnessSection(Section, frozen=True, kw_only=True, omit_defaults=True):
    """How chance was controlled.

    Attributes:
        seed: Seed that reproof applied; None for `--seed none`.
        seed_source: ``option``, ``settings``, ``fresh``, ``record`` or ``none``.
        profile: Name of the determinism profile; ``seeds`` before there were any.
        variables: Variables that the profile set for the run; a re-run gets these very values.
        readings: Switches of libraries: what was asked of them and what they answered.
        applied: What reproof seeded: ``PYTHONHASHSEED``, ``random``, ``numpy.random``.
        seeded: Seed calls of the user's own code.
        unseeded: Draws of entropy, and first draws of generators that the code had not seeded.
        entropy: What was done about them: ``record``, ``control`` (streams derived from the seed), ``forbid``.
    """

    seed: int | None = None
    seed_source: str = "none"
    profile: str = "seeds"
    variables: dict[str, str] = {}
    readings: tuple[Reading, ...] = ()
    applied: tuple[str, ...] = ()
    seeded: tuple[Draw, ...] = ()
    unseeded: tuple[EntropyDraw, ...] = ()
    entropy: Entropy = "record"
