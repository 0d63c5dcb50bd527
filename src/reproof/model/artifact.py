"""A named file or tree with a digest: the unit of materials and products."""

from __future__ import annotations

from typing import Literal

import msgspec

from reproof.model.digest import Digest
from reproof.model.table import TableDigest

Kind = Literal["file", "directory", "symlink"]

#: Where an artifact's content comes from. Materials: `git` (in the commit), `dvc` (named by a
#: .dvc file), `captured` (kept in our store), `external` (only at its place), `mlflow`, `stage` (made
#: by an earlier stage of the pipeline, and kept in our store).
#: Products: `tree` (found by comparing the project before and after), `declared`, `dvc`, `mlflow`.
Origin = Literal["git", "dvc", "captured", "external", "mlflow", "tree", "declared", "stage"]


class Artifact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file, symlink or tree, identified by content.

    Attributes:
        name: ``data/bikes.csv`` below the project; ``${HOME}/...`` or an absolute path outside;
            ``mlflow/artifacts/plot.png`` or ``mlflow/models/NAME/MLmodel`` for what was logged;
            an address of the web for what was read there, ``s3://BUCKET/KEY`` (or ``gs``, ``az``) for an
            object; ``models:/NAME/VERSION/PATH`` or ``runs:/ID/PATH`` for what was read of an earlier run in MLflow.
        digests: Algorithm to value; ``blake3`` is the identity, ``md5`` stands beside it where
            DVC names the content. Empty when the content could not be read.
        size: Bytes; of a directory the sum of its files.
        kind: File, directory or symlink.
        origin: Where the content comes from.
        mode: Permission bits (``0o644``), None where they are unknown.
        target: Where a symlink points to; of a file that was read through one within HOME, where its
            content lies, relative to the symlink.
        source: The address or file that names the content: ``data/bikes.csv.dvc``, a URL.
        kept: The content itself is in our store.
        table: What it holds, where it is a table.
        version: Of an object in a bucket that keeps versions: which one.
        etag: Of an object in a bucket: the store's own name for its content.
        note: What is worth knowing about this artifact (``opened by an unknown process``).
    """

    name: str
    digests: dict[str, str] = {}
    size: int = 0
    kind: Kind = "file"
    origin: Origin = "tree"
    mode: int | None = None
    target: str | None = None
    source: str | None = None
    kept: bool = False
    table: TableDigest | None = None
    version: str | None = None
    etag: str | None = None
    note: str | None = None

    @property
    def is_web(self) -> bool:
        """Whether it was read from an address of the web, or a bucket: there is no file of this name."""
        return self.name.startswith(("http://", "https://", "s3://", "gs://", "az://"))

    @property
    def is_tracked(self) -> bool:
        """Whether it was read from a run or a registered model of MLflow: its name is an address there."""
        return self.origin == "mlflow" and self.name.startswith(("models:/", "runs:/"))

    @property
    def has_place(self) -> bool:
        """Whether its name is that of a file."""
        return not (self.is_web or self.is_tracked)

    @property
    def digest(self) -> Digest | None:
        """The identity of the content: BLAKE3 where known, else any digest, else None."""
        for algorithm in ("blake3", "sha256", "md5"):
            if algorithm in self.digests:
                return Digest(algorithm, self.digests[algorithm])
        return None
