"""What a stage reads and writes without saying so in dvc.yaml, and the line that would say it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from reproof.model.artifact import Artifact
from reproof.model.pipeline import Stage, is_within
from reproof.model.record import Record
from reproof.model.stages import Undeclared
from reproof.project.dvc_graph import Pipeline

#: Files that tell tools how to work, and decide nothing about a result by being read.
_OF_TOOLS = ("dvc.yaml", "dvc.lock", ".gitignore", ".dvcignore", ".gitattributes")
_MANY = 3  # files in one folder that are named as the folder


def find_undeclared(pipeline: Pipeline, stage: Stage, record: Record) -> tuple[Undeclared, ...]:
    """Files of the project that a stage read or wrote, and dvc.yaml does not say so.

    Args:
        pipeline: All stages.
        stage: The stage.
        record: Its record, with materials and products.
    """
    reads = [*(dep.place for dep in stage.deps), *(each.place for each in stage.params)]
    outs = [out.place for out in stage.outs]
    read = [
        each.name for each in record.materials if _is_own(each) and not _is_in(each.name, [*reads, *outs])
    ]
    written = [each.name for each in record.products if _is_own(each) and not _is_in(each.name, outs)]
    found = [_read(pipeline, stage, name) for name in _folded(read)]
    found += [_written(pipeline, stage, name) for name in _folded(written)]
    return tuple(found)


def _is_own(artifact: Artifact) -> bool:
    """Whether it is a file of the project."""
    name = artifact.name
    if artifact.origin == "mlflow" or name.startswith(("/", "$")) or artifact.is_web:
        return False
    path = PurePosixPath(name)
    return path.name not in _OF_TOOLS and ".dvc" not in path.parts


def _is_in(name: str, places: Iterable[str]) -> bool:
    return any(is_within(name, place) for place in places)


def _folded(names: list[str]) -> list[str]:
    """The names; where many are in one folder, that folder."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(str(PurePosixPath(name).parent), []).append(name)
    found: list[str] = []
    for folder, inside in folders.items():
        found += [folder] if len(inside) >= _MANY and folder != "." else inside
    return sorted(dict.fromkeys(found))


def _read(pipeline: Pipeline, stage: Stage, name: str) -> Undeclared:
    maker = pipeline.maker(name)
    other = maker.address if maker is not None and maker is not stage else None
    return Undeclared(name=name, access="read", maker=other, line=_line(stage, name, "deps"))


def _written(pipeline: Pipeline, stage: Stage, name: str) -> Undeclared:
    maker = pipeline.maker(name)
    other = maker.address if maker is not None and maker is not stage else None
    alone = f"leave it to one of the two stages, {stage.where}"
    line = _line(stage, name, "outs") if other is None else alone
    return Undeclared(name=name, access="written", maker=other, line=line)


def _line(stage: Stage, name: str, key: str) -> str:
    path = name
    if stage.wdir:
        inside = PurePosixPath(name).is_relative_to(stage.wdir)
        ups = "../" * len(PurePosixPath(stage.wdir).parts)
        path = str(PurePosixPath(name).relative_to(stage.wdir)) if inside else f"{ups}{name}"
    return f"add `- {path}` to `{key}` of stage `{stage.name}`, {stage.where}"


def describe_undeclared(stage: str, found: Undeclared) -> str:
    """A line for people."""
    verb = "reads" if found.access == "read" else "writes"
    maker = f", which stage `{found.maker}` makes," if found.maker else ""
    return f"stage `{stage}` {verb} `{found.name}`{maker} without declaring it: {found.line}"
