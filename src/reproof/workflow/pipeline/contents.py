"""What a stage reads and makes, measured as DVC names it; before it starts and after it has ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reproof.base.digesting import digest_bytes, digest_files
from reproof.errors import ProjectError
from reproof.model.pipeline import Stage, StageDep, StageOut
from reproof.model.stages import StageContent
from reproof.project.dvc_graph import Pipeline
from reproof.project.dvc_ignore import Ignored
from reproof.project.params_files import read_params_file, select_values
from reproof.project.yaml_document import closest, listed
from reproof.store.dvc_put import DvcContent, measure
from reproof.store.manifest import Digesting


class Reading:
    """Digests of one moment: each file is read once for all who ask, until it is forgotten.

    Args:
        digesting: Where digests come from.
        seen: Receives every path that is read: who watches opened files must know our own.
    """

    def __init__(self, digesting: Digesting = digest_files, seen: set[str] | None = None) -> None:
        self._digesting = digesting
        self._seen = seen
        self._known: dict[str, dict[str, str]] = {}

    def digest_files(
        self, paths: Iterable[str], algorithms: Iterable[str] = ("blake3",)
    ) -> Iterator[dict[str, str] | OSError]:
        """As :func:`reproof.base.digesting.digest_files`."""
        asked, wanted = list(paths), tuple(algorithms)
        missing = [path for path in asked if not self._known.get(path, {}).keys() >= set(wanted)]
        every = tuple(dict.fromkeys(("blake3", "md5", *wanted)))
        if self._seen is not None:
            self._seen.update(missing)
        failed: dict[str, OSError] = {}
        for path, found in zip(missing, self._digesting(missing, every), strict=True):
            if isinstance(found, OSError):
                failed[path] = found
            else:
                self._known[path] = found
        for path in asked:
            known = self._known.get(path)
            if path in failed or known is None:
                yield failed[path]
            else:
                yield {name: known[name] for name in wanted}

    def forget(self) -> None:
        """From here on every file is read again."""
        self._known.clear()


class Measuring:
    """Measures what stages of a pipeline declare.

    Args:
        top: Top of the repository.
        root: The folder of the DVC repository, below the top.
    """

    def __init__(self, top: Path, root: str = "") -> None:
        self.top = top
        self._ignored = Ignored(top, root)

    def content(self, item: StageDep | StageOut, reading: Reading) -> DvcContent | None:
        """The content of a dependency or output; None where there is nothing."""
        return measure(
            self.top / item.place,
            digesting=reading.digest_files,
            ignored=lambda path: self._ignored(f"{item.place}/{path}"),
        )

    def named(self, item: StageDep | StageOut, reading: Reading) -> StageContent | None:
        """The content of a dependency or output as a record has it; None where there is nothing."""
        content = self.content(item, reading)
        return _named(item, content) if content is not None else None

    def deps(self, stage: Stage, reading: Reading) -> tuple[StageContent, ...]:
        """What a stage reads. Raises ProjectError where something is not there."""
        found = []
        for dep in stage.deps:
            content = self.named(dep, reading)
            if content is None:
                raise missing_dep(stage, dep)
            found.append(content)
        return tuple(found)

    def outs(self, stage: Stage, reading: Reading) -> tuple[tuple[StageContent, DvcContent] | StageOut, ...]:
        """What a stage made, or in its place the output that is not there."""
        found: list[tuple[StageContent, DvcContent] | StageOut] = []
        for out in stage.outs:
            content = self.content(out, reading)
            found.append(out if content is None else (_named(out, content), content))
        return tuple(found)

    def params(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """The values that a stage depends on, by file and name.

        Raises:
            ProjectError: A file or a value is missing; dvc.yaml, stage and key are named.
        """
        values: dict[str, dict[str, Any]] = {}
        for each in stage.params:
            where = f"`{stage.file}`, line {each.line}" if each.line else f"`{stage.file}`"
            try:
                known = read_params_file(self.top / each.place, each.place)
            except ProjectError as error:
                raise ProjectError(
                    f"{where}: stage `{stage.name}`, `params`: {error.message}", details=error.details
                ) from error
            values[each.path], missing = select_values(known, each.keys)
            if missing:
                close = closest(missing[0], known)
                raise ProjectError(
                    f"{where}: stage `{stage.name}`, `params`: `{each.place}` has no value `{missing[0]}`",
                    details=[("values", listed(map(str, known)) or "none")],
                    hint=f"did you mean `{close}`?" if close else None,
                )
        return values


def check_inputs(pipeline: Pipeline, stages: Iterable[Stage], measuring: Measuring) -> None:
    """Refuse, before anything runs, what cannot run: what no stage makes must be there.

    Raises:
        ProjectError: A dependency is neither there nor made by a stage, or a parameter has no value.
    """
    for stage in stages:
        for dep in stage.deps:
            made = any(
                dep.place in (out.place, "") or _nests(out.place, dep.place) for out in _outs(pipeline, stage)
            )
            if not made and not (measuring.top / dep.place).exists():
                raise missing_dep(stage, dep)
        if not any(_nests(out.place, each.place) for out in _outs(pipeline, stage) for each in stage.params):
            measuring.params(stage)


def missing_dep(stage: Stage, dep: StageDep) -> ProjectError:
    """The error for a dependency that is not there and that no stage makes."""
    where = f"`{stage.file}`, line {dep.line}" if dep.line else f"`{stage.file}`"
    return ProjectError(
        f"{where}: stage `{stage.name}`, `deps`: `{dep.path}` does not exist, and no stage makes it",
        details=[("searched", f"`{dep.place}`")],
        hint="run `dvc pull` if DVC has it",
    )


def missing_out(stage: Stage, out: StageOut) -> ProjectError:
    """The error for an output that a stage did not make."""
    where = f"`{stage.file}`, line {out.line}" if out.line else f"`{stage.file}`"
    key = {"out": "outs", "metric": "metrics", "plot": "plots"}[out.kind]
    return ProjectError(
        f"{where}: stage `{stage.name}`, `{key}`: the stage ended well, but did not make `{out.path}`",
        details=[("expected", f"`{out.place}`"), ("command", stage.commands[-1])],
    )


def _outs(pipeline: Pipeline, reader: Stage) -> list[StageOut]:
    return [out for stage in pipeline.stages if stage is not reader for out in stage.outs]


def _nests(place: str, other: str) -> bool:
    return place == other or place.startswith(f"{other}/") or other.startswith(f"{place}/")


def _named(item: StageDep | StageOut, content: DvcContent) -> StageContent:
    return StageContent(
        path=item.path,
        place=item.place,
        md5=content.md5,
        size=content.size,
        nfiles=content.nfiles,
        executable=content.executable,
        plain=_plain(content),
    )


def _plain(content: DvcContent) -> str | None:
    members = [each for each in content.members if not each.path.endswith(".pyc")]
    if len(members) == len(content.members):
        return None
    rows = sorted(
        ({"md5": each.md5, "relpath": each.path} for each in members), key=lambda row: row["relpath"]
    )
    return digest_bytes(json.dumps(rows, sort_keys=True).encode(), ("md5",))["md5"] + ".dir"
