"""What the child tells about itself: one JSON object a line, appended as it happens.

Everything here is *self-reported* by the user's process. The writers live in `injected/`, which
shares no code with this module; a contract test runs them against this decoder. The tag is the
field ``k``; ``p`` is the process id and ``t`` seconds since the epoch.
"""

from __future__ import annotations

import msgspec


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="k"):
    """Base of all lines: ``p`` process id, ``t`` time in seconds since the epoch."""

    p: int
    t: float = 0.0


class Booted(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="boot"):
    """A Python process began; also written by a forked child (`fork` true)."""

    parent: int
    argv: tuple[str, ...] = ()
    executable: str = ""
    version: str = ""
    prefix: str = ""
    fork: bool = False
    via: str = ""


class Ended(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="end"):
    """A Python process reached its end in order (a killed one writes none)."""

    modules: tuple[str, ...] = ()
    native: tuple[str, ...] = ()


class Opened(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="open"):
    """A file was to be opened (it may not exist), once for each path, mode and process.

    `mode` is ``r``, ``w`` or ``rw``. One line may tell of many: `path`, which is absolute, then all of
    `paths`, those that are relative from `folder`. Bytes that are not UTF-8 are spelled out.
    """

    path: str = ""
    mode: str = "r"
    paths: tuple[str, ...] = ()
    folder: str = ""


class Connected(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="connect"):
    """A socket was connected, or an address asked for; ``host:port``."""

    address: str


class Fetched(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="url"):
    """What an address of the web answered, as it came over the connection.

    `url` is what was asked for first, without fragment; `part` the Content-Range of a part; `whole` is
    false when it was not read to its end. `where` is the place in the user's code.
    """

    url: str
    sha256: str = ""
    size: int = 0
    whole: bool = True
    part: str = ""
    where: str = ""


class Stored(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="object"):
    """An object of a bucket was read, as far as the store and the bytes that came say.

    `scheme` is ``s3``, ``gs`` or ``az``. `version` is empty where the bucket keeps none, of Google's it is the
    generation; `sha256` where it is not known; `part` the Content-Range of a part; `whole` false where not all of
    it was seen to come. `endpoint` is the store's address, but for the usual one.
    """

    bucket: str
    key: str
    scheme: str = "s3"
    version: str = ""
    etag: str = ""
    sha256: str = ""
    size: int = 0
    whole: bool = True
    part: str = ""
    endpoint: str = ""
    where: str = ""


class Started(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="spawn"):
    """A program was started: `argv`; `child` its process id where known."""

    argv: tuple[str, ...] = ()
    child: int | None = None


class Applied(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="applied"):
    """reproof seeded a generator or set a switch: ``random``, ``numpy.random``."""

    what: str
    value: str = ""


class Seeded(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="seeded"):
    """The user's code seeded a generator at `where` (``${PROJECT}/train.py:12``).

    Through a package at its place `inside`, if that is not empty.
    """

    what: str
    where: str = ""
    value: str = ""
    inside: str = ""


class Switched(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="switch"):
    """A switch of a library was set to `value`: by the user's code at `where`, else by reproof."""

    what: str
    value: str = ""
    where: str = ""
    inside: str = ""


class Answered(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="answer"):
    """What a library said of itself at the end of a process; with `where`, right after being seeded there."""

    what: str
    value: str = ""
    where: str = ""


class Pooled(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="pool"):
    """A library for linear algebra or threads that the process had loaded said what it is.

    `path` as the kernel maps it; `layer` is what its threads are made with, `architecture` the kind of
    processor that its kernels are for.
    """

    path: str
    kind: str
    version: str = ""
    layer: str = ""
    architecture: str = ""
    threads: int = 0


class Drew(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="drew"):
    """Entropy of the system was drawn at `where`, or a generator that nobody had seeded was used.

    By a package at its place `inside`, if that is not empty; `importing` when that was still on its way
    in, so that it is a default that the package keeps for itself. `control` is ``controlled``,
    ``uncontrolled`` or ``harmless``; `by` says under whose control (``seed``, ``stream``: reproof's,
    ``code``: the program's own seed), or why it is harmless. `package` is the one around `inside`.
    `concurrent`: in a worker, or not in the first thread.
    """

    what: str
    where: str = ""
    inside: str = ""
    importing: bool = False
    control: str = "uncontrolled"
    by: str = ""
    package: str = ""
    concurrent: bool = False


class Draws(Drew, frozen=True, kw_only=True, omit_defaults=True, tag="draws"):
    """At the end of a process: `count` more draws than were told of, and what has become of `control`."""

    count: int = 0


class Failed(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="failed"):
    """A hook could not do its work; becomes an omission."""

    subject: str
    reason: str


