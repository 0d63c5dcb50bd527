"""The materials of a run as MLflow datasets whose digest is that of their whole content."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable

from reproof.model.artifact import Artifact
from reproof.model.manifest import Row, make_manifest
from reproof.model.record import Record
from reproof.store.manifest import identity
from reproof.tracking.values import DatasetInput

#: Files in Git that are the program, not its data: the commit is in the run's tags.
_CODE = (
    ".py", ".pyi", ".ipynb", ".sh", ".toml", ".lock", ".cfg", ".ini", ".yaml", ".yml", ".md", ".dvc", "MLproject",
)  # fmt: skip
_MOST = 200  # datasets of one run; more would bury the others in the display
_LONGEST = 36
_DIGITS = 32  # MLflow keeps 36 characters of a digest: `b3:` and 128 bits

#: What MLflow's own digests of datasets are, for the tag that says so.
SAMPLED = "a label, not an identity: 32 bits of at most the first 10,000 rows or elements"


def datasets_of(record: Record) -> tuple[DatasetInput, ...]:
    """One dataset for each material that is data, one for each folder that DVC tracks.

    The digest is ``b3:`` and the first 32 digits of BLAKE3 over the whole content (``sha256:`` of what
    came from the web); the complete digests are tags. Of a folder it is that of the manifest of the files that were read.
    """
    alone: list[Artifact] = []
    folders: dict[str, list[Artifact]] = {}
    for artifact in record.materials:
        is_known = "blake3" in artifact.digests or (artifact.is_web and artifact.digests)
        if not is_known or artifact.kind != "file" or _is_code(artifact):
            continue
        folder = _folder(artifact)
        (alone if folder is None else folders.setdefault(folder, [])).append(artifact)
    found = [_file(artifact) for artifact in alone]
    found += [_many(folder, artifacts) for folder, artifacts in folders.items()]
    return tuple(sorted(found[:_MOST], key=lambda each: each.name))


def sampled_datasets(record: Record) -> str | None:
    """A line about the datasets that the code itself logged; None where it logged none."""
    own = dict.fromkeys(name for run in record.runs for name in run.datasets)
    return f"{', '.join(own)}: {SAMPLED}" if own else None


def _is_code(artifact: Artifact) -> bool:
    hidden = any(part.startswith(".") for part in artifact.name.split("/"))
    return artifact.origin in ("git", "captured") and (hidden or artifact.name.endswith(_CODE))


def _folder(artifact: Artifact) -> str | None:
    """The folder that DVC tracks as one and that this file is in; None for a file of its own."""
    source = artifact.source or ""
    if artifact.origin != "dvc" or not source.endswith(".dvc"):
        return None
    folder = source.removesuffix(".dvc")
    return folder if artifact.name.startswith(folder + "/") else None


def _file(artifact: Artifact) -> DatasetInput:
    digests = {f"reproof.{name}": value for name, value in artifact.digests.items()}
    if artifact.table is not None:
        digests |= {"reproof.table": artifact.table.digest, "reproof.rows": str(artifact.table.rows)}
    if "blake3" in artifact.digests:
        return _dataset(artifact.name, f"b3:{artifact.digests['blake3'][:_DIGITS]}", [artifact], digests)
    label = str(artifact.digest)[:_LONGEST]  # of what came from the web the process itself took a digest
    return _dataset(artifact.name, label, [artifact], digests)


def _many(folder: str, artifacts: list[Artifact]) -> DatasetInput:
    rows = [
        Row(
            posixpath.relpath(artifact.name, folder),
            "file",
            artifact.size,
            bool((artifact.mode or 0) & 0o100),
            artifact.digests["blake3"],
        )
        for artifact in artifacts
    ]
    value = identity(make_manifest(rows)).value
    return _dataset(
        folder,
        f"b3:{value[:_DIGITS]}",
        artifacts,
        {"reproof.manifest": value, "reproof.files": str(len(rows))},
    )


def _dataset(name: str, digest: str, artifacts: Iterable[Artifact], digests: dict[str, str]) -> DatasetInput:
    listed = list(artifacts)
    source = {"uri": name, **({"named_in": listed[0].source} if listed[0].source else {})}
    return DatasetInput(
        name=name[-500:],
        digest=digest,
        source=json.dumps(source),
        profile=json.dumps({"size_bytes": sum(artifact.size for artifact in listed)}),
        tags={"mlflow.data.context": "material", "reproof.origin": listed[0].origin, **digests},
    )
