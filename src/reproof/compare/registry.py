"""Which comparator speaks for which content: one ordered table, then what others have installed.

Byte equality is checked first and wins; a comparator is only imported when both sides fit one of
its entries. Whatever a comparator does wrong ends here as UNKNOWN, never as a traceback.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from reproof.compare.bytewise import describe_bytes, equal_bytes
from reproof.compare.protocol import Comparator, ContentError, Context, Source
from reproof.model.difference import Difference, Outcome

GROUP = "reproof.comparators"
"""Entry point group in which other distributions name their comparator classes."""


@dataclass(frozen=True)
class Entry:
    """One line of the table: where a comparator is, and what content may be for it.

    A file fits when its bytes at `offset` start with one of `magics`, or its lower-case name ends
    with one of `suffixes`; a folder fits when it holds one of the `markers` (`.` is in each).
    `any_file` fits every file. The comparator itself then decides, by reading more.
    """

    kind: str
    target: str
    magics: tuple[bytes, ...] = ()
    offset: int = 0
    suffixes: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    any_file: bool = False

    def fits(self, source: Source) -> bool:
        """Whether `source` may be of this kind; imports nothing."""
        if source.is_folder:
            return any(each == "." or os.path.lexists(f"{source.path}/{each}") for each in self.markers)
        if self.any_file:
            return True
        if self.suffixes and source.name.lower().endswith(self.suffixes):
            return True
        return bool(self.magics) and source.head().startswith(self.magics, self.offset)


#: Ordered: the special before the general. The first whose comparator recognises both sides speaks.
TABLE: tuple[Entry, ...] = (
    Entry("mlmodel", "reproof.compare.mlflow_model:MlmodelComparator", suffixes=("mlmodel",)),
    Entry(
        "registered_model_meta",
        "reproof.compare.mlflow_model:RegisteredModelMetaComparator",
        suffixes=("registered_model_meta",),
    ),
    Entry(
        "requirements", "reproof.compare.requirements:RequirementsComparator", suffixes=("requirements.txt",)
    ),
    Entry(
        "conda",
        "reproof.compare.requirements:EnvironmentFileComparator",
        suffixes=("conda.yaml", "conda.yml", "python_env.yaml", "environment.yml"),
    ),
    Entry("png", "reproof.compare.images:PngComparator", magics=(b"\x89PNG\r\n\x1a\n",)),
    Entry("jpeg", "reproof.compare.images:JpegComparator", magics=(b"\xff\xd8\xff",)),
    Entry("pdf", "reproof.compare.pdf:PdfComparator", magics=(b"%PDF-",)),
    Entry("svg", "reproof.compare.svg:SvgComparator", magics=(b"<", b"\xef\xbb\xbf<"), suffixes=(".svg",)),
    Entry("csv", "reproof.compare.csv_tables:CsvComparator", suffixes=(".csv", ".tsv", ".tab", ".psv")),
    Entry("parquet", "reproof.compare.parquet:ParquetComparator", magics=(b"PAR1",)),
    Entry(
        "arrow",
        "reproof.compare.arrow_files:ArrowComparator",
        magics=(b"ARROW1\0\0", b"\xff\xff\xff\xff"),
    ),
    Entry("npy", "reproof.compare.arrays:NpyComparator", magics=(b"\x93NUMPY",)),
    Entry(
        "npz",
        "reproof.compare.arrays:NpzComparator",
        magics=(b"PK\x03\x04", b"PK\x05\x06"),
    ),
    Entry(
        "safetensors",
        "reproof.compare.safetensors:SafetensorsComparator",
        magics=(b"{",),
        offset=8,
        suffixes=(".safetensors",),
    ),
    Entry("jsonl", "reproof.compare.structured:JsonLinesComparator", suffixes=(".jsonl", ".ndjson")),
    Entry(
        "yaml",
        "reproof.compare.structured:YamlComparator",
        suffixes=(".yaml", ".yml", "mlmodel", "mlproject"),
    ),
    Entry("toml", "reproof.compare.structured:TomlComparator", suffixes=(".toml",)),
    Entry(
        "catboost-json",
        "reproof.compare.boosters.catboost:CatboostJsonComparator",
        suffixes=(".json",),
    ),
    Entry("ubjson", "reproof.compare.boosters.ubjson:UbjsonComparator", magics=(b"{",)),
    Entry(
        "lightgbm", "reproof.compare.boosters.lightgbm:LightgbmComparator", magics=(b"tree\n", b"tree\r\n")
    ),
    Entry("catboost", "reproof.compare.boosters.catboost:CatboostComparator", magics=(b"CBM1",)),
    Entry("notebook", "reproof.compare.notebooks:NotebookComparator", suffixes=(".ipynb",)),
    Entry(
        "json",
        "reproof.compare.structured:JsonComparator",
        magics=(b"{", b"[", b" ", b"\n", b"\t", b"\r"),
        suffixes=(".json", ".ipynb", ".geojson"),
    ),
    Entry(
        "torch-legacy",
        "reproof.compare.torch_files:LegacyTorchComparator",
        magics=(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46",),
    ),
    Entry(
        "pickle",
        "reproof.compare.pickles.comparator:PickleComparator",
        magics=(
            *(b"\x80" + bytes([protocol]) for protocol in (2, 3, 4, 5)),
            *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),  # zlib
            *(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x04\x22\x4d\x18"),
        ),
        suffixes=(".pkl", ".pickle", ".p", ".pck", ".joblib", ".sav", ".cloudpickle", ".dill"),
    ),
    Entry("gzip", "reproof.compare.compressed:GzipComparator", magics=(b"\x1f\x8b\x08",)),
    Entry("bzip2", "reproof.compare.compressed:Bzip2Comparator", magics=(b"BZh",)),
    Entry("xz", "reproof.compare.compressed:XzComparator", magics=(b"\xfd7zXZ\0",)),
    Entry("zstd", "reproof.compare.compressed:ZstdComparator", magics=(b"\x28\xb5\x2f\xfd",)),
    Entry(
        "tar", "reproof.compare.archives:TarComparator", magics=(b"ustar",), offset=257, suffixes=(".tar",)
    ),
    Entry("wheel", "reproof.compare.wheels:WheelComparator", suffixes=(".whl",)),
    Entry("hdf5", "reproof.compare.hdf5.comparator:Hdf5Comparator", magics=(b"\x89HDF\r\n\x1a\n",)),
    Entry("keras", "reproof.compare.keras_files:KerasComparator", magics=(b"PK\x03\x04",)),
    Entry("torch", "reproof.compare.torch_files:TorchComparator", magics=(b"PK\x03\x04",)),
    Entry("skops", "reproof.compare.skops:SkopsComparator", magics=(b"PK\x03\x04",)),
    Entry(
        "zip",
        "reproof.compare.archives:ZipComparator",
        magics=(b"PK\x03\x04", b"PK\x05\x06"),
        suffixes=(".zip", ".pyz"),
    ),
    Entry("folder", "reproof.compare.folders:FolderComparator", markers=(".",)),
    Entry("text", "reproof.compare.text:TextComparator", any_file=True),
    Entry("bytes", "reproof.compare.bytewise:BytesComparator", any_file=True),
)

_GENERAL = frozenset({"text", "bytes", "folder"})


def kinds() -> tuple[str, ...]:
    """The kinds that are known here, in the order in which they are tried, others' first."""
    return (*(comparator.name for comparator in _installed()[0]), *(entry.kind for entry in TABLE))