class RunOpened(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.run"):
    """An MLflow run was created (or resumed, `resumed` true) in the store `uri`.

    `primary` marks the first one that any process of the whole run opened.
    """

    run: str
    uri: str = ""
    experiment: str = ""
    experiment_id: str = ""
    name: str | None = None
    parent: str | None = None
    artifact_uri: str = ""
    resumed: bool = False
    primary: bool = False


class RunClosed(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.close"):
    """An MLflow run was set to a final status; `at_exit` by MLflow itself, when the process ended."""

    run: str
    status: str = ""
    at_exit: bool = False


class MetricLogged(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.metric"):
    """A metric, exactly as given: `value` is float.hex, ``nan``, ``nan:<16 hex digits>``, ``inf`` or ``-inf``."""

    run: str
    key: str
    value: str
    step: int = 0
    model: str | None = None


class ParameterLogged(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.param"):
    """A parameter, its value as ``str`` before the store truncates it."""

    run: str
    key: str
    value: str


class TagSet(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.tag"):
    """A tag set by the code."""

    run: str
    key: str
    value: str


class DatasetLogged(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.dataset"):
    """A dataset given to `mlflow.log_input`; its digest is MLflow's own, sampled."""

    run: str
    name: str = ""
    digest: str = ""
    source: str = ""
    context: str = ""


class ArtifactLogged(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.artifact"):
    """A file was logged. `path` is its place among the artifacts of `run` (or of `model`).

    `copy` is the file, below the folder that the variable REPROOF_ARTIFACTS named, that holds the
    bytes as they were logged; empty when it was too large to keep, and then `size` and `sha256` are
    all there is. A file logged twice under one path has two lines; the later one counts.
    """

    run: str = ""
    model: str | None = None
    path: str
    copy: str = ""
    size: int = 0
    sha256: str = ""


class ModelCreated(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.model"):
    """A logged model (MLflow 3) was created; `model` is its id."""

    model: str
    name: str = ""
    run: str = ""


class VersionRegistered(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.registered"):
    """The code made a version of a registered model."""

    name: str
    version: str


class VersionRead(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.read.version"):
    """The code asked a registry for a version of a model: see :class:`reproof.model.tracked.ReadVersion`.

    `searched` when it came out of a search; `location` is where its files are.
    """

    name: str
    version: str
    uri: str = ""
    aliases: tuple[str, ...] = ()
    latest: bool = False
    searched: bool = False
    stage: str = ""
    source: str = ""
    location: str = ""
    run: str | None = None
    model: str | None = None
    status: str = "READY"
    description: str = ""
    created: int = 0
    tags: dict[str, str] = {}


class RunRead(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.read.run"):
    """The code asked for a run; `metrics` are key, exact value, step and milliseconds since the epoch."""

    run: str
    uri: str = ""
    experiment: str = ""
    experiment_id: str = ""
    name: str = ""
    status: str = ""
    started: int = 0
    ended: int | None = None
    searched: bool = False
    tags: dict[str, str] = {}
    parameters: dict[str, str] = {}
    metrics: tuple[tuple[str, str, int, int], ...] = ()


class ModelRead(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.read.model"):
    """The code asked for a logged model (MLflow 3)."""

    model: str
    uri: str = ""
    name: str = ""
    run: str | None = None
    experiment: str = ""
    experiment_id: str = ""
    type: str = ""
    status: str = "READY"
    created: int = 0
    searched: bool = False
    tags: dict[str, str] = {}
    parameters: dict[str, str] = {}


class ArtifactRead(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.read.file"):
    """A file of a run or model was fetched, or read where it lies.

    `root` is ``runs:/ID``, ``models:/m-ID`` or ``models:/NAME/VERSION``, `path` the place below it,
    `asked` the address that the code gave, `place` where the file was for the code. `copy`, `size`
    and `sha256` as in :class:`ArtifactLogged`.
    """

    root: str
    path: str
    asked: str = ""
    place: str = ""
    copy: str = ""
    size: int = 0
    sha256: str = ""


class Redirected(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.redirect"):
    """In the clean room the code named the store `address`; it was given the room's own."""

    address: str
    where: str = ""


class Versioned(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="ml.version"):
    """MLflow was imported: its version, and the tracking address that it resolved to."""

    version: str
    uri: str = ""


AnyObservation = (
    Booted
    | Ended
    | Opened
    | Connected
    | Fetched
    | Stored
    | Started
    | Applied
    | Seeded
    | Switched
    | Answered
    | Pooled
    | Drew
    | Draws
    | Failed
    | RunOpened
    | RunClosed
    | MetricLogged
    | ParameterLogged
    | TagSet
    | DatasetLogged
    | ArtifactLogged
    | ModelCreated
    | VersionRegistered
    | VersionRead
    | RunRead
    | ModelRead
    | ArtifactRead
    | Redirected
    | Versioned
)
