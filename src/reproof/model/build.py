"""A build that can be made again: what went in, what came out, and what was proven about it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reproof.model.difference import Difference

SCHEMA = "reproof/buildinfo/1"

#: How two builds relate. ``identical``: same bytes with everything varied that could be. ``controlled``: same
#: bytes as long as what the build holds itself (masks, zones, seeds) is held. ``different``: not the same.
Grade = Literal["identical", "controlled", "different"]


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was built.

    Attributes:
        name: Name of the file; of an image, its name.
        kind: What it is.
        size: Bytes; 0 for an image.
        sha256: Digest of the file, or id of the image, in hexadecimal.
        adjusted: What was rewritten after the backend had ended, each in words.
        layers: Digests of the uncompressed layers of an image, lowest first.
    """

    name: str
    kind: Literal["wheel", "sdist", "image"]
    size: int = 0
    sha256: str = ""
    adjusted: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


class DirtyTree(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a build took that no commit has.

    Attributes:
        patch: sha256 of the difference to the commit, as Git writes it.
        changed: Names of changed files, relative to the top of the repository.
        untracked: Name to sha256 of the files that Git does not track.
    """

    patch: str
    changed: tuple[str, ...] = ()
    untracked: dict[str, str] = {}


class BuildSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was built.

    Attributes:
        commit: Full id.
        tree: Id of the commit's tree.
        address: Address of the remote, without credentials.
        subdirectory: Folder of the project below the top of the repository; empty for the top.
        dirty: What was taken beyond the commit.
    """

    commit: str
    tree: str
    address: str | None = None
    subdirectory: str = ""
    dirty: DirtyTree | None = None


class BuildTools(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What built it: each part is an input, because another version may write other bytes.

    Attributes:
        backend: The backend as pyproject.toml names it, or the program that built an image.
        requirements: Lock of the build requirements, a requirements file with hashes.
        locked_by: File of the project that locks them; None where it was the resolution of the day.
        python: Full version of Python.
        python_build: Its build and compiler.
        platform: As Python names it.
        programs: Name to version of further programs and libraries that wrote bytes.
    """

    backend: str
    requirements: str = ""
    locked_by: str | None = None
    python: str = ""
    python_build: str = ""
    platform: str = ""
    programs: dict[str, str] = {}


class NotExercised(msgspec.Struct, frozen=True):
    """A variation that could not be had, and why."""

    name: str
    reason: str


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why two builds differ, proven by varying that one thing.

    Attributes:
        name: Short name, as docs/builds.md explains it.
        factor: What was varied; empty where it was seen without a further build.
        files: What differs because of it, ``archive: member``.
        words: What happens.
        remedy: What to do about it.
        held: The controlled build keeps this from happening.
    """

    name: str
    factor: str = ""
    files: tuple[str, ...] = ()
    words: str = ""
    remedy: str = ""
    held: bool = False


class BuildInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The document beside what was built: enough to make it again.

    Attributes:
        schema: Name and version of this form.
        source: What was built.
        tools: What built it.
        source_date_epoch: Seconds since 1970 that stand for the time of the build.
        outputs: What came out.
        grade: What was proven.
        exercised: What the second build varied.
        not_exercised: What it could not vary.
        causes: What the result depends on although the build holds it.
        conditions: What limits the proof.
        options: Choices that decide what is built: base of an image, byte code.
    """

    schema: str = SCHEMA
    source: BuildSource
    tools: BuildTools
    source_date_epoch: int
    outputs: tuple[Output, ...] = ()
    grade: Grade = "identical"
    exercised: tuple[str, ...] = ()
    not_exercised: tuple[NotExercised, ...] = ()
    causes: tuple[Cause, ...] = ()
    conditions: tuple[str, ...] = ()
    options: dict[str, Any] = {}


class BuildReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `reproof build` found out.

    Attributes:
        project: Name of what was built.
        info: The document; written only where the grade is not ``different``.
        folder: Where the outputs were put; empty where they were not.
        document: Name of the document there.
        causes: Why the builds differ, or would without what is held.
        findings: Faults of the project that were seen without a further build.
        difference: How the outputs differ, for the grade ``different``, and of a check.
        seconds: Name to seconds of the parts of the work.
        checked: The outputs were compared with a document or file of before.
        builds: How many builds were made.
    """

    project: str
    info: BuildInfo
    folder: str = ""
    document: str = ""
    causes: tuple[Cause, ...] = ()
    findings: tuple[Cause, ...] = ()
    difference: Difference | None = None
    seconds: dict[str, float] = {}
    checked: str = ""
    builds: int = 2

    @property
    def grade(self) -> Grade:
        """What was proven."""
        return self.info.grade
