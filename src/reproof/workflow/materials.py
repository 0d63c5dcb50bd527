"""Materials: every file that the run read, with its origin and the digest of its content."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from reproof.base.digesting import digest_files
from reproof.base.naming import Naming
from reproof.capture.caches import content_of, is_versioned
from reproof.capture.credentials import holds_credentials
from reproof.capture.first_reads import FirstRead
from reproof.model.artifact import Artifact, Origin
from reproof.model.record import Omission
from reproof.store.manifest import Digesting

#: How the omission begins that tells of an input whose content moved under the run.
CHANGED = "input changed during the run"
OWN = "the run read it and also wrote it"
_UNKNOWN = "; what it held before is not known"
CREDENTIALS = "may hold credentials: neither digested nor given to a re-run"

TRACKED_FILES = 2_000
TRACKED_BYTES = 1 << 30

#: Files of the operating system: named by hardware and environment sections, not by materials.
SYSTEM = (
    "/usr/",
    "/lib/",
    "/lib64/",
    "/bin/",
    "/sbin/",
    "/etc/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/",
    "/var/",
)

#: Traces of tools, within the project or HOME, that decide nothing about a result.
_NOISE = (
    "/__pycache__/",
    "/.git/",
    "/.reproof/",
    "/.dvc/tmp/",
    "/.cache/matplotlib/",
    "/.config/matplotlib/",
    "/.config/mlflow/telemetry.json",
    "/.jupyter/migrated",
    "/.ipython/profile_default/history.sqlite",
    "/.ipython/profile_default/db/",
)


class Origins(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about where content comes from, by name below the top of the repository.

    Attributes:
        committed: Names in the commit whose content is that of the commit.
        captured: Artifacts that the record keeps itself (untracked or changed files).
        tracked: Artifacts that DVC names.
        declared: Names that the project declares as inputs.
        expected: Names that a pipeline says may be inputs: digested before the start, and inputs when read.
    """

    committed: frozenset[str] = frozenset()
    captured: dict[str, Artifact] = {}
    tracked: dict[str, Artifact] = {}
    declared: frozenset[str] = frozenset()
    expected: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Reads:
    """Which files were opened.

    Attributes:
        reported: Absolute paths that a process said it opened for reading.
        seen: Absolute paths that were opened below the project by an unknown process.
        cached: Absolute paths in caches of models that the run read or needs.
        ignored: Absolute folders whose files are not inputs (environment, scratch, stores).
        there: Names below the project that were there when the child started.
        started: When the child started, in seconds since the epoch.
        written: Absolute paths that a process said it opened for writing.
        written_first: Absolute paths that were written before they were read.
        before: Digests before the start by name, of what was digested then.
        first: What inputs held when they were first opened, by name, of those that were read then.
        digesting: Where digests come from.
        home: HOME of the run; symlinks that stay below it are kept.
    """

    reported: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    cached: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    there: Container[str] = frozenset()
    started: float = 0.0
    written: frozenset[str] = frozenset()
    written_first: frozenset[str] = frozenset()
    before: Mapping[str, dict[str, str]] = field(default_factory=dict)
    first: Mapping[str, FirstRead] = field(default_factory=dict)
    digesting: Digesting = digest_files
    home: str = ""


def digest_before(origins: Origins, naming: Naming, digesting: Digesting) -> dict[str, dict[str, str]]:
    """Digest the inputs that are known before the start: those declared or expected, and what DVC tracks.

    Of what is not declared no more than :data:`TRACKED_FILES` files and :data:`TRACKED_BYTES` bytes: the
    times of larger data tell whether it stayed what it is after the end.

    Returns:
        Name to digests; what cannot be read is left out.
    """
    wanted: dict[str, tuple[str, ...]] = dict.fromkeys(origins.declared, ("blake3",))
    room = TRACKED_BYTES
    known = {**dict.fromkeys(sorted(origins.expected)), **origins.tracked}
    for name, artifact in known.items() if len(known) <= TRACKED_FILES else ():
        try:
            room -= naming.find_file(name).stat().st_size
        except OSError:
            continue
        if room < 0:
            break
        wanted[name] = ("blake3", *(artifact.digests if artifact is not None else ()))
    found: dict[str, dict[str, str]] = {}
    for algorithms in sorted(set(wanted.values())):
        names = sorted(name for name, each in wanted.items() if each == algorithms)
        digests = digesting([str(naming.find_file(name)) for name in names], algorithms)
        pairs = zip(names, digests, strict=True)
        found.update((name, each) for name, each in pairs if not isinstance(each, OSError))
    return found


