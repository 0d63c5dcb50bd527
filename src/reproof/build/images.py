"""Container images from a Dockerfile, by the programs that can give every file and field a time that is told them.

buildah and podman: ``--timestamp`` (https://github.com/containers/buildah). Docker: BuildKit, with
``SOURCE_DATE_EPOCH`` and ``rewrite-timestamp`` (https://github.com/moby/buildkit/blob/master/docs/build-repro.md).
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any, Protocol

import msgspec

from reproof.base.programs import Completed, call, find
from reproof.errors import ExecutionError, ProjectError

_ENGINES = ("buildah", "podman", "docker")


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built.

    Attributes:
        context: Folder that the instructions copy from.
        file: The Dockerfile.
        epoch: Seconds since 1970: the time of all that is new.
        umask: File mode mask of the building program.
        env: Variables for the building program, on top of ours.
        volumes: Folders that instructions see while they run, ``HERE:THERE[:ro]``; no part of the image.
        network: Instructions may use the network.
        timeout: Seconds.
    """

    context: Path
    file: Path
    epoch: int
    umask: int = 0o022
    env: dict[str, str] = {}
    volumes: tuple[str, ...] = ()
    network: bool = True
    timeout: float | None = None


class BuiltImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image, by what it consists of.

    Attributes:
        id: sha256 of its configuration, in hexadecimal.
        layers: sha256 of each uncompressed layer, lowest first.
        name: What the engine knows it by.
    """

    id: str
    layers: tuple[str, ...]
    name: str


class Engine(Protocol):
    """A program that builds images."""

    name: str
    version: str

    def build(self, request: ImageRequest, aside: Path) -> BuiltImage:
        """Build; `aside` is an empty folder for what the program writes.

        Raises:
            ProjectError: It fails, or asks for what this program cannot do.
        """
        ...

    def export(self, image: BuiltImage, folder: Path) -> None:
        """Write the image in the OCI layout into `folder`."""
        ...

    def tag(self, image: BuiltImage, name: str) -> None:
        """Give the image a name."""
        ...

    def discard(self, image: BuiltImage) -> None:
        """Remove an image that has no name; one that cannot be removed stays."""
        ...


def choose_engine(name: str | None = None) -> Engine:
    """The engine called `name`, or the first that is here and can build reproducible images.

    Raises:
        ExecutionError: There is none, with the reason for each.
    """
    reasons = []
    for each in _ENGINES if name is None else (name,):
        found = find(each)
        if found is None:
            reasons.append((each, "not installed"))
        elif each == "docker":
            done = call([found, "buildx", "version"])
            if done.ok:
                return BuildKit(found, done.text.strip())
            reasons.append((each, "without BuildKit (`docker buildx`), which alone can set times"))
        elif b"--timestamp" not in call([found, "build", "--help"]).stdout:
            reasons.append((each, "this version has no `--timestamp`"))
        else:
            return Buildah(found, call([found, "--version"]).text.strip())
    raise ExecutionError(
        "no program here can build a reproducible image",
        details=reasons,
        hint="run `apt-get install buildah`",
    )


class Buildah:
    """buildah, and podman, which is the same underneath."""

    def __init__(self, program: Path, version: str) -> None:
        self._program = program
        self.name = program.name
        self.version = version

    def build(self, request: ImageRequest, aside: Path) -> BuiltImage:
        """See :class:`Engine`."""
        answer = aside / "id"
        words = ["build", "--timestamp", str(request.epoch), "--no-cache", "--pull=never"]
        words += ["--build-arg", f"SOURCE_DATE_EPOCH={request.epoch}", "--iidfile", str(answer)]
        words += ["--isolation", "chroot"] if self.name == "buildah" and os.geteuid() == 0 else []
        words += [] if request.network else ["--network", "none"]
        words += [word for volume in request.volumes for word in ("--volume", volume)]
        done = self._call([*words, "--file", str(request.file), str(request.context)], request)
        if not done.ok:
            raise _failed(done, request)
        name = answer.read_text().strip().removeprefix("sha256:")
        facts = msgspec.json.decode(self._ask("inspect", "--type", "image", name))
        return BuiltImage(id=name, layers=_layers(facts), name=name)

    def export(self, image: BuiltImage, folder: Path) -> None:
        """See :class:`Engine`."""
        if self.name == "buildah":
            self._ask("push", "--quiet", "--disable-compression", image.name, f"oci:{folder}")
        else:
            self._ask("save", "--quiet", "--format", "oci-dir", "--output", str(folder), image.name)

    def tag(self, image: BuiltImage, name: str) -> None:
        """See :class:`Engine`."""
        self._ask("tag", image.name, name)

    def discard(self, image: BuiltImage) -> None:
        """See :class:`Engine`."""
        call([self._program, "rmi", image.name])

    def _ask(self, *words: str) -> bytes:
        done = call([self._program, *words])
        if not done.ok:
            raise ExecutionError(f"`{self.name} {words[0]}` failed", details=[("said", done.complaint)])
        return done.stdout

    def _call(self, words: list[str], request: ImageRequest) -> Completed:
        return _under_mask([str(self._program), *words], request)


class BuildKit:
    """docker buildx."""

    name = "docker"

    def __init__(self, program: Path, version: str) -> None:
        self._program = program
        self.version = version

    def build(self, request: ImageRequest, aside: Path) -> BuiltImage:
        """See :class:`Engine`. The image is an OCI archive in `aside`."""
        if request.volumes:
            raise ProjectError(
                "docker mounts no folders while it builds",
                hint="use `RUN --mount` in the Dockerfile, or pass `--engine buildah`",
            )
        archive = aside / "image.tar"
        done = _under_mask([str(self._program), *self.words(request, archive)], request)
        if not done.ok:
            raise _failed(done, request)
        with tarfile.open(archive) as packed:
            packed.extractall(aside / "oci", filter="data")
        config, layers = read_layout(aside / "oci")
        return BuiltImage(id=config, layers=layers, name=str(archive))

    @staticmethod
    def words(request: ImageRequest, archive: Path) -> list[str]:
        """The command line that builds `request` into the OCI archive `archive`."""
        return [
            *("buildx", "build", "--no-cache", "--provenance=false", "--sbom=false"),
            *("--build-arg", f"SOURCE_DATE_EPOCH={request.epoch}"),
            *(() if request.network else ("--network", "none")),
            *("--output", f"type=oci,dest={archive},rewrite-timestamp=true"),
            *("--file", str(request.file), str(request.context)),
        ]

    def export(self, image: BuiltImage, folder: Path) -> None:
        """See :class:`Engine`."""
        with tarfile.open(image.name) as packed:
            packed.extractall(folder, filter="data")

    def tag(self, image: BuiltImage, name: str) -> None:
        """Load the archive into the engine under `name`.

        Raises:
            ExecutionError: The engine refuses it.
        """
        done = call([self._program, "load", "--input", image.name])
        loaded = done.text.strip().rpartition(" ")[2]
        if not done.ok or not call([self._program, "tag", loaded, name]).ok:
            raise ExecutionError("docker cannot load the image", details=[("said", done.complaint)])

    def discard(self, image: BuiltImage) -> None:
        """Nothing: the archive is removed with its folder."""


def read_layout(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Id and uncompressed layers of the one image in an OCI layout (https://github.com/opencontainers/image-spec)."""
    manifest = _manifest(folder)
    config = str(manifest["config"]["digest"]).removeprefix("sha256:")
    return config, _layers(msgspec.json.decode(_blob(folder, config).read_bytes()))


