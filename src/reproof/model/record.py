"""The full evidence of one run. Schema `reproof/record/1`; its id is the sha256 of its bytes.

The words materials, products and byproducts are those of in-toto links.
"""

from __future__ import annotations

from typing import Literal

from reproof.model.artifact import Artifact
from reproof.model.conda import CondaPackage
from reproof.model.randomness import RandomnessSection
from reproof.model.section import Section
from reproof.model.stages import PipelineSection, StageSection
from reproof.model.tracked import TrackedSection

SCHEMA = "reproof/record/1"


class Omission(Section, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was not captured, and why.

    Attributes:
        hides_results: Part of the result itself may be missing from the record: no verdict may
            then say that the result came out the same.
    """

    subject: str
    reason: str
    hides_results: bool = False


class Tool(Section, frozen=True, kw_only=True, omit_defaults=True):
    """The program that made the record."""

    name: str = "reproof"
    version: str = ""


class ProjectSection(Section, frozen=True, kw_only=True, omit_defaults=True):
    """What was run.

    Attributes:
        name: Name from MLproject, else of the folder.
        subdirectory: The project's folder below the top of the repository; empty for the top.
        entry_point: Name in MLproject or script; None for a plain command.
        parameters: Values by name, as given (declared defaults filled in).
        command: The rendered command as handed to the shell, or the argv joined with quoting.
        argv: Program and arguments, with the environment's own paths left out.
        shell: True when `command` is run by ``bash -c``.
        mlproject: Text of the MLproject file, None without one.
        experiment: Experiment name asked for, or from the settings.
        run_name: Run name asked for.
        path_parameters: Names of the parameters of type path.
    """

    name: str
    subdirectory: str = ""
    entry_point: str | None = None
    parameters: dict[str, str] = {}
    command: str
    argv: tuple[str, ...] = ()
    shell: bool = True
    mlproject: str | None = None
    experiment: str | None = None
    run_name: str | None = None
    path_parameters: tuple[str, ...] = ()


class Submodule(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A Git submodule at the commit that was checked out."""

    path: str
    commit: str
    url: str | None = None


class CodeSection(Section, frozen=True, kw_only=True, omit_defaults=True):
    """Which code ran.

    Attributes:
        commit: Full id of HEAD.
        tree: Tree id of that commit.
        branch: Branch name, None when HEAD is detached.
        remote: Address of the remote without user part or token.
        dirty: Whether anything differed from the commit.
        patch: Artifact of ``git diff --binary HEAD`` (kept in the store), None when clean.
        untracked: Untracked files that Git does not ignore, kept in the store.
        submodules: Submodules and their commits.
        unpushed: No remote-tracking branch contains the commit.
        checkout: Git's settings that decide which bytes it writes (line endings, symlinks).
    """

    commit: str
    tree: str
    branch: str | None = None
    remote: str | None = None
    dirty: bool = False
    patch: Artifact | None = None
    untracked: tuple[Artifact, ...] = ()
    submodules: tuple[Submodule, ...] = ()
    unpushed: bool = False
    checkout: dict[str, str] = {}


class PythonBuild(Section, frozen=True, kw_only=True, omit_defaults=True):
    """An interpreter: enough to find the same one again, and to see when it is another."""

    version: str
    implementation: str = "cpython"
    build: str = ""
    compiler: str = ""
    platform: str = ""
    executable: str = ""


class Distribution(Section, frozen=True, kw_only=True, omit_defaults=True):
    """An installed distribution.

    Attributes:
        name: Normalised name.
        version: Version.
        record: Digest of what its RECORD lists (names and digests of its files, without scripts, bytecode
            and notes of the installer): the same wherever it is installed. None where it has none.
        editable: Installed as a link to a source tree.
        source: Where it came from other than an index (Git address, path), without secrets.
    """

    name: str
    version: str
    record: str | None = None
    editable: bool = False
    source: str | None = None


class NativeLibrary(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A shared library that the run really loaded.

    Attributes:
        path: ``${ENV}/...`` within the environment, else absolute.
        size: Bytes.
        build_id: GNU build id, hexadecimal.
        digest: sha256 where the file is outside the environment.
        package: Owning system package and version, where known.
        kind: ``OpenBLAS``, ``MKL``, ``BLIS``, or whose OpenMP; None for any other library.
        version: As such a library says itself.
        layer: What its threads are made with.
        architecture: The kind of processor that its kernels are for; last bits of results depend on it.
        threads: The most that a process of the run had in it.
    """

    path: str
    size: int = 0
    build_id: str | None = None
    digest: str | None = None
    package: str | None = None
    kind: str | None = None
    version: str | None = None
    layer: str | None = None
    architecture: str | None = None
    threads: int | None = None

    @property
    def said(self) -> str:
        """What it says of itself, for people; empty for a library that says nothing."""
        parts = (f"{self.kind or ''} {self.version or ''}".strip(), self.layer, self.architecture)
        count = f"{self.threads} thread{'' if self.threads == 1 else 's'}" if self.threads else None
        return ", ".join(part for part in (*parts, count) if part)


class Lock(Section, frozen=True, kw_only=True, omit_defaults=True):
    """The exact set of distributions an environment is made from.

    Attributes:
        format: ``requirements`` (hash-locked) or ``uv.lock`` / ``pylock.toml``.
        source: The project file that it comes from.
        artifact: The text itself, kept in the store.
        resolved: True when the project had no hashes and the resolution was made for this run.
        unhashed: Entries that could not be locked by hash, and why.
    """

    format: str
    source: str
    artifact: Artifact
    resolved: bool = False
    unhashed: tuple[str, ...] = ()


class Volume(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A folder or file that was shown in a container.

    Attributes:
        source: Its name on the machine, as those of artifacts: below the top, ``${HOME}/...`` or absolute.
        target: Its path in the container.
        writable: The run could change it.
    """

    source: str
    target: str
    writable: bool = True


class Image(Section, frozen=True, kw_only=True, omit_defaults=True):
    """The container image that a run was made in.

    Attributes:
        reference: The name that the project gives it.
        id: Digest of its configuration, which names all of its layers: the same image everywhere.
        digest: Digest of its manifest in a registry; None where it came from none.
        built_from: Text of the Dockerfile that it was built from for this run, kept in the store.
        volumes: What was shown in it besides the project.
        user: User and group id that the run had; None for the image's own.
    """

    reference: str
    id: str
    digest: str | None = None
    built_from: Artifact | None = None
    volumes: tuple[Volume, ...] = ()
    user: str | None = None


class RunIsolation(Section, frozen=True, kw_only=True, omit_defaults=True):
    """How a run was kept apart from the machine: `reproof run --isolation`.

    Attributes:
        level: ``process``, ``bubblewrap`` or ``docker``.
        network: Whether it could reach the network.
        reason: Why the level is no better, where the best was asked for.
    """

    level: Literal["none", "process", "bubblewrap", "docker"]
    network: bool = False
    reason: str = ""


class EnvironmentSection(Section, frozen=True, kw_only=True, omit_defaults=True):
    """Which interpreter and packages ran.

    Attributes:
        kind: ``uv`` (made by us), ``docker`` (an image), ``local`` (the user's own), ``none`` (no Python
            environment).
        python: The interpreter.
        lock: What it was made from; None for the user's own.
        distributions: Everything installed.
        native: Shared libraries loaded by the child and its children.
        variables: Values of the variables on the allow-list.
        variable_names: Names of all other variables that were set, never their values.
        disagreements: Lock files that say something else than what was used.
        image: The container image; None outside of one.
        umask: Permission bits that new files do not get, as ``0022``; empty where it is not known.
        isolation: How the run was kept apart; None where it was not.
        conda: Packages of Conda, where the user's own environment is one of Conda's.
    """

    kind: Literal["uv", "docker", "local", "none"] = "none"
    python: PythonBuild | None = None
    lock: Lock | None = None
    distributions: tuple[Distribution, ...] = ()
    native: tuple[NativeLibrary, ...] = ()
    variables: dict[str, str] = {}
    variable_names: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()
    image: Image | None = None
    umask: str = ""
    isolation: RunIsolation | None = None
    conda: tuple[CondaPackage, ...] = ()


class HardwareSection(Section, frozen=True, kw_only=True, omit_defaults=True):
    """The machine. `host` is a keyed pseudonym, equal only for runs on the same host."""

    host: str = ""
    system: str = ""
    kernel: str = ""
    libc: str = ""
    cpu_model: str = ""
    cpu_flags: tuple[str, ...] = ()
    cpus: int = 0
    affinity: int = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()
    gpu_driver: str | None = None


class Metric(Section, frozen=True, kw_only=True, omit_defaults=True):
    """One logged value. `value` is `float.hex` (or ``nan``/``nan:PAYLOAD``, ``inf``, ``-inf``): exact."""

    run: int = 0
    key: str
    step: int = 0
    value: str


class Parameter(Section, frozen=True, kw_only=True, omit_defaults=True):
    """One logged parameter."""

    run: int = 0
    key: str
    value: str


class LoggedRun(Section, frozen=True, kw_only=True, omit_defaults=True):
    """An MLflow run that the code opened; index in `Record.runs` is its number.

    Attributes:
        name: Run name as logged, None when MLflow chose one.
        experiment: Experiment name.
        parent: Number of the parent run, None at the top.
        tags: Tags set by the code (MLflow's own left out).
        status: Last status that the code gave; None where MLflow closed the run as the process ended.
        datasets: ``name digest`` of each logged dataset, in order.
    """

    name: str | None = None
    experiment: str | None = None
    parent: int | None = None
    tags: dict[str, str] = {}
    status: str | None = None
    datasets: tuple[str, ...] = ()


class ChildProcess(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A process of the run that spoke to us (or, with `reached` False, was only seen to start)."""

    pid: int
    parent: int
    argv: tuple[str, ...] = ()
    reached: bool = True


class Byproducts(Section, frozen=True, kw_only=True, omit_defaults=True):
    """What comes out besides the result; never part of a verdict, except the exit status.

    Attributes:
        exit_status: Of the child; 128 + n after signal n; None while unfinished.
        stdout: Digest of standard output, `stderr` of standard error (equal for a terminal).
        started: ISO 8601 in UTC.
        seconds: Wall time.
        cpu_seconds: User and system time of the child and its children.
        peak_memory: Bytes, of the largest process.
        processes: Python processes seen.
        network: Addresses that the code connected to, ``host:port``.
        modules: Top-level modules of installed distributions and the project that were imported.
    """

    exit_status: int | None = None
    stdout: Artifact | None = None
    stderr: Artifact | None = None
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    processes: tuple[ChildProcess, ...] = ()
    network: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


class Record(Section, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA):
    """The full evidence of one run.

    Attributes:
        state: ``unfinished`` until the child has ended; ``interrupted`` after Ctrl-C.
        nonce: Random; two runs of the same thing never share a record id.
        stage: Of the record of one stage of a pipeline.
        pipeline: Of the record of a whole pipeline; materials are then what no stage makes, products
            what all stages made.
        tracked: What it read of earlier runs in MLflow, and the ids of its own; None without MLflow.
    """

    tool: Tool
    state: Literal["unfinished", "finished", "failed", "interrupted"]
    created: str
    nonce: str
    project: ProjectSection
    code: CodeSection
    environment: EnvironmentSection = EnvironmentSection()
    hardware: HardwareSection = HardwareSection()
    randomness: RandomnessSection = RandomnessSection()
    materials: tuple[Artifact, ...] = ()
    products: tuple[Artifact, ...] = ()
    runs: tuple[LoggedRun, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    metrics: tuple[Metric, ...] = ()
    byproducts: Byproducts = Byproducts()
    omissions: tuple[Omission, ...] = ()
    stage: StageSection | None = None
    pipeline: PipelineSection | None = None
    tracked: TrackedSection | None = None