def asked_at_first_open(
    origins: Origins, naming: Naming, ignored: tuple[str, ...], known: Container[str]
) -> Callable[[str], str | None]:
    """Which files are read at their first open: inputs that nobody declared and no version names.

    Args:
        origins: Where content is known to come from.
        naming: Turns paths into names.
        ignored: Absolute folders whose files are not inputs.
        known: Names that were digested before the start.

    Returns:
        A function from an absolute path to the name of such an input, or None.
    """

    def name_of(path: str) -> str | None:
        name = naming.name_file(path)
        named = name in origins.committed or name in origins.captured or name in origins.tracked
        if named or name in known or holds_credentials(name) or not _is_input(path, name, ignored):
            return None
        return name

    return name_of


def gather_materials(
    reads: Reads, origins: Origins, naming: Naming, products: Iterable[str]
) -> tuple[tuple[Artifact, ...], tuple[Omission, ...]]:
    """Describe each file that was read and is not itself something that this run made.

    Args:
        reads: The opened files.
        origins: Where content is known to come from.
        naming: Turns paths into names.
        products: Names that the run created or changed.

    Returns:
        The materials by name, and what could not be described or changed while the run went on.
    """
    made = frozenset(products)
    materials: dict[str, Artifact] = {}
    omissions: list[Omission] = []
    whole: list[_Input] = []
    for each in _inputs(reads, origins, naming):
        if each.name in made:
            artifact, omission = _moved(each, origins, reads)
            omissions += [omission] if omission is not None else []
            if artifact is not None:
                materials[each.name] = artifact
        elif each.status is None:
            omissions += _not_there(each, reads)
        elif not stat.S_ISREG(each.status.st_mode):
            continue
        elif holds_credentials(each.name):
            omissions.append(Omission(subject=each.name, reason=CREDENTIALS))
        elif _is_own(each, each.status, reads):
            mute = each.name.startswith("/tmp/") or each.path in reads.written_first  # noqa: S108
            omissions += [] if mute else [Omission(subject=each.name, reason=f"{OWN}{_held(each, reads)}")]
        else:
            whole.append(each)
    for each, digests in _digest(whole, reads.digesting):
        if isinstance(digests, OSError):
            reason = f"read by the run, not readable after it: {digests.strerror}"
            omissions.append(Omission(subject=each.name, reason=reason))
            continue
        materials[each.name], change = _described(each, digests, origins, reads)
        omissions += change
    return tuple(materials[name] for name in sorted(materials)), tuple(omissions)


class _Input(msgspec.Struct, frozen=True):
    """A file that was read: what `stat` says of it now, or why that cannot be had; what DVC names it by."""

    path: str
    name: str
    status: os.stat_result | None
    problem: OSError | None
    algorithms: tuple[str, ...]


def _inputs(reads: Reads, origins: Origins, naming: Naming) -> Iterator[_Input]:
    """Every file that was read or is declared, once."""
    known: set[str] = set()
    for path in sorted({*reads.reported, *reads.seen, *reads.cached, *_declared_paths(origins, naming)}):
        name = naming.name_file(path)
        if not _is_input(path, name, reads.ignored) or name in known:
            continue
        known.add(name)
        tracked = origins.tracked.get(name) if name not in origins.captured else None
        algorithms = tuple(dict.fromkeys(("blake3", *(tracked.digests if tracked else ()))))
        try:
            # bytes that are no UTF-8 survive in a str, not in messages of Path
            yield _Input(path, name, os.stat(path), None, algorithms)  # noqa: PTH116
        except OSError as error:
            yield _Input(path, name, None, error, algorithms)


def _digest(
    inputs: Iterable[_Input], digesting: Digesting
) -> Iterator[tuple[_Input, dict[str, str] | OSError]]:
    groups: dict[tuple[str, ...], list[_Input]] = {}
    for each in inputs:
        groups.setdefault(each.algorithms, []).append(each)
    for algorithms, group in groups.items():
        yield from zip(group, digesting([each.path for each in group], algorithms), strict=True)


def _is_own(each: _Input, status: os.stat_result, reads: Reads) -> bool:
    """Whether the run wrote it, and nothing is known of its content before."""
    if is_versioned(each.path):
        return False  # it was fetched
    return each.path in reads.written and status.st_ctime > reads.started and each.name not in reads.before


def _moved(each: _Input, origins: Origins, reads: Reads) -> tuple[Artifact | None, Omission | None]:
    """An input that is not after the run what it was before: with the content from before, where known."""
    name, before, first = each.name, reads.before.get(each.name), reads.first.get(each.name)
    versioned = name in origins.committed or name in origins.tracked or name in origins.captured
    if name not in reads.there or each.path in reads.written_first:
        return None, None  # the run made it
    own = each.path in reads.written
    reason = OWN if own else f"{CHANGED}, and no process of the run says it wrote it"
    if not (versioned or before) and (own or first is None):
        return None, Omission(subject=name, reason=f"{reason}{_held(each, reads) or _UNKNOWN}")
    known = origins.captured.get(name) or origins.tracked.get(name)
    digests = before or (first.digests if first else known.digests if known else {})
    differs = known is not None and any(
        digests.get(algorithm) != value for algorithm, value in known.digests.items() if algorithm in digests
    )
    artifact = Artifact(
        name=name,
        digests=digests,
        size=known.size if known is not None else first.size if first is not None else 0,
        mode=first.mode if first is not None else None,
        note=f"{reason}; this is the content {_when(name, reads)}",
        origin="external" if differs else _origin(name, origins),
        source=known.source if known is not None else None,
        kept=name in origins.captured,
    )
    return artifact, Omission(subject=name, reason=reason)


