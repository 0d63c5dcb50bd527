"""What differs between the set-ups of two records: code, parameters, environment, data, chance, machine.

These are candidates for a cause (factors), never a proof of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec.structs import replace

from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.randomness import RandomnessSection
from reproof.model.record import CodeSection, EnvironmentSection, HardwareSection, ProjectSection, Record
from reproof.model.table import changed_blocks, changes_in_words


def compare_set_ups(expected: Record, actual: Record) -> tuple[Difference, ...]:
    """The factors that differ, one Difference for each section that has any.

    Sections: ``command``, ``code``, ``environment``, ``materials``, ``randomness``, ``hardware``.
    Equal sections are left out; no tolerance applies.
    """
    sections: list[tuple[str, Callable[[], Iterable[Difference]]]] = [
        ("command", lambda: _command(expected.project, actual.project)),
        ("code", lambda: _code(expected.code, actual.code)),
        ("environment", lambda: _environment(expected.environment, actual.environment)),
        ("materials", lambda: _materials(expected.materials, actual.materials)),
        ("randomness", lambda: _randomness(expected.randomness, actual.randomness)),
        ("hardware", lambda: _hardware(expected.hardware, actual.hardware)),
    ]
    found = []
    for name, differences in sections:
        children = tuple(differences())
        if children:
            summary = "; ".join(child.summary for child in children[:3])
            more = f"; {len(children) - 3} more" if len(children) > 3 else ""
            found.append(combine(name, children, kind="factor", summary=summary + more))
    return tuple(found)


def _command(expected: ProjectSection, actual: ProjectSection) -> Iterator[Difference]:
    yield from _mapping("parameter", expected.parameters, actual.parameters)
    yield from _value("entry point", expected.entry_point, actual.entry_point)
    if expected.parameters == actual.parameters:
        yield from _value("command", expected.command, actual.command)


def _code(expected: CodeSection, actual: CodeSection) -> Iterator[Difference]:
    yield from _value("commit", expected.commit, actual.commit)
    yield from _value("patch", _digest(expected.patch), _digest(actual.patch))
    yield from _mapping("untracked", _digests(expected.untracked), _digests(actual.untracked))
    yield from _mapping(
        "submodule",
        {module.path: module.commit for module in expected.submodules},
        {module.path: module.commit for module in actual.submodules},
    )


def _environment(expected: EnvironmentSection, actual: EnvironmentSection) -> Iterator[Difference]:
    if expected.python is not None and actual.python is not None:
        yield from _value("python", expected.python.version, actual.python.version)
        yield from _value("python build", expected.python.build, actual.python.build)
    before = {package.name: package for package in expected.distributions}
    after = {package.name: package for package in actual.distributions}
    for name in sorted({*before, *after}):
        left, right = before.get(name), after.get(name)
        yield from _value(f"package {name}", left.version if left else None, right.version if right else None)
        if left and right and left.version == right.version and left.record and right.record:
            yield from _value(f"files of package {name}", left.record[:12], right.record[:12])
    yield from _mapping("Conda package", _conda(expected), _conda(actual))
    yield from _mapping("variable", expected.variables, actual.variables)
    if expected.umask and actual.umask:
        yield from _value("umask", expected.umask, actual.umask)
    yield from _value("image", _image(expected), _image(actual))
    if expected.native and actual.native:
        yield from _mapping("native library", _builds(expected), _builds(actual))
        yield from _mapping("", _arithmetic(expected), _arithmetic(actual))


def _conda(section: EnvironmentSection) -> dict[str, str]:
    return {each.name: f"{each.version} {each.build}".strip() for each in section.conda}


def _image(section: EnvironmentSection) -> str | None:
    return None if section.image is None else section.image.digest or section.image.id


def _builds(section: EnvironmentSection) -> dict[str, str]:
    return {
        library.path: library.build_id or library.digest or f"{library.size} bytes"
        for library in section.native
    }


def _arithmetic(section: EnvironmentSection) -> dict[str, str]:
    """What libraries for linear algebra and threads say of themselves, each by its kind."""
    found: dict[str, list[str]] = {}
    for library in section.native:
        if library.kind is not None:
            found.setdefault(library.kind, []).append(library.said)
    return {kind: "; ".join(sorted(said)) for kind, said in found.items()}


def _materials(expected: tuple[Artifact, ...], actual: tuple[Artifact, ...]) -> Iterator[Difference]:
    before, after = ({each.name: each for each in side} for side in (expected, actual))
    for name in sorted({*before, *after}):
        left, right = before.get(name), after.get(name)
        found = _value(name, _digest(left) if left else None, _digest(right) if right else None)
        yield from (_with_table(each, left, right) for each in found)


def _with_table(found: Difference, before: Artifact | None, after: Artifact | None) -> Difference:
    """The difference with what the digests of both tables say about it."""
    one, two = (each.table if each is not None else None for each in (before, after))
    if one is None or two is None:
        return found
    if one.digest == two.digest:
        summary = f"{found.subject}: the same table, other bytes"
        named = ("encoding of the table",)
        return replace(found, outcome=Outcome.EQUIVALENT, summary=summary, canonicalised=named)
    evidence = {"rows": [one.rows, two.rows], "columns": changed_blocks(one, two)}
    return replace(found, summary=f"{found.summary}: {changes_in_words(one, two)}", evidence=evidence)


def _randomness(expected: RandomnessSection, actual: RandomnessSection) -> Iterator[Difference]:
    yield from _value("seed", _text(expected.seed), _text(actual.seed))
    yield from _value("profile", expected.profile, actual.profile)
    yield from _value("seeded by reproof", ", ".join(expected.applied), ", ".join(actual.applied))


def _hardware(expected: HardwareSection, actual: HardwareSection) -> Iterator[Difference]:
    for label, left, right in (
        ("host", expected.host, actual.host),
        ("system", expected.system, actual.system),
        ("kernel", expected.kernel, actual.kernel),
        ("libc", expected.libc, actual.libc),
        ("CPU", expected.cpu_model, actual.cpu_model),
        ("CPU instruction sets", " ".join(expected.cpu_flags), " ".join(actual.cpu_flags)),
        ("CPUs", str(expected.cpus), str(actual.cpus)),
        ("CPUs available", str(expected.affinity), str(actual.affinity)),
        ("GPUs", ", ".join(expected.gpus), ", ".join(actual.gpus)),
        ("GPU driver", expected.gpu_driver, actual.gpu_driver),
    ):
        yield from _value(label, left, right)


def _mapping(label: str, expected: Mapping[str, str], actual: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*expected, *actual}):
        yield from _value(f"{label} {name}".strip(), expected.get(name), actual.get(name))


def _value(subject: str, expected: str | None, actual: str | None) -> Iterator[Difference]:
    if expected != actual:
        yield Difference(
            subject=subject,
            outcome=Outcome.DIFFERENT,
            summary=f"{subject}: {_shown(expected)} -> {_shown(actual)}",
            kind="factor",
            expected=expected,
            actual=actual,
        )


def _shown(value: str | None) -> str:
    if value is None:
        return "absent"
    return value if len(value) <= 60 else value[:57] + "..."


def _digests(artifacts: Iterable[Artifact]) -> dict[str, str]:
    return {artifact.name: _digest(artifact) or "" for artifact in artifacts}


def _digest(artifact: Artifact | None) -> str | None:
    return artifact.digest.short if artifact is not None and artifact.digest is not None else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
