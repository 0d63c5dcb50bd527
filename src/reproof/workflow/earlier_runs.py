"""What a run read of earlier MLflow runs and of the model registry, and how a clean room gets it.

The room's own store is given the recorded versions, aliases, runs and models, with the recorded bytes:
wherever an alias leads by now, and whatever became of a version, the re-run reads what the run read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.files import copy_private, remove_tree
from reproof.base.naming import Naming
from reproof.errors import MaterialError, StoreError
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore
from reproof.tracking.address import parse
from reproof.tracking.shelf import add_to_store, place_of

#: An id that MLflow gives to a logged model; other names are those of registered models.
_LOGGED = re.compile(r"m-[0-9a-f]{32}")

#: Beside a room's store: the files of what was put into it.
_FILES = "earlier"


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """What the MLflow store of a re-run starts from.

    Attributes:
        carried: The store as an earlier re-run in the room left it; None for an empty one.
        made: Addresses of what that holds in another form: earlier stages made it again.
    """

    carried: Path | None = None
    made: frozenset[str] = frozenset()


def artifacts_read(
    paths: Iterable[str], stores: Iterable[str], naming: Naming, started: float
) -> list[Artifact]:
    """The files among `paths` that lay in a local tracking store before the run began.

    Args:
        paths: Absolute paths that the run opened for reading, but for those that MLflow gave it.
        stores: Absolute paths of tracking stores and artifact folders.
        naming: Names of files.
        started: When the run began, in seconds since the epoch.
    """
    folders = tuple(f"{store}/" for store in stores)
    found = []
    for path in sorted(set(paths)):
        if not path.startswith(folders) or "/artifacts/" not in path:
            continue
        try:
            status = os.stat(path)  # noqa: PTH116  # a str may hold bytes that are no UTF-8
            if not stat.S_ISREG(status.st_mode) or status.st_mtime >= started:
                continue
            digests = digest_file(Path(path))
        except OSError:
            continue
        found.append(
            Artifact(name=naming.name_file(path), digests=digests, size=status.st_size, origin="mlflow")
        )
    return found


def with_known_content(found: Iterable[Artifact], read: Iterable[Artifact]) -> list[Artifact]:
    """The files of `found`, of which those that MLflow opened to fetch what was `read` need no source.

    Their content is kept. Where it lies outside of every folder that a room has, only MLflow was meant.
    """
    kept = {each.digest for each in read if each.kept}
    return [
        msgspec.structs.replace(each, kept=True) if each.digest in kept else each
        for each in found
        if not (each.digest in kept and each.name.startswith("/"))
    ]


def require_kept(record: Record, store: DirectoryStore) -> None:
    """Refuse to re-create a run whose models and artifacts of earlier runs are not here.

    Raises:
        MaterialError: A re-run would fail for our want of them, not for a change of its own.
    """
    read = [artifact for artifact in record.materials if artifact.origin == "mlflow"]
    if read and record.tracked is None:
        raise MaterialError(
            "cannot re-create the run: it read artifacts of earlier MLflow runs, and its record does not say of which",
            details=[(_short(artifact), f"`{artifact.name}`") for artifact in read[:5]],
            hint="run it again with `reproof run`: records say it now",
        )
    lost = [each for each in read if each.is_tracked and (each.digest is None or each.digest not in store)]
    if not lost:
        return
    first = lost[0]
    reason = first.note or "the content is not in this project's store"
    raise MaterialError(
        f"cannot restore `{first.name}`: what the run read of it was not kept"
        if first.note
        else f"cannot restore `{first.name}`: its recorded content is in no store",
        details=[
            ("recorded", f"{_short(first)}, {first.size:,} bytes, read as `{first.source or first.name}`"),
            ("reason", reason + (f"; so are {len(lost) - 1} more" if len(lost) > 1 else "")),
        ],
        hint=f"set `max-kept-bytes = {max(each.size for each in lost)}` in [tool.reproof] and run it again"
        if first.note
        else "pass `--store PATH`, or copy `.reproof/objects` from where the run was made",
    )


def lay_out_earlier(
    record: Record, store: DirectoryStore, uri: str, folder: Path, made: frozenset[str] = frozenset()
) -> None:
    """Put what a run read of earlier ones into the store of its re-run.

    Args:
        record: The recorded run.
        store: Its content.
        uri: Address of the re-run's MLflow store.
        folder: The folder of that store; the files go below it.
        made: Addresses of what earlier stages made again in this store.

    Raises:
        MaterialError: Content is missing, or that kind of store cannot be filled.
        TrackingError: The tables of the store are not those that are known.
    """
    section = record.tracked
    if section is None:
        return
    files = folder / _FILES
    for artifact in record.materials:
        root, path = split_address(artifact)
        if root and root not in made:
            _put(artifact, place_of(root, files), path, store)
    address = parse(uri, folder)
    if address.kind == "sqlite" and address.path is not None:
        add_to_store(address.path, section, files, made)
    elif section.versions or section.runs or section.models:
        raise MaterialError(
            "cannot re-create the run here: it read models or runs of MLflow, and this room can have no database for them",
            details=[("store", address.kind)],
            hint="pass `--trust` if you trust its code; in containers, and with mlflow-skinny, that is not possible yet",
        )


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder of plain files, so that writing to one never changes the other; links are left out."""
    remove_tree(target)
    target.mkdir(parents=True)
    for place, folders, names in os.walk(source):
        here = target / Path(place).relative_to(source)
        for name in folders:
            if not (Path(place) / name).is_symlink():
                (here / name).mkdir()
        for name in names:
            path = Path(place) / name
            if stat.S_ISREG(path.lstat().st_mode):
                copy_private(path, here / name)


def split_address(artifact: Artifact) -> tuple[str, str]:
    """The address of the run or model that a material belongs to, and the place below it."""
    if not artifact.is_tracked:
        return "", ""
    kind, _, rest = artifact.name.partition(":/")
    parts = rest.split("/")
    length = 1 if kind == "runs" or _LOGGED.fullmatch(parts[0]) else 2
    return f"{kind}:/{'/'.join(parts[:length])}", "/".join(parts[length:])


def _put(artifact: Artifact, folder: Path, path: str, store: DirectoryStore) -> None:
    target = folder / path
    if not path or not target.resolve().is_relative_to(folder.resolve()):
        raise MaterialError(f"cannot restore `{artifact.name}`: its place is not in the clean room")
    target.unlink(missing_ok=True)
    assert artifact.digest is not None  # see `require_kept`
    try:
        store.get(artifact.digest, target, 0o444)
    except StoreError as error:
        raise MaterialError(
            f"cannot restore `{artifact.name}`: {error.message}", details=error.details, hint=error.hint
        ) from error


def _short(artifact: Artifact) -> str:
    return artifact.digest.short if artifact.digest is not None else "no digest"