def _when(name: str, reads: Reads) -> str:
    return "at its first open" if name in reads.first and name not in reads.before else "before the start"


def _held(each: _Input, reads: Reads) -> str:
    """What a file held that the run itself wrote over, where it was read in time."""
    first = reads.first.get(each.name)
    return f"; at its first open it held blake3:{first.digests['blake3'][:16]}" if first is not None else ""


def _not_there(each: _Input, reads: Reads) -> Iterator[Omission]:
    """What to say of an input that is gone; most are names that were only tried, or the run's own."""
    if isinstance(each.problem, FileNotFoundError):
        if each.name in reads.there:
            yield Omission(subject=each.name, reason="read by the run, which also removed it")
    elif each.problem is not None and not isinstance(each.problem, NotADirectoryError):
        reason = f"read by the run, not readable after it: {each.problem.strerror}"
        yield Omission(subject=each.name, reason=reason)


def _described(
    each: _Input, digests: dict[str, str], origins: Origins, reads: Reads
) -> tuple[Artifact, list[Omission]]:
    """An input outside the watched tree, and whether it moved: by an earlier digest, else by its times.

    Where it moved, and what it held is known, that is the material.
    """
    first = reads.first.get(each.name)
    before = reads.before.get(each.name) or (first.digests if first is not None else None)
    if before is None:
        assert each.status is not None
        moved = each.status.st_ctime > reads.started and not is_versioned(each.path)
        reason = f"{CHANGED}, as its times say; the digest is from after it"
        change = [Omission(subject=each.name, reason=reason)] if moved else []
        return _describe(each, digests, origins, reads), change
    if before["blake3"] == digests["blake3"]:
        return _describe(each, digests, origins, reads), []
    when = _when(each.name, reads)
    reason = f"{CHANGED}: blake3:{before['blake3'][:8]} {when.removesuffix(' the start')}, blake3:{digests['blake3'][:8]} after"
    if each.path in reads.written:
        reason = OWN
    found = _describe(each, before, origins, reads)
    size = first.size if first is not None and before is first.digests else 0
    found = msgspec.structs.replace(found, size=size, note=f"{reason}; this is the content {when}")
    return found, [Omission(subject=each.name, reason=reason)]


def _declared_paths(origins: Origins, naming: Naming) -> list[str]:
    return [str(naming.find_file(name)) for name in origins.declared]


def _is_input(path: str, name: str, ignored: tuple[str, ...]) -> bool:
    if name.startswith(("${ENV}/", "${TMP}/")) or any(part in f"/{name}" for part in _NOISE):
        return False
    if name.startswith("/") and path.startswith(SYSTEM):
        return False
    return not any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in ignored)


def _describe(each: _Input, digests: dict[str, str], origins: Origins, reads: Reads) -> Artifact:
    """The material, with these digests."""
    name = each.name
    known = origins.captured.get(name) or origins.tracked.get(name)
    named = [algorithm for algorithm in each.algorithms if known is not None and algorithm in known.digests]
    differs = (
        known is not None
        and known.origin == "dvc"
        and any(digests[algorithm] != known.digests[algorithm] for algorithm in named)
    )
    note = _note(each, origins, reads)
    if differs and known is not None:
        note = f"not the content that `{known.source}` names"
    assert each.status is not None
    return Artifact(
        name=name,
        digests=digests,
        size=each.status.st_size,
        mode=stat.S_IMODE(each.status.st_mode),
        note=note,
        origin="external" if differs else _origin(name, origins),
        target=content_of(each.path, reads.home) if reads.home and name.startswith("${HOME}/") else None,
        source=known.source if known is not None else None,
        kept=name in origins.captured,
    )


def _came(each: _Input, status: os.stat_result, reads: Reads) -> bool:
    """Whether a file was not there before the run, or was replaced by it."""
    return status.st_ctime > reads.started and each.name not in reads.before


def _note(each: _Input, origins: Origins, reads: Reads) -> str | None:
    assert each.status is not None
    if is_versioned(each.path) and _came(each, each.status, reads):
        return "fetched into a cache while the run went on"
    if each.path in reads.reported or each.name in origins.declared:
        return None
    return "in a cache of models" if each.path in reads.cached else "opened by an unknown process"


def _origin(name: str, origins: Origins) -> Origin:
    if name in origins.captured:
        return "captured"
    if name in origins.tracked:
        return "dvc"
    if name in origins.committed:
        return "git"
    return "external"
