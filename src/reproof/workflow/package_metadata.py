"""Metadata that an editable install leaves in the project's own tree: read by each program, ignored by Git.

Without it a re-run on another machine, or after a `git clean`, would lack an input that is no data of anyone's.
"""

from __future__ import annotations

import msgspec

from reproof.base.naming import Naming
from reproof.errors import StoreError
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore

_LARGEST = 1 << 20  # bytes; a list of files and some lines of text are far smaller


def keep_metadata(record: Record, naming: Naming, store: DirectoryStore) -> Record:
    """Put what the run read of ``*.egg-info`` folders of the project into the store, where it is not versioned.

    A file that cannot be kept, or is no longer what the run read, stays with its original place alone.

    Args:
        record: The record that is about to be written.
        naming: Where its files are.
        store: Receives their content.

    Returns:
        The record with those materials marked as kept.
    """
    materials = tuple(_kept(each, naming, store) if _is_metadata(each) else each for each in record.materials)
    return msgspec.structs.replace(record, materials=materials)


def _is_metadata(artifact: Artifact) -> bool:
    return (
        artifact.origin == "external"
        and not artifact.name.startswith(("/", "$"))
        and ".egg-info/" in artifact.name
        and artifact.size <= _LARGEST
        and not artifact.kept
    )


def _kept(artifact: Artifact, naming: Naming, store: DirectoryStore) -> Artifact:
    try:
        digest = store.put(naming.find_file(artifact.name))
    except (OSError, StoreError):
        return artifact
    return msgspec.structs.replace(artifact, kept=True) if digest == artifact.digest else artifact
