"""Runs and re-runs in container images: what MLproject's `docker_env` says, or an image made for the project.

The project lies in the container where it lies on this machine, so that its files have the same names;
reproof's bootstrap is shown among the packages of the image's own Python.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from reproof import injected
from reproof.base import containers
from reproof.base.files import locked, write_atomic
from reproof.base.locations import cache_directory
from reproof.base.naming import Naming
from reproof.environment import images
from reproof.environment.images import Survey
from reproof.environment.lock import make_lock
from reproof.environment.python import find_python
from reproof.environment.requirements import read_lines
from reproof.environment.uv import choices
from reproof.environment.values import Environment, Interpreter, LockSource, LockText
from reproof.errors import EnvironmentBuildError, ProjectError
from reproof.execute.docker import Container, DockerRunner
from reproof.execute.protocol import Confinement
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.record import EnvironmentSection, Image, PythonBuild, Volume
from reproof.project.mlproject import read_mlproject
from reproof.store.directory import DirectoryStore
from reproof.workflow.observe import Setup
from reproof.workflow.provision import Contained, Original, Provision

#: Where MLflow puts a project in its containers; commands and volumes may speak of it.
_AS_MLFLOW = "/mlflow/projects/code"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a project wants to run in.

    Attributes:
        reference: Name of an image; None to build one.
        volumes: ``source:target`` or ``source:target:ro``, as the engine's ``--volume`` takes them.
        variables: Names of variables to hand on, or pairs of name and value.
        file: The file that says so, for messages.
    """

    reference: str | None = None
    volumes: tuple[str, ...] = ()
    variables: tuple[str | tuple[str, str], ...] = ()
    file: str = "MLproject"


def asked_by(docker_env: Mapping[str, Any], file: str) -> Asked:
    """What a `docker_env` of MLproject asks for; its form has been checked."""
    pairs = docker_env.get("environment") or []
    return Asked(
        reference=docker_env["image"],
        volumes=tuple(docker_env.get("volumes") or ()),
        variables=tuple(item if isinstance(item, str) else (item[0], item[1]) for item in pairs),
        file=file,
    )


def provide_image(asked: Asked, folder: Path, naming: Naming, *, offline: bool, emit: Emit) -> Provision:
    """The image that a project names.

    Raises:
        EnvironmentBuildError: It is not to be had.
        ProjectError: A volume or a variable cannot be used.
        ExecutionError: No engine answers.
    """
    assert asked.reference is not None
    volumes = tuple(_volume(text, folder, asked.file) for text in asked.volumes)
    variables = _variables(asked)
    image = images.obtain(asked.reference, offline=offline, emit=emit)
    return _provision(image, volumes, variables, naming)


def build_image(
    folder: Path, source: LockSource | None, base: str | None, naming: Naming, emit: Emit
) -> tuple[Provision, str]:
    """An image for a project: from its own Dockerfile, or from one that is made for its lock.

    Returns:
        The environment, and the text of the Dockerfile.

    Raises:
        EnvironmentBuildError: It does not build, or there is nothing to build it from.
    """
    own = folder / "Dockerfile"
    if own.is_file():
        text = own.read_text("utf-8")
        return _provision(images.build(folder, text, emit), (), {}, naming), text
    if source is None:
        raise EnvironmentBuildError(
            "cannot make an image: the project has no Dockerfile and names no packages",
            hint="add a Dockerfile, or a requirements.txt",
        )
    if base is None:
        raise EnvironmentBuildError(
            "cannot make an image: there is no Dockerfile, and no base image is named",
            hint='add `base-image = "python:3.11-slim"` to [tool.reproof.environment]',
        )
    found = images.obtain(base, offline=False, emit=emit)
    looked = images.survey(found)
    if looked.python is None:
        raise EnvironmentBuildError(f"the base image `{base}` has no Python")
    lock = make_lock(source, _stand_in(looked.python), emit=emit)
    text = dockerfile(images.exact_name(base, found), lock, choices(source.groups, source.extras))
    files = _files_for(lock, source)
    if "pyproject.toml" in files and "build-system" in tomllib.loads(files["pyproject.toml"]):
        message = (
            "the project itself is not installed in the image: it lies in the container at its own place"
        )
        emit(Event(kind="note", subject="environment", message=message))
    return _provision(images.build_from_lock(text, files, emit), (), {}, naming), text


