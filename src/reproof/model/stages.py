"""What records say of pipelines: of a stage beside its run, and of a pipeline as a whole."""

from __future__ import annotations

from typing import Literal

import msgspec


class _Section(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Immutable, defaults left out when written."""


class StageContent(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """A dependency or output of a stage as dvc.lock names it.

    Attributes:
        path: As dvc.yaml writes it.
        place: Below the top of the repository; absolute for what lies outside.
        md5: DVC's id: MD5, with ``.dir`` for a folder's list.
        size: Bytes in all.
        nfiles: Number of files of a folder.
        executable: The file's exec bit.
        plain: DVC's id of the folder without byte code, which Python leaves there as it runs; None where
            there is none.
        moved: The content after the stage had ended, where it was another (dependencies only).
    """

    path: str
    place: str
    md5: str
    size: int = 0
    nfiles: int | None = None
    executable: bool = False
    plain: str | None = None
    moved: str | None = None

    @property
    def identity(self) -> str:
        """What the content is known by: byte code does not count."""
        return self.plain or self.md5


class Undeclared(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """A file of the project that a stage read or wrote without saying so in dvc.yaml.

    Attributes:
        name: The file, or the folder that several such files are in.
        access: ``read`` or ``written``.
        maker: The stage that makes it, where another one does.
        line: What to add to dvc.yaml, and where.
    """

    name: str
    access: Literal["read", "written"]
    maker: str | None = None
    line: str


class StageSection(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """What a record of one stage says besides: what dvc.yaml declares of it.

    Attributes:
        address: What the stage is called.
        file: Its dvc.yaml.
        cmd: The command as dvc.lock writes it, as JSON.
        environment: Digest of the environment, as far as it decides whether a stage is up to date.
        deps: Content before the start.
        params: Values by file and name, as JSON.
        outs: Content after the end.
        removed: Places of outputs that are removed before the start.
        undeclared: What it read and wrote besides.
    """

    address: str
    file: str
    cmd: str = ""
    environment: str = ""
    deps: tuple[StageContent, ...] = ()
    params: str = "{}"
    outs: tuple[StageContent, ...] = ()
    removed: tuple[str, ...] = ()
    undeclared: tuple[Undeclared, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """File patterns for every output, and what is below it; brackets and stars in names mean themselves."""
        places = dict.fromkeys((*(out.place for out in self.outs), *self.removed))
        return tuple(pattern for place in places for pattern in patterns_of(place))


def patterns_of(place: str) -> tuple[str, str]:
    """File patterns for a place, and for all below it; brackets and stars in names mean themselves."""
    literal = "".join(f"[{character}]" if character in "[*?" else character for character in place)
    return literal, f"{literal}/*"


class StageLink(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """A stage of a pipeline and its record.

    Attributes:
        address: What the stage is called.
        state: ``ran`` in this run, ``unchanged`` since the run of its record, ``failed``, ``frozen``,
            or ``not run`` because an earlier stage failed.
        record: Id of its record; None where it has none.
        parents: The stages whose outputs it reads.
        reason: Why it ran.
    """

    address: str
    state: Literal["ran", "unchanged", "failed", "frozen", "not run"]
    record: str | None = None
    parents: tuple[str, ...] = ()
    reason: str = ""


class PipelineSection(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """What the record of a pipeline says besides: its stages, in an order in which they can run."""

    files: tuple[str, ...] = ()
    stages: tuple[StageLink, ...] = ()


#: How a stage came out: ``same``; ``differs`` on the recorded inputs, so by itself; ``inherited`` from an
#: earlier stage, since on the recorded inputs it came out the same; ``not tried``.
StageState = Literal["same", "differs", "inherited", "not tried"]


class StageOutcome(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """What a verdict says of one stage.

    Attributes:
        address: What the stage is called.
        record: Its record.
        state: How it came out.
        outcome: The worst of all its comparisons, as a word, with everything re-made from the raw data.
        alone: The same on the recorded inputs; None where those were the same bytes.
        stability: ``varies`` or ``consistent``, where it was tried.
        sources: The stages that it inherits from.
    """

    address: str
    record: str | None = None
    state: StageState = "not tried"
    outcome: str = ""
    alone: str | None = None
    stability: str = "not tried"
    sources: tuple[str, ...] = ()
