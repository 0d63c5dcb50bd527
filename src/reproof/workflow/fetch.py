"""Bringing the content that a record refers to, and that is not beside it, from elsewhere.

A record file alone is enough in the repository where the run was made. In another clone its lock
can come from the commit, and all that only the run had (a patch, untracked files, what it made)
from the `.reproof` folder there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reproof.base import git
from reproof.base.digesting import digest_bytes
from reproof.base.locations import FOLDER
from reproof.errors import ExecutionError, MaterialError, ProjectError
from reproof.model.artifact import Artifact
from reproof.model.digest import Digest
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore
from reproof.workflow.enclosures import needed_content, useful_content


def places_of(folders: Sequence[str]) -> tuple[str, ...]:
    """What a folder named by a user may stand for: itself, or a project that has stores of its own."""
    found = []
    for folder in map(Path, folders):
        inner = (folder / FOLDER, folder / ".dvc" / "cache")
        found += [str(folder), *(str(place) for place in inner if place.is_dir())]
    return tuple(dict.fromkeys(found))


def fetch_content(record: Record, store: DirectoryStore, top: Path, places: Sequence[str]) -> None:
    """Put into `store` what `record` refers to, as far as another place has it.

    Args:
        record: Whose content.
        store: Where it is looked for from now on.
        top: A repository that may have the recorded commit.
        places: Folders that may be stores of records.

    Raises:
        MaterialError: The environment or the work tree cannot be re-created: their description is
            in none of the places.
        StoreError: The content cannot be written.
    """
    if not git.has_commit(top, record.code.commit):
        return  # nothing else matters then, and whoever clones it says so
    others = [DirectoryStore(Path(place)) for place in places if (Path(place) / "objects/b3").is_dir()]
    lock = record.environment.lock
    for what, artifact in (*needed_content(record), *(("", each) for each in useful_content(record))):
        digest = artifact.digest
        if digest is None or digest.algorithm != "blake3" or digest in store:
            continue
        if _copy(digest, others, store) or not what:
            continue
        if (
            lock is None
            or artifact is not lock.artifact
            or not _take_from_commit(record, artifact, store, top)
        ):
            raise _missing(what, artifact, [store, *others])


def _copy(digest: Digest, others: Sequence[DirectoryStore], store: DirectoryStore) -> bool:
    """Copy an object from the first store that has it intact."""
    return any(digest in other and store.put(other.path(digest)) == digest for other in others)


def _take_from_commit(record: Record, lock: Artifact, store: DirectoryStore, top: Path) -> bool:
    """Take the lock from the commit, where it is a file of the project as it stands."""
    path = f"{record.project.subdirectory}/{lock.name}".lstrip("/")
    try:
        data = git.git_bytes(top, "show", f"{record.code.commit}:{path}")
    except (ProjectError, ExecutionError):
        return False
    if digest_bytes(data)["blake3"] != lock.digests.get("blake3"):
        return False
    store.put_bytes(data)
    return True


def _missing(what: str, artifact: Artifact, stores: Sequence[DirectoryStore]) -> MaterialError:
    return MaterialError(
        f"cannot re-create the run: no store has {what}",
        details=[
            (
                "recorded",
                f"{artifact.digest.short if artifact.digest else 'no digest'}, {artifact.size:,} bytes",
            ),
            ("searched", ", ".join(f"`{store.root}`" for store in stores)),
        ],
        hint="pass `--store PATH`, PATH being the project where the run was made, or its `.reproof`",
    )
