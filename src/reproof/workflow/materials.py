"""Materials: every file that the run read, with its origin and the digest of its content."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.naming import Naming
from reproof.model.artifact import Artifact, Origin
from reproof.model.record import Omission

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
)


class Origins(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about where content comes from, by name below the top of the repository.

    Attributes:
        committed: Names in the commit whose content is that of the commit.
        captured: Artifacts that the record keeps itself (untracked or changed files).
        tracked: Artifacts that DVC names.
        declared: Names that the project declares as inputs.
    """

    committed: frozenset[str] = frozenset()
    captured: dict[str, Artifact] = {}
    tracked: dict[str, Artifact] = {}
    declared: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Reads:
    """Which files were opened.

    Attributes:
        reported: Absolute paths that a process said it opened for reading.
        seen: Absolute paths that were opened below the project by an unknown process.
        ignored: Absolute folders whose files are not inputs (environment, scratch, stores).
        there: Names below the project that were there when the child started.
        started: When the child started, in seconds since the epoch.
    """

    reported: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    there: Container[str] = frozenset()
    started: float = 0.0


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
    for path in sorted({*reads.reported, *reads.seen, *_declared_paths(origins, naming)}):
        name = naming.name_file(path)
        if not _is_input(path, name, reads.ignored) or name in materials:
            continue
        if name in made:
            if name in origins.committed or name in origins.tracked or name in origins.captured:
                omissions.append(Omission(subject=name, reason="the run read it and also wrote it"))
            continue
        try:
            artifact, changed = _describe(path, name, origins, reads)
        except FileNotFoundError:
            # Most are names that were only tried, or temporary files of the run's own.
            if name in reads.there:
                omissions.append(Omission(subject=name, reason="read by the run, which also removed it"))
            continue
        except OSError as error:
            omissions.append(
                Omission(subject=name, reason=f"read by the run, not readable after it: {error.strerror}")
            )
            continue
        if artifact is not None:
            materials[name] = artifact
        if changed:
            omissions.append(Omission(subject=name, reason="changed while the run went on"))
    return tuple(materials[name] for name in sorted(materials)), tuple(omissions)


def _declared_paths(origins: Origins, naming: Naming) -> list[str]:
    return [str(naming.find_file(name)) for name in origins.declared]


def _is_input(path: str, name: str, ignored: tuple[str, ...]) -> bool:
    if name.startswith(("${ENV}/", "${TMP}/")) or any(part in f"/{name}" for part in _NOISE):
        return False
    if name.startswith("/") and path.startswith(SYSTEM):
        return False
    return not any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in ignored)


def _describe(path: str, name: str, origins: Origins, reads: Reads) -> tuple[Artifact | None, bool]:
    """The material at `path`, and whether it changed after the start; None for what is no file."""
    status = os.stat(path)  # noqa: PTH116  # bytes that are no UTF-8 survive in a str, not in messages of Path
    if not stat.S_ISREG(status.st_mode):
        return None, False
    known = origins.captured.get(name) or origins.tracked.get(name)
    named = tuple(known.digests) if known is not None and known.origin == "dvc" else ()
    digests = digest_file(Path(path), dict.fromkeys(("blake3", *named)))
    differs = known is not None and any(digests[algorithm] != known.digests[algorithm] for algorithm in named)
    note = None if path in reads.reported or name in origins.declared else "opened by an unknown process"
    if differs and known is not None:
        note = f"not the content that `{known.source}` names"
    artifact = Artifact(
        name=name,
        digests=digests,
        size=status.st_size,
        mode=stat.S_IMODE(status.st_mode),
        note=note,
        origin="external" if differs else _origin(name, origins),
        source=known.source if known is not None else None,
        kept=name in origins.captured,
    )
    return artifact, status.st_ctime > reads.started


def _origin(name: str, origins: Origins) -> Origin:
    if name in origins.captured:
        return "captured"
    if name in origins.tracked:
        return "dvc"
    if name in origins.committed:
        return "git"
    return "external"
