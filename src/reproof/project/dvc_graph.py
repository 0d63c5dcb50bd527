"""How stages depend on each other: which makes what another reads, and in which order they run."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

import msgspec

from reproof.errors import ProjectError
from reproof.model.dvc import DvcEntry
from reproof.model.pipeline import Stage, StageOut, is_within, overlaps
from reproof.project.dvc import tracked
from reproof.project.dvc_stages import find_pipeline_files, read_stages
from reproof.project.yaml_document import closest, listed


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """All stages of a project, in an order in which they can run.

    Attributes:
        root: The folder that addresses are relative to, below the top of the repository.
        files: The dvc.yaml files, that of the folder first.
        stages: Each after all that it depends on; where nothing decides, in the order of the files.
        data: What ``.dvc`` files name.
    """

    root: str = ""
    files: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    data: tuple[DvcEntry, ...] = ()

    def stage(self, address: str) -> Stage:
        """The stage of that address. Raises ProjectError where there is none."""
        for each in self.stages:
            if each.address == address:
                return each
        known = [each.address for each in self.stages]
        close = closest(address, known)
        raise ProjectError(
            f"`{self.files[0] if self.files else 'dvc.yaml'}` has no stage `{address}`",
            details=[("stages", listed(known) or "none")],
            hint=f"did you mean `{close}`?" if close else None,
        )

    def parents(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that make something that `stage` reads."""
        return tuple(other for other in self.stages if other is not stage and _feeds(other, stage))

    def ancestors(self, stage: Stage) -> tuple[Stage, ...]:
        """All stages that something that `stage` reads comes from, in order."""
        found = {each.address for each in self.parents(stage)}
        for each in reversed(self.stages):
            if each.address in found:
                found |= {parent.address for parent in self.parents(each)}
        return tuple(each for each in self.stages if each.address in found)

    def maker(self, place: str) -> Stage | None:
        """The stage that makes the file or folder at `place`, or a folder that it is in."""
        for stage in self.stages:
            if any(is_within(place, out.place) for out in stage.outs):
                return stage
        return None

    def edges(self) -> tuple[tuple[str, str], ...]:
        """Pairs of addresses: what is made or named by the first is read by the second."""
        pairs = [(parent.address, stage.address) for stage in self.stages for parent in self.parents(stage)]
        pairs += [
            (entry.source, stage.address)
            for entry in self.data
            for stage in self.stages
            if any(overlaps(entry.path, dep.place) for dep in stage.deps)
        ]
        return tuple(dict.fromkeys(pairs))


def read_pipeline(top: Path, root: str = "") -> Pipeline:
    """Read every dvc.yaml below `root` and put the stages in order.

    Raises:
        ProjectError: A file is wrong, two stages make the same file, or stages wait for each other.
    """
    files = find_pipeline_files(top, root)
    stages = [stage for name in files for stage in read_stages(top, name, root)]
    data = tuple(entry for entry in tracked(top) if not entry.source.endswith("dvc.lock"))
    _check_outs(stages, data)
    return Pipeline(root=root, files=files, stages=tuple(_sorted(stages)), data=data)


def has_pipeline(top: Path, root: str = "") -> bool:
    """Whether the folder `root` has a dvc.yaml of its own with a stage in it."""
    name = posixpath.join(root, "dvc.yaml")
    if not (top / name).is_file():
        return False
    return bool(read_stages(top, name, root))


def chosen(pipeline: Pipeline, targets: Iterable[str]) -> tuple[Stage, ...]:
    """The stages of `targets` and all that they depend on, in order; every stage for no targets.

    A target is a stage, a group of stages made from one template, or a file that a stage makes.

    Raises:
        ProjectError: There is no such stage.
    """
    wanted: set[str] = set()
    for target in targets:
        group = [each for each in pipeline.stages if target in (each.address, each.address.split("@")[0])]
        place = posixpath.normpath(posixpath.join(pipeline.root, target))
        maker = pipeline.maker(place) if not group else None
        for stage in group or [maker or pipeline.stage(target)]:
            wanted |= {stage.address, *(each.address for each in pipeline.ancestors(stage))}
    return tuple(stage for stage in pipeline.stages if not wanted or stage.address in wanted)


