"""The stages of a pipeline, as dvc.yaml describes them once every template is filled in."""

from __future__ import annotations

from typing import Literal

import msgspec

OutKind = Literal["out", "metric", "plot"]


class StageDep(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that a stage reads.

    Attributes:
        path: As dvc.yaml and dvc.lock write it: relative to the stage's working folder, or absolute.
        place: Below the top of the repository; absolute for what lies outside.
        line: Line of dvc.yaml.
    """

    path: str
    place: str
    line: int | None = None


class StageParams(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one file that a stage depends on.

    Attributes:
        path: The file as dvc.lock writes it.
        place: Below the top of the repository.
        keys: Dotted names of the values; none means every top-level value of the file.
        line: Line of dvc.yaml.
    """

    path: str
    place: str
    keys: tuple[str, ...] = ()
    line: int | None = None


class StageOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that a stage makes.

    Attributes:
        path: As dvc.yaml and dvc.lock write it.
        place: Below the top of the repository.
        kind: Whether it is listed among outs, metrics or plots.
        cache: DVC keeps its content; else Git does.
        persist: It is not removed before the stage runs.
        line: Line of dvc.yaml.
    """

    path: str
    place: str
    kind: OutKind = "out"
    cache: bool = True
    persist: bool = False
    line: int | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a pipeline.

    Attributes:
        name: As dvc.yaml names it; ``train@a`` where a template was filled in.
        file: Its dvc.yaml, below the top of the repository.
        address: What it is called among all stages: its name, after ``FOLDER/dvc.yaml:`` where the
            file is not that of the project's own folder.
        commands: Run one after the other, each by a shell of its own; the first that fails ends the stage.
        cmd: The command as dvc.lock writes it.
        wdir: Where it runs, below the top of the repository; empty for the top.
        deps: What it reads.
        params: Values that it depends on.
        outs: What it makes: outs, metrics and plots.
        frozen: It is never run; its outs are taken as they are.
        always_changed: It is never skipped.
        desc: What dvc.yaml says about it.
        line: Line of dvc.yaml.
    """

    name: str
    file: str
    address: str
    commands: tuple[str, ...]
    cmd: str | tuple[str, ...]
    wdir: str = ""
    deps: tuple[StageDep, ...] = ()
    params: tuple[StageParams, ...] = ()
    outs: tuple[StageOut, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    line: int | None = None

    @property
    def where(self) -> str:
        """Where it stands, for messages: ```dvc.yaml`, line 7``."""
        return f"`{self.file}`, line {self.line}" if self.line else f"`{self.file}`"


def is_within(place: str, folder: str) -> bool:
    """Whether `place` is `folder` or lies below it; the empty folder is the top."""
    return not folder or place == folder or place.startswith(f"{folder}/")


def overlaps(place: str, other: str) -> bool:
    """Whether one of two places is the other, or lies within it."""
    return is_within(place, other) or is_within(other, place)


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A stage, or data that no stage makes, as a point of a graph.

    Attributes:
        name: Address of the stage, or the ``.dvc`` file.
        kind: ``stage`` or ``data``.
        state: What is known of it: an outcome, ``unchanged``, ``out of date``, ``frozen``; empty for nothing.
        tone: How it looks: ``good``, ``bad``, ``unsure``, ``plain``.
        detail: Why.
    """

    name: str
    kind: Literal["stage", "data"] = "stage"
    state: str = ""
    tone: Literal["good", "bad", "unsure", "plain"] = "plain"
    detail: str = ""


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Stages and data of a project, each after what it comes from, and the pairs that depend on each other.

    Attributes:
        title: What the states are about.
        nodes: In an order in which stages can run; data first.
        edges: Pairs of names: the second reads what the first makes or names.
    """

    title: str
    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
