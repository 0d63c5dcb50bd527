"""dvc.lock: what DVC says of each stage's last run, read and written in its own form.

Format: https://doc.dvc.org/user-guide/project-structure/dvcyaml-files#dvclock-file (schema 2.0).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.files import write_atomic
from reproof.errors import ProjectError
from reproof.model.dvc import HashName
from reproof.model.pipeline import Stage
from reproof.model.stages import StageContent
from reproof.project.dvc_stages import PARAMS
from reproof.project.yaml_core import read_core_yaml, write_core_yaml
from reproof.project.yaml_document import Document, describe

NAME = "dvc.lock"


class LockedContent(msgspec.Struct, frozen=True, kw_only=True):
    """What dvc.lock says of one dependency or output: path as written, DVC's id, and how it was made."""

    path: str
    md5: str
    size: int | None = None
    hash_name: HashName = "md5"


class LockedStage(msgspec.Struct, frozen=True, kw_only=True):
    """What dvc.lock says of a stage.

    Attributes:
        cmd: The command that was run.
        deps: What it read.
        params: Values by file and name.
        outs: What it made.
    """

    cmd: str | tuple[str, ...] = ""
    deps: tuple[LockedContent, ...] = ()
    params: dict[str, dict[str, Any]] = {}
    outs: tuple[LockedContent, ...] = ()


def lock_of(file: str) -> str:
    """The dvc.lock that belongs to a dvc.yaml."""
    return posixpath.join(posixpath.dirname(file), NAME)


def read_lock(top: Path, name: str) -> dict[str, LockedStage]:
    """The stages of a dvc.lock by name; empty where there is no such file.

    Raises:
        ProjectError: The file is malformed.
    """
    document = _document(top, name)
    if document is None:
        return {}
    base = ("stages",) if "schema" in document.mapping() else ()
    return {stage: _read_stage(document, *base, stage) for stage in document.mapping(*base)}


def write_stage(top: Path, stage: Stage, entry: dict[str, Any] | None) -> bool:
    """Put what is known of a stage into its dvc.lock, or take it out; everything else stays.

    Returns:
        Whether the file was changed.

    Raises:
        ProjectError: The file is malformed.
        OSError: It cannot be written.
    """
    name = lock_of(stage.file)
    document = _document(top, name)
    value: dict[str, Any] = document.value if document is not None and document.value else {}
    if value and "schema" not in value:
        value = {"schema": "2.0", "stages": value}
    value = value or {"schema": "2.0", "stages": {}}
    stages: dict[str, Any] = value.setdefault("stages", {}) or {}
    value["stages"] = stages
    if stages.get(stage.name) == entry:
        return False
    if entry is None:
        del stages[stage.name]
    else:
        stages[stage.name] = entry
    write_atomic(top / name, write_core_yaml(value).encode())
    return True


def lock_entry(
    stage: Stage,
    deps: tuple[StageContent, ...],
    params: Mapping[str, Mapping[str, Any]],
    outs: tuple[StageContent, ...],
) -> dict[str, Any]:
    """What dvc.lock says of a run of `stage`.

    Args:
        stage: The stage.
        deps: Content of what it read.
        params: Values by file and name.
        outs: Content of what it made.
    """
    entry: dict[str, Any] = {"cmd": list(stage.cmd) if isinstance(stage.cmd, tuple) else stage.cmd}
    if deps:
        entry["deps"] = [_written(each) for each in sorted(deps, key=lambda each: each.path)]
    if params:
        files = sorted(params, key=lambda name: (name != PARAMS, name))
        entry["params"] = {name: {key: params[name][key] for key in sorted(params[name])} for name in files}
    if outs:
        entry["outs"] = [_written(each) for each in sorted(outs, key=lambda each: each.path)]
    return entry


def _written(content: StageContent) -> dict[str, Any]:
    row: dict[str, Any] = {"path": content.path, "hash": "md5", "md5": content.md5, "size": content.size}
    if content.nfiles is not None:
        row["nfiles"] = content.nfiles
    if content.executable:
        row["isexec"] = True
    return row


def _document(top: Path, name: str) -> Document | None:
    try:
        document = read_core_yaml((top / name).read_bytes(), name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProjectError(f"cannot read `{name}`: {error.strerror}") from error
    document.require_mapping()
    return document


def _read_stage(document: Document, *key: str) -> LockedStage:
    cmd = document.mapping(*key).get("cmd", "")
    if not isinstance(cmd, str) and not (
        isinstance(cmd, list) and all(isinstance(each, str) for each in cmd)
    ):
        raise document.wrong((*key, "cmd"), f"must be a text or a list of texts, not {describe(cmd)}")
    params = {name: dict(document.mapping(*key, "params", name)) for name in document.mapping(*key, "params")}
    return LockedStage(
        cmd=tuple(cmd) if isinstance(cmd, list) else cmd,
        deps=_contents(document, *key, "deps"),
        params=params,
        outs=_contents(document, *key, "outs"),
    )


def _contents(document: Document, *key: str) -> tuple[LockedContent, ...]:
    found = []
    for index, _ in enumerate(document.items(*key)):
        row = document.mapping(*key, index)
        path, md5 = document.text(*key, index, "path"), row.get("md5")
        if path is None:
            raise document.wrong((*key, index), "has no `path`")
        found.append(
            LockedContent(
                path=path,
                md5=md5 if isinstance(md5, str) else "",
                size=row.get("size") if isinstance(row.get("size"), int) else None,
                hash_name="md5" if row.get("hash") == "md5" else "md5-dos2unix",
            )
        )
    return tuple(found)