def comparator(kind: str) -> Comparator:
    """The comparator for `kind`; KeyError when there is none."""
    for other in _installed()[0]:
        if other.name == kind:
            return other
    return _load({entry.kind: entry for entry in TABLE}[kind].target)


def compare_sources(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    """Compare two files, folders or archive members by what they contain. Never raises.

    Args:
        expected: The recorded side.
        actual: The other side.
        subject: What the difference is about.
        context: Tolerance, limits, depth.

    Returns:
        IDENTICAL only when all bytes are equal.
    """
    try:
        before = _state(expected), _state(actual)
        found = _compare(expected, actual, subject, context)
        if (_state(expected), _state(actual)) != before:
            return unreadable(subject, "it changed while it was read")
    except (OSError, ContentError) as error:
        return unreadable(subject, f"it cannot be read: {_reason(error)}")
    except Exception as error:  # a broken installation, memory: no verdict is lost over one file
        return unreadable(subject, f"it cannot be compared: {type(error).__name__}: {_reason(error)}")
    return found


def recognized(expected: Source, actual: Source) -> Comparator:
    """The first comparator that takes both sides; in the end text or bytes take every two files.

    Raises:
        ContentError: One side is a folder and the other a file, or neither.
    """
    for each in _installed()[0]:
        if _says_yes(each, expected, actual):
            return each
    for entry in TABLE:
        if entry.fits(expected) and entry.fits(actual):
            loaded = _load(entry.target)
            if _says_yes(loaded, expected, actual):
                return loaded
    raise ContentError("no comparator is for it")


def _compare(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    if expected.is_folder is not actual.is_folder:
        words = ("a folder", "a file") if expected.is_folder else ("a file", "a folder")
        return Difference(
            subject=subject,
            outcome=Outcome.DIFFERENT,
            summary=f"was {words[0]}, is {words[1]}",
            kind="folder",
            expected=words[0],
            actual=words[1],
        )
    if not expected.is_folder and equal_bytes(expected, actual):
        return Difference(
            subject=subject,
            outcome=Outcome.IDENTICAL,
            summary=f"identical bytes ({expected.size:,})",
            kind="bytes",
        )
    if context.depth > context.limits.max_depth:
        return unreadable(subject, f"it lies deeper than {context.limits.max_depth} containers")
    speaker = recognized(expected, actual)
    if speaker.name in {"text", "bytes"}:
        return _general(speaker, expected, actual, subject, context)
    return _guarded(speaker, expected, actual, subject, context)


def _guarded(
    speaker: Comparator, expected: Source, actual: Source, subject: str, context: Context
) -> Difference:
    try:
        return _honest(speaker.compare(expected, actual, subject, context), speaker, expected)
    except ContentError as error:
        reason = _reason(error)
    except MemoryError:
        reason = "reading it takes more memory than there is"
    except RecursionError:
        reason = "it is nested too deeply"
    except Exception as error:
        reason = f"{type(error).__name__}: {_reason(error)}"
    if expected.is_folder:
        return unreadable(subject, f"cannot be compared as {speaker.name}: {reason}")
    plain = describe_bytes(expected, actual, subject)
    return Difference(
        subject=subject,
        outcome=Outcome.UNKNOWN,
        summary=f"bytes differ and cannot be compared as {speaker.name}: {reason}",
        kind=speaker.name,
        evidence={**plain.evidence, "reason": reason},
    )


def _honest(found: Difference, speaker: Comparator, expected: Source) -> Difference:
    """Bytes that differ are never IDENTICAL, and what is EQUIVALENT names what was set aside."""
    named = found.outcome > Outcome.EQUIVALENT or (
        found.outcome is Outcome.EQUIVALENT and found.canonicalisations
    )
    if expected.is_folder or named:
        return found
    from msgspec.structs import replace

    return replace(found, outcome=Outcome.EQUIVALENT, canonicalised=(f"{speaker.name} encoding",))


def _general(
    speaker: Comparator, expected: Source, actual: Source, subject: str, context: Context
) -> Difference:
    """Compare as text or bytes, and say so when the two sides are of two kinds."""
    found = _guarded(speaker, expected, actual, subject, context)
    was, now = _kind_of(expected), _kind_of(actual)
    if was == now:
        return found
    from msgspec.structs import replace

    return replace(
        found,
        outcome=max(found.outcome, Outcome.DIFFERENT),
        summary=f"was {was}, is {now}; {found.summary}",
        evidence={**found.evidence, "kinds": [was, now]},
    )


def _kind_of(source: Source) -> str:
    try:
        return recognized(source, source).name
    except (OSError, ContentError):
        return "bytes"


def _says_yes(candidate: Comparator, expected: Source, actual: Source) -> bool:
    try:
        return candidate.recognizes(expected, actual)
    except OSError:
        raise
    except Exception:
        return False


@functools.cache
def _load(target: str) -> Comparator:
    module, _, name = target.partition(":")
    return cast("Comparator", getattr(import_module(module), name)())


@functools.cache
def _installed() -> tuple[tuple[Comparator, ...], tuple[str, ...]]:
    """Comparators of other distributions, and the names of those that could not be loaded."""
    from importlib.metadata import entry_points

    loaded: list[Comparator] = []
    broken: list[str] = []
    for point in entry_points(group=GROUP):
        try:
            loaded.append(point.load()())
        except Exception as error:
            broken.append(f"{point.name} ({point.value}): {type(error).__name__}: {error}")
    return tuple(loaded), tuple(broken)


def broken_entry_points() -> tuple[str, ...]:
    """Comparators of other distributions that could not be loaded, and why."""
    return _installed()[1]


def _state(source: Source) -> tuple[int, int, int] | None:
    """What changes when somebody writes to a file or puts another in its place; None for others."""
    if source.path is None:
        return None
    facts = source.path.stat()
    return None if source.is_folder else (facts.st_ino, facts.st_size, facts.st_mtime_ns)


def unreadable(subject: str, reason: str) -> Difference:
    """UNKNOWN: why the content of `subject` cannot be compared."""
    return Difference(
        subject=subject,
        outcome=Outcome.UNKNOWN,
        summary=reason,
        kind="unreadable",
        evidence={"reason": reason},
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split())[:300] or type(error).__name__
