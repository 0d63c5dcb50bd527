"""A project's store, which gets nothing for good from an explanation: mixtures of files are only needed meanwhile."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from reproof.base.digesting import digest_bytes, digest_file
from reproof.errors import StoreError
from reproof.model.digest import Digest
from reproof.store.directory import DirectoryStore


class Loan(DirectoryStore):
    """The store at `root`; what is put into it is removed again by :meth:`end`, unless it was there before."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._added: set[Digest] = set()

    def put(self, path: Path) -> Digest:
        """Keep the content of a file for a while."""
        self._note(Digest("blake3", digest_file(path)["blake3"]))
        return super().put(path)

    def put_bytes(self, data: bytes) -> Digest:
        """Keep `data` for a while."""
        self._note(Digest("blake3", digest_bytes(data)["blake3"]))
        return super().put_bytes(data)

    def end(self) -> None:
        """Remove what was added."""
        for digest in self._added:
            with suppress(StoreError):
                self.remove(digest)
        self._added.clear()

    def _note(self, digest: Digest) -> None:
        if digest not in self:
            self._added.add(digest)