def dockerfile(base: str, lock: LockText, options: Sequence[str]) -> str:
    """The Dockerfile that an image is built from for a lock.

    Args:
        base: An image with a Python, by digest where it is known.
        lock: The lock.
        options: Groups and extras of a uv.lock, as ``uv sync`` takes them.

    Raises:
        EnvironmentBuildError: An image cannot be made from this kind of lock, or it names folders.
    """
    if lock.format == "requirements":
        lines = read_lines(lock.text.splitlines(), Path("/"), lock.source)
        if outside := [line.text for line in lines if line.path]:
            raise EnvironmentBuildError(
                f"cannot write a Dockerfile: `{outside[0]}` is a folder of the project",
                hint="add a Dockerfile of your own, and pass `--env-manager docker` to `run`",
            )
        return images.generated_dockerfile(base, lock.text)
    if lock.format == "uv.lock":
        return images.synchronised_dockerfile(base, lock.text, options)
    raise EnvironmentBuildError(
        f"cannot make an image from `{lock.source}` as it is",
        hint="run `uv export --format requirements-txt -o requirements.txt`, or add a Dockerfile",
    )


def _files_for(lock: LockText, source: LockSource) -> dict[str, str]:
    """The files of the build context that a lock's Dockerfile copies."""
    if lock.format == "requirements":
        return {"requirements.lock": lock.text}
    return {"uv.lock": lock.text, "pyproject.toml": (source.folder / "pyproject.toml").read_text("utf-8")}


def _stand_in(wanted: PythonBuild) -> Interpreter:
    """An interpreter of this machine to resolve packages with, of the version that the image has."""
    series = ".".join(wanted.version.split(".")[:2])
    return find_python(f"{series}.*")


def keep_dockerfile(section: EnvironmentSection, text: str, store: DirectoryStore) -> EnvironmentSection:
    """The section with the Dockerfile that its image was built from, kept in the store."""
    assert section.image is not None
    data = text.encode()
    digest = store.put_bytes(data)
    artifact = Artifact(
        name="Dockerfile",
        digests={digest.algorithm: digest.value},
        size=len(data),
        origin="captured",
        kept=True,
    )
    return msgspec.structs.replace(section, image=msgspec.structs.replace(section.image, built_from=artifact))


def provide_image_again(original: Original, emit: Emit) -> Provision:
    """The very image of a record, by its id.

    Raises:
        EnvironmentBuildError: It is gone.
        ExecutionError: No engine answers.
    """
    recorded = original.section.image
    assert recorded is not None
    name = recorded.reference
    if recorded.digest is not None:
        name = f"{name.partition('@')[0]}@{recorded.digest}"
    image = images.obtain(name, identity=recorded.id, offline=original.offline, emit=emit)
    room = Naming(top=str(original.top), home=original.naming.home)
    volumes = []
    for volume in recorded.volumes:
        inside = not volume.source.startswith(("/", "${"))
        place = (room if inside else original.naming).find_file(volume.source)
        if not place.exists():
            raise EnvironmentBuildError(
                f"cannot show `{volume.target}` in the container: `{volume.source}` is not here",
                details=[("recorded", f"a volume of the image `{recorded.reference}`")],
            )
        volumes.append((str(place), volume.target, volume.writable and inside))
    project = read_mlproject(original.folder)
    asked = asked_by(project.docker_env, project.file) if project and project.docker_env else Asked()
    literal = dict(item for item in asked.variables if isinstance(item, tuple))
    made = _provision(image, tuple(volumes), literal, original.naming)
    section = msgspec.structs.replace(made.section, image=recorded)
    outside = [volume.target for volume in recorded.volumes if volume.source.startswith(("/", "${"))]
    handed = [item for item in asked.variables if isinstance(item, str)]
    lines = [f"the volume `{target}`: used in its place" for target in outside]
    lines += [f"the variable `{name}` of the machine: not set in the room" for name in handed]
    return msgspec.structs.replace(made, section=section, conditions=tuple(lines))


def in_container(
    setup: Setup,
    provision: Provision,
    writable: tuple[Path, ...],
    *,
    network: bool = True,
    sealed: bool = False,
) -> Setup:
    """`setup` of a project's own run, in the container of `provision`.

    Args:
        setup: How the command would be carried out on this machine.
        provision: The environment; it is an image.
        writable: Folders besides the project that the run writes, such as a tracking store.
        network: Leave it the network.
        sealed: Keep it apart as a re-run is: a root that it cannot write, no privileges.
    """
    contained = provision.contained
    assert contained is not None
    top = Path(setup.naming.top)
    container = Container(
        image=contained.image.id,
        volumes=(*contained.volumes, (str(top), _AS_MLFLOW, True), *bootstrap(contained.survey)),
        sealed=sealed,
        user=contained.user,
    )
    shown = Confinement(writable=(top, setup.scratch, *writable), network=network)
    env = {**contained.image.variables, "HOME": "/tmp", **contained.variables}  # noqa: S108  # the container's
    return contain(
        msgspec.structs.replace(
            setup,
            recipe=msgspec.structs.replace(setup.recipe, env=env),
            runner=DockerRunner(shown, container),
        ),
        contained,
        writable,
    )


