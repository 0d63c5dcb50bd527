"""Caches of models and data sets that libraries keep for a user: where they are, and what of them belongs together.

Libraries written in C++ and Rust (safetensors, tokenizers, Arrow) open such files past Python, so their
folders are watched as the project's is. Layout of a repository in the cache of the Hugging Face hub
(huggingface_hub's guide "Understand caching")::

    models--ORG--NAME/refs/main                     the commit that a name stood for
    models--ORG--NAME/snapshots/COMMIT/config.json  a symlink to
    models--ORG--NAME/blobs/DIGEST                  the content
    models--ORG--NAME/.no_exist/COMMIT/FILE         an empty file: the hub was asked, and has no such file
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: Variables that say where caches are.
VARIABLES = (
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "TRANSFORMERS_CACHE",
    "HF_DATASETS_CACHE",
    "HF_ASSETS_CACHE",
    "SENTENCE_TRANSFORMERS_HOME",
    "TORCH_HOME",
    "NLTK_DATA",
    "SCIKIT_LEARN_DATA",
    "SEABORN_DATA",
    "KERAS_HOME",
    "TFHUB_CACHE_DIR",
    "TFDS_DATA_DIR",
    "GENSIM_DATA_DIR",
    "STANZA_RESOURCES_DIR",
)
#: Variables that tell libraries to be content with what the cache has.
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")

_IN_HOME = (
    "nltk_data",
    "scikit_learn_data",
    "seaborn-data",
    "gensim-data",
    "stanza_resources",
    ".keras",
    "tensorflow_datasets",
)
_IN_CACHE = ("huggingface", "torch", "keras", "seaborn", "clip", "whisper", "open_clip")
_REPOSITORY = re.compile(
    r"(.*/(?:models|datasets|spaces|kernels)--[^/]+)/(refs|snapshots|blobs|\.no_exist)/(.+)"
)
#: Files of `torch.hub`: the last eight digits of a name are those of the content's SHA-256.
_CHECKPOINT = re.compile(r".*/hub/checkpoints/[^/]+-[0-9a-f]{8,}\.[^/]+")

#: What is not watched in a cache: locks, and what is still on its way.
UNWATCHED = (".locks/", "*.lock", "*.incomplete")


def places(env: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """The folders of caches that are there, none within another.

    Args:
        env: Variables of the run.
        home: Its HOME.
    """
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
    named = [
        Path(part)
        for name in VARIABLES[1:]
        for part in (env.get(name) or "").split(os.pathsep if name == "NLTK_DATA" else "\0")
    ]
    usual = [*(home / name for name in _IN_HOME), *(cache / name for name in _IN_CACHE)]
    found: list[Path] = []
    for folder in sorted({each.expanduser() for each in (*usual, *named) if str(each) != "."}):
        inner = any(folder.is_relative_to(outer) for outer in found)
        if folder.is_absolute() and not inner and not home.is_relative_to(folder) and folder.is_dir():
            found.append(folder)
    return tuple(found)


def is_versioned(path: str) -> bool:
    """Whether the file is named by its content or its version, so that it appears whole and then stays.

    Such a file that came during the run was fetched, not made or changed by it.
    """
    return _REPOSITORY.fullmatch(path) is not None or _CHECKPOINT.fullmatch(path) is not None


def is_of_hub(path: str) -> bool:
    """Whether the file, given by path or name, is of a repository in the cache of the Hugging Face hub."""
    return _REPOSITORY.fullmatch(path) is not None


def belonging(reported: Iterable[str], opened: Iterable[str]) -> set[str]:
    """Files of caches that the run read or needs, besides those that its processes told of.

    Args:
        reported: Absolute paths that Python processes of the run opened for reading.
        opened: Absolute paths of cached files that some program opened. Those count that lie in a folder
            (or a repository of the hub) of which the run's own processes read something: a cache is shared
            with whatever else runs on the machine.

    Returns:
        Absolute paths; of a blob the names in the snapshots that were in use, and the notes that a
        file does not exist.
    """
    revisions: dict[str, set[str]] = {}
    folders: set[str] = set()
    for path in reported:
        match = _REPOSITORY.fullmatch(path)
        if match is None:
            folders.add(posixpath.dirname(path))
            continue
        known = revisions.setdefault(match[1], set())
        if match[2] == "snapshots":
            known.add(match[3].partition("/")[0])
    found: set[str] = set()
    blobs: dict[str, set[str]] = {}
    for path in opened:
        match = _REPOSITORY.fullmatch(path)
        if match is None:
            if posixpath.dirname(path) in folders:
                found.add(path)
        elif match[1] in revisions and match[2] == "blobs":
            blobs.setdefault(match[1], set()).add(path)
        elif match[1] in revisions:
            found.add(path)
    for repository, known in revisions.items():
        found.update(_links(repository, known, blobs.get(repository, set())))
        for revision in known:
            found.update(_files(f"{repository}/.no_exist/{revision}"))
    return found


def _links(repository: str, revisions: set[str], blobs: set[str]) -> Iterator[str]:
    """Names of these blobs in the snapshots; of blobs that have none, themselves."""
    bare = set(blobs)
    snapshots = f"{repository}/snapshots"
    for folder in [f"{snapshots}/{each}" for each in sorted(revisions)] or [snapshots]:
        for path in _files(folder) if blobs else ():
            target = content_of(path, repository)
            if target is not None and (target := _joined(path, target)) in blobs:
                bare.discard(target)
                yield path
    yield from bare


def _files(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (f"{place}/{name}" for name in names)


def content_of(path: str, folder: str) -> str | None:
    """Where the content of a symlink to a file lies, relative to the symlink.

    Args:
        path: Absolute path of what was opened.
        folder: The content must lie below it, and may not be reached by further links.

    Returns:
        The target; None where `path` is no such symlink.
    """
    try:
        target = str(Path(path).readlink())
    except OSError:
        return None
    place = _joined(path, target)
    inside = place.startswith(f"{folder.rstrip('/')}/")
    return target if not target.startswith("/") and inside and not Path(place).is_symlink() else None


def _joined(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