def _feeds(maker: Stage, reader: Stage) -> bool:
    places = [dep.place for dep in reader.deps] + [each.place for each in reader.params]
    return any(overlaps(out.place, place) for out in maker.outs for place in places)


def _check_outs(stages: list[Stage], data: Iterable[DvcEntry]) -> None:
    """Refuse two makers of one file, and a stage that reads what it makes itself."""
    made: list[tuple[StageOut, Stage]] = []
    for stage in stages:
        for out in stage.outs:
            own = next((dep for dep in stage.deps if overlaps(dep.place, out.place)), None)
            if own is not None and own.place == out.place:
                raise _clash(out, stage, f"reads `{own.path}`, which it also makes", [])
            for other, maker in made:
                if overlaps(other.place, out.place):
                    facts = [(maker.address, f"`{other.place}`, {_at(maker, other)}")]
                    facts.append((stage.address, f"`{out.place}`, {_at(stage, out)}"))
                    same = "is also made" if other.place == out.place else "overlaps with what is made"
                    raise _clash(
                        out, stage, f"makes `{out.path}`, which {same} by stage `{maker.address}`", facts
                    )
            for entry in data:
                if overlaps(entry.path, out.place):
                    raise _clash(out, stage, f"makes `{out.path}`, which `{entry.source}` names as data", [])
            made.append((out, stage))


def _at(stage: Stage, out: StageOut) -> str:
    return f"`{stage.file}`, line {out.line}" if out.line else f"`{stage.file}`"


def _clash(out: StageOut, stage: Stage, problem: str, facts: list[tuple[str, str]]) -> ProjectError:
    key = {"out": "outs", "metric": "metrics", "plot": "plots"}[out.kind]
    return ProjectError(f"{_at(stage, out)}: stage `{stage.name}`, `{key}`: it {problem}", details=facts)


def _sorted(stages: list[Stage]) -> list[Stage]:
    """The stages, each after those that it depends on; the first of the files that can run comes first."""
    waiting = {
        stage.address: {other.address for other in stages if other is not stage and _feeds(other, stage)}
        for stage in stages
    }
    by_address = {stage.address: stage for stage in stages}
    if len(by_address) < len(stages):
        twice = next(each.address for each in stages if by_address[each.address] is not each)
        raise ProjectError(f"{by_address[twice].where}: there are two stages `{twice}`")
    done: list[Stage] = []
    ready: set[str] = set()
    while len(done) < len(stages):
        following = next(
            (each for each in stages if each.address not in ready and waiting[each.address] <= ready), None
        )
        if following is None:
            raise _cycle(by_address, waiting, ready)
        done.append(following)
        ready.add(following.address)
    return done


def _cycle(stages: dict[str, Stage], waiting: dict[str, set[str]], ready: set[str]) -> ProjectError:
    """The error that names the stages of one circle, and what each waits for."""
    path = [next(name for name in stages if name not in ready)]
    while True:
        following = next(name for name in stages if name in waiting[path[-1]] - ready)
        if following in path:
            circle = path[path.index(following) :]
            break
        path.append(following)
    facts = []
    for name, source in zip(circle, [*circle[1:], circle[0]], strict=True):
        reads = [
            dep.path
            for dep in stages[name].deps
            if any(overlaps(out.place, dep.place) for out in stages[source].outs)
        ]
        facts.append(
            (name, f"reads `{(reads or ['parameters'])[0]}`, made by `{source}`; {stages[name].where}")
        )
    arrows = " -> ".join([*reversed(circle), circle[-1]])
    return ProjectError(f"`{stages[circle[0]].file}`: stages wait for each other: {arrows}", details=facts)