def layer_files(folder: Path) -> list[Path]:
    """Files of the layers of an OCI layout, lowest first."""
    return [
        _blob(folder, str(layer["digest"]).removeprefix("sha256:")) for layer in _manifest(folder)["layers"]
    ]


def config_file(folder: Path) -> Path:
    """File of the configuration in an OCI layout."""
    return _blob(folder, str(_manifest(folder)["config"]["digest"]).removeprefix("sha256:"))


def _manifest(folder: Path) -> Any:
    index = msgspec.json.decode((folder / "index.json").read_bytes())
    found = index
    while "config" not in found:  # BuildKit nests one index within another
        digest = str(found["manifests"][0]["digest"]).removeprefix("sha256:")
        found = msgspec.json.decode(_blob(folder, digest).read_bytes())
    return found


def _blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / "sha256" / digest


def _layers(facts: Any) -> tuple[str, ...]:
    """Digests of the layers, from a configuration or from what `inspect` says."""
    for found in (facts, facts[0] if isinstance(facts, list) else facts):
        if not isinstance(found, dict):
            continue
        inner = found.get("OCIv1", found)
        files = inner.get("rootfs") or inner.get("RootFS") or {}
        digests = files.get("diff_ids") or files.get("Layers")
        if digests:
            return tuple(str(digest).removeprefix("sha256:") for digest in digests)
    raise ExecutionError("the program does not say which layers the image has")


def _under_mask(words: list[str], request: ImageRequest) -> Completed:
    mask = f'umask {request.umask:03o}; exec "$@"'
    env = {**os.environ, **request.env}
    return call(["sh", "-c", mask, "sh", *words], cwd=request.context, env=env, timeout=request.timeout)


def _failed(done: Completed, request: ImageRequest) -> ProjectError:
    said = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines()
    return ProjectError(
        f"`{request.file.name}` cannot be built", details=[("said", "\n".join(said[-12:]) or "nothing")]
    )


def digest_of(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
