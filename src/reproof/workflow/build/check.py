"""`build --check` and `build --against`: a controlled build compared with what was built before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from reproof.base.git import has_commit
from reproof.build.conditions import control
from reproof.compare import compare
from reproof.environment import LockText, find_python
from reproof.environment.requirements import read_lines
from reproof.errors import EnvironmentBuildError, ProjectError, UsageError
from reproof.model.build import SCHEMA, BuildInfo, BuildReport, Grade, Output
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.event import Emit, silent
from reproof.workflow.build.build import (
    BuildOptions,
    Prepared,
    build_with_tools,
    describe,
    prepare_build,
    tools_of_project,
    workshop,
)
from reproof.workflow.build.environment import BuildLock, Tools, ToolsRequest, install_tools
from reproof.workflow.build.faults import explain_other
from reproof.workflow.build.once import Built


def check(document: Path, options: BuildOptions, emit: Emit = silent) -> BuildReport:
    """Build what a document describes once more, with the tools that it names, and compare the digests.

    Args:
        document: A ``*.buildinfo.json``.
        options: Folder of the project, whose repository has the commit; isolation and limits.
        emit: Told about the work.

    Raises:
        ProjectError: The document cannot be read, or the repository does not have its commit.
        EnvironmentBuildError: The tools cannot be had as they were.
    """
    info = read_info(document)
    with workshop() as root:
        ready = _prepare_again(info, options, root, emit)
        _, (built,) = build_with_tools(ready, options, [control(info.source_date_epoch)], emit)
        now = describe(ready, built, "identical")
        parts = [_compare_output(output, document.parent, built) for output in info.outputs]
        grade: Grade = (
            "identical" if all(part.outcome is Outcome.IDENTICAL for part in parts) else "different"
        )
        now = msgspec.structs.replace(
            now,
            grade=grade,
            conditions=(*now.conditions, *_other_tools(info, now)),
            exercised=(),
            not_exercised=(),
        )
        return BuildReport(
            project=ready.site.system.name or info.outputs[0].name.split("-")[0],
            info=now,
            difference=combine(document.name, parts, kind="build"),
            checked=document.name,
            builds=1,
        )


def against(other: Path, options: BuildOptions, emit: Emit = silent) -> BuildReport:
    """Compare a wheel or source archive that was made elsewhere with a controlled build, and say why they differ.

    Raises:
        UsageError: `other` is neither.
        ProjectError: The project cannot be built.
    """
    if not other.name.endswith((".whl", ".tar.gz")) or not other.is_file():
        raise UsageError(
            f"`{other}` is no wheel and no source archive",
            hint="pass `--against FILE` with a .whl or .tar.gz",
        )
    with workshop() as root:
        ready = prepare_build(options, root, emit, tools_of_project)
        ready, (built,) = build_with_tools(ready, options, [control(ready.source.epoch)], emit)
        kind = "wheel" if other.suffix == ".whl" else "sdist"
        found = compare(built.files[kind], other, subject=other.name)
        causes = explain_other(ready.source, ready.site, built, other)
        grade: Grade = "identical" if found.outcome is Outcome.IDENTICAL else "different"
        info = msgspec.structs.replace(
            describe(ready, built, grade, tuple(causes)), exercised=(), not_exercised=()
        )
        return BuildReport(
            project=ready.site.system.name or other.name.split("-")[0],
            info=info,
            causes=tuple(causes),
            difference=found,
            checked=other.name,
            builds=1,
        )


def read_info(path: Path) -> BuildInfo:
    """Read a document of a build.

    Raises:
        ProjectError: It cannot be read, or is of another schema.
    """
    try:
        info = msgspec.json.decode(path.read_bytes(), type=BuildInfo)
    except OSError as error:
        raise ProjectError(f"cannot read `{path}`: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"`{path.name}` is no document of a build", details=[("reason", str(error))]
        ) from error
    if info.schema != SCHEMA:
        raise ProjectError(
            f"`{path.name}` is of the schema `{info.schema}`; this version reads `{SCHEMA}`",
            hint="use the version of reproof that wrote it",
        )
    return info


def _prepare_again(info: BuildInfo, options: BuildOptions, root: Path, emit: Emit) -> Prepared:
    """The same source and the same tools."""
    wanted = info.source
    folder = options.folder
    if not has_commit(folder, wanted.commit):
        hint = f"clone `{wanted.address}` and pass its folder" if wanted.address else None
        raise ProjectError(
            f"the repository of `{folder}` does not have the commit `{wanted.commit[:12]}`",
            details=[("wanted by", "the document of the build")],
            hint=hint or "pass the folder of the project that was built",
        )
    if wanted.dirty is None:
        again = msgspec.structs.replace(options, revision=wanted.commit, dirty=False)
    else:
        again = msgspec.structs.replace(options, dirty=True)
    again = msgspec.structs.replace(again, python=_python(info), lock=False, constraints=None)

    def same_tools(request: ToolsRequest, emit: Emit) -> Tools:
        return install_tools(_lock_of(info), find_python(again.python), request, emit)

    ready = prepare_build(again, root, emit, same_tools)
    if ready.source.facts.dirty != wanted.dirty:
        raise ProjectError(
            "the work tree is not the one that was built: the document names other uncommitted files",
            details=[("built", f"patch {wanted.dirty.patch[:12]}" if wanted.dirty else "the commit alone")],
            hint="bring back the same uncommitted changes, or build a commit",
        )
    return ready


def _lock_of(info: BuildInfo) -> BuildLock:
    text = info.tools.requirements
    lines = read_lines(text.splitlines(), Path(), "buildinfo")
    return BuildLock(
        text=LockText(format="requirements", text=text, source="buildinfo"),
        names=tuple(sorted({line.name for line in lines if line.name})),
        source=info.tools.locked_by,
    )


def _python(info: BuildInfo) -> str:
    try:
        return find_python(f"=={info.tools.python}").version
    except EnvironmentBuildError:
        # another patch release may still write the same bytes; that it was another one is a condition
        return info.tools.python.rpartition(".")[0]


def _compare_output(output: Output, folder: Path, built: Built) -> Difference:
    """By digest; where they differ and the file lies beside its document, by content."""
    path = built.files.get(output.kind)
    if path is None or path.name != output.name:
        return Difference(
            subject=output.name, outcome=Outcome.DIFFERENT, summary="was not built again", kind="build"
        )
    if built.listings[output.kind].digest == output.sha256:
        return Difference(
            subject=output.name,
            outcome=Outcome.IDENTICAL,
            summary=f"the same sha256 ({output.size:,} bytes)",
            kind="bytes",
        )
    kept = folder / output.name
    if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == output.sha256:
        found = compare(kept, path, subject=output.name)
        return msgspec.structs.replace(found, outcome=max(found.outcome, Outcome.EQUIVALENT))
    return Difference(
        subject=output.name,
        outcome=Outcome.DIFFERENT,
        summary="another sha256; the file itself is not beside the document",
        kind="bytes",
        expected=output.sha256,
        actual=built.listings[output.kind].digest,
    )


def _other_tools(info: BuildInfo, now: BuildInfo) -> list[str]:
    """What could not be had as it was."""
    facts = [
        ("Python", info.tools.python, now.tools.python),
        ("platform", info.tools.platform, now.tools.platform),
    ]
    facts += [
        (name, version, now.tools.programs.get(name, "none"))
        for name, version in info.tools.programs.items()
        if name != "uv"
    ]
    return [f"{name} was {was}, is {is_now}" for name, was, is_now in facts if was != is_now]