def contain(setup: Setup, contained: Contained, writable: tuple[Path, ...] = ()) -> Setup:
    """`setup` that knows that its paths are those of a container."""
    here = [setup.naming.top, str(setup.scratch), *map(str, writable)]
    mapped = [(path, path) for path in here]
    mapped += [(_AS_MLFLOW, setup.naming.top)]
    mapped += [(target, source) for source, target, _ in contained.volumes]
    return msgspec.structs.replace(
        setup,
        naming=msgspec.structs.replace(setup.naming, environment=None),
        environment=(),
        mapped=tuple(mapped),
        libraries=partial(images.libraries, contained.image, contained.survey.executable),
    )


def sealed_container(contained: Contained) -> Container:
    """The container of a clean room."""
    return Container(
        image=contained.image.id,
        volumes=(*contained.volumes, *bootstrap(contained.survey)),
        user=contained.user,
    )


def bootstrap(survey: Survey) -> tuple[tuple[str, str, bool], ...]:
    """Mounts that put reproof's bootstrap among the packages of an image's Python; none without Python."""
    if not survey.site:
        return ()
    folder = cache_directory() / "bootstrap" / injected.version()[:20]
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not (folder / "complete").exists():
            injected.install(folder)
            write_atomic(folder / "complete", b"", durable=False)
    site = survey.site[0]
    names = ("_reproof_injected", "reproof.pth", "reproof.start")
    return tuple((str(folder / name), f"{site}/{name}", False) for name in names)


def _provision(
    image: containers.Image,
    volumes: tuple[tuple[str, str, bool], ...],
    variables: dict[str, str],
    naming: Naming,
) -> Provision:
    looked = images.survey(image)
    python = looked.python or PythonBuild(version="")
    user = f"{os.getuid()}:{os.getgid()}"
    nowhere = Path(looked.prefix or "/")
    environment = Environment(
        kind="docker",
        folder=nowhere,
        python=Path(looked.executable or "/"),
        site_packages=nowhere,
        scripts=nowhere,
        base=Interpreter(path=nowhere, prefix=nowhere, build=python),
        distributions=looked.distributions,
    )
    section = EnvironmentSection(
        kind="docker",
        python=looked.python,
        distributions=looked.distributions,
        image=Image(
            reference=image.reference,
            id=image.id,
            digest=image.digest,
            volumes=tuple(
                Volume(source=naming.name_file(source), target=target, writable=writable)
                for source, target, writable in volumes
            ),
            user=user,
        ),
    )
    contained = Contained(image=image, survey=looked, volumes=volumes, variables=variables, user=user)
    return Provision(
        environment=environment, scripts=nowhere, prefix=nowhere, section=section, contained=contained
    )


def _volume(text: str, folder: Path, file: str) -> tuple[str, str, bool]:
    """One volume, as the engine's ``--volume`` takes it."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source.startswith(("/", ".", "~")):
        raise ProjectError(
            f"`{file}`: the volume `{text}` is one of the engine's own, whose content cannot be recorded",
            hint="name a folder: `./data:/data`",
        )
    if not target.startswith("/"):
        raise ProjectError(
            f"`{file}`: the volume `{text}` names no place in the container", hint="write `SOURCE:TARGET`"
        )
    place = (folder / Path(source).expanduser()).resolve()
    if not place.exists():
        raise ProjectError(f"`{file}`: the volume `{text}` is not here", details=[("searched", str(place))])
    return str(place), target.rstrip("/"), "ro" not in mode.split(",")


def _variables(asked: Asked) -> dict[str, str]:
    """Names are handed on with our own values, pairs as they are; as MLflow does."""
    found = {}
    for item in asked.variables:
        if isinstance(item, tuple):
            found[item[0]] = item[1]
        elif item in os.environ:
            found[item] = os.environ[item]
        else:
            raise ProjectError(
                f"`{asked.file}`: the variable `{item}` is to be handed to the container, and is not set",
                hint=f"run `export {item}=VALUE`",
            )
    return found
