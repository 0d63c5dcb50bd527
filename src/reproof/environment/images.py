"""Container images as environments: found, pulled or built by the engine, and looked into.

Building uses the engine's own builder; nothing of an image is unpacked here.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.base.containers import Engine, Image, find_engine
from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory
from reproof.environment.installed import digest_of_rows, sorted_distributions
from reproof.environment.uv import find_uv
from reproof.errors import EnvironmentBuildError, ExecutionError
from reproof.model.event import Emit, Event
from reproof.model.record import Distribution, NativeLibrary, PythonBuild

#: Where a generated image has its environment.
ENVIRONMENT = "/opt/environment"

_PATIENCE = 300  # seconds for a look into an image

#: Run by the image's own Python, of any version from 3.6 on; standard library only.
_SURVEY = """
import json, os, platform, site, sys, sysconfig
try:
    from importlib import metadata
except ImportError:
    metadata = None
def text(item, name):
    try:
        return item.read_text(name) or ""
    except (OSError, UnicodeError):
        return ""
found = []
for item in metadata.distributions() if metadata else ():
    if item.metadata["Name"]:
        found.append([item.metadata["Name"], item.version or "", text(item, "RECORD"), text(item, "direct_url.json")])
known = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")] + list(getattr(site, "getsitepackages", list)())
print(json.dumps({
    "executable": sys.executable, "prefix": sys.prefix, "base": sys.base_prefix,
    "site": [item for item in dict.fromkeys(known) if os.path.isdir(item)],
    "version": platform.python_version(), "implementation": sys.implementation.name,
    "build": " ".join(platform.python_build()), "compiler": platform.python_compiler(),
    "platform": sysconfig.get_platform(), "distributions": found,
}))
"""
#: Size and sha256 of the files named on standard input, one on each line.
_DIGESTS = """
import hashlib, json, os, sys
found = {}
for path in sys.stdin.read().splitlines():
    try:
        with open(path, "rb") as file:
            found[path] = [os.path.getsize(path), hashlib.sha256(file.read()).hexdigest()]
    except OSError:
        found[path] = [0, None]
print(json.dumps(found))
"""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What an image has of Python; everything empty where it has none.

    Attributes:
        executable: Its interpreter, as a path in the image.
        prefix: ``sys.prefix``.
        base: ``sys.base_prefix``.
        site: Folders that packages are imported from, the first the one that ``.pth`` files are put into.
        python: Version and build.
        distributions: Everything installed.
    """

    executable: str = ""
    prefix: str = ""
    base: str = ""
    site: tuple[str, ...] = ()
    python: PythonBuild | None = None
    distributions: tuple[Distribution, ...] = ()


class _Answer(msgspec.Struct):
    executable: str
    prefix: str
    base: str
    site: list[str]
    version: str
    implementation: str
    build: str
    compiler: str
    platform: str
    distributions: list[tuple[str, str, str, str]]


def obtain(reference: str, *, identity: str | None = None, offline: bool, emit: Emit) -> Image:
    """The image of that name, pulled where the engine does not have it.

    Args:
        reference: As a project or a record names it; ``name@sha256:...`` for one manifest.
        identity: The id that it must have, of a record; None for whatever the name stands for today.
        offline: Ask no registry.
        emit: Told about a pull.

    Raises:
        EnvironmentBuildError: It is not to be had, or the name stands for another image today.
        ExecutionError: No engine answers.
    """
    engine = find_engine()
    known = engine.find_image(identity) if identity is not None else None
    if known is not None:
        return msgspec.structs.replace(known, reference=reference)
    found = engine.find_image(reference)
    reason = "not asked: offline"
    if found is None and not offline:
        emit(Event(kind="start", subject="image", message=f"pulling `{reference}`"))
        done = engine.ask("pull", "--quiet", reference)
        emit(Event(kind="finish", subject="image"))
        reason = done.complaint
        found = engine.find_image(reference) if done.ok else None
    if found is None:
        raise EnvironmentBuildError(
            f"the image `{reference}` is not on this machine and cannot be pulled",
            details=[("id", identity or "any"), (engine.name, reason)],
            hint="load it with `docker load`, or make it again from its Dockerfile",
        )
    if identity is not None and found.id != identity:
        raise EnvironmentBuildError(
            f"`{reference}` stands for another image than the recorded one, which is gone",
            details=[("recorded", identity), ("found", found.id)],
            hint=f"load the recorded image, with `{engine.name} load`",
        )
    return found


def exact_name(reference: str, image: Image | None) -> str:
    """A name that stands for nothing but this image: by its digest in a registry, else by its id.

    Args:
        reference: The name that was asked for; as it stands where it has a digest.
        image: What the engine has under that name; the name stays as it is without it.
    """
    if "@" in reference or image is None:
        return reference
    return f"{reference}@{image.digest}" if image.digest else image.id


def known_name(reference: str) -> str:
    """:func:`exact_name` where an engine of this machine has the image; nothing is pulled."""
    if "@" in reference:
        return reference
    try:
        return exact_name(reference, find_engine().find_image(reference))
    except ExecutionError:  # none installed, or none that answers: then nothing is known here
        return reference


def build(folder: Path, dockerfile: str, emit: Emit) -> Image:
    """Build the image of a Dockerfile with `folder` as its context, and give it a name by its content.

    Raises:
        EnvironmentBuildError: It does not build; the end of the engine's output is in the details.
    """
    engine = find_engine()
    tag = f"reproof-{_plain(folder.name)}:{hashlib.sha256(dockerfile.encode()).hexdigest()[:12]}"
    emit(Event(kind="start", subject="image", message=f"building the image `{tag}`"))
    with tempfile.TemporaryDirectory(prefix="reproof-image-") as place:
        file = Path(place) / "Dockerfile"
        file.write_text(dockerfile, "utf-8")
        words = ["build", "--tag", tag, "--network", "host", "--file", str(file), str(folder)]
        done = engine.ask(*words)
    emit(Event(kind="finish", subject="image"))
    image = engine.find_image(tag) if done.ok else None
    if image is None:
        said = (done.text + done.stderr.decode("utf-8", "replace")).strip().splitlines()
        raise EnvironmentBuildError(
            "the image does not build", details=[(engine.name, "\n".join(said[-15:]))]
        )
    return image


def build_from_lock(text: str, files: Mapping[str, str], emit: Emit) -> Image:
    """Build an image from a generated Dockerfile and the `files` (name to text) that the packages stand in."""
    with tempfile.TemporaryDirectory(prefix="reproof-context-") as place:
        folder = Path(place) / "environment"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content, "utf-8")
        shutil.copy(find_uv(), folder / "uv")
        trusted = Path(os.environ.get("SSL_CERT_FILE") or os.devnull)
        (folder / "certificates.pem").write_bytes(trusted.read_bytes() if trusted.exists() else b"")
        return build(folder, text, emit)


def generated_dockerfile(base: str, lock: str) -> str:
    """A Dockerfile for an image with the packages of a hash-locked requirements file.

    Args:
        base: An image with a Python, by digest: ``python:3.11-slim@sha256:...``.
        lock: Text of the requirements; what it needs from the project's folder cannot be in an image.

    The build context holds the lock as ``requirements.lock``, the program ``uv``, and ``certificates.pem``: the
    authorities that this machine trusts where it names them (SSL_CERT_FILE), else nothing.
    """
    install = (
        f"/opt/build/uv pip install --python {ENVIRONMENT}/bin/python --no-deps --require-hashes \\\n"
        "    --requirements /opt/build/requirements.lock"
    )
    return _dockerfile(base, lock, ("requirements.lock",), install)


def synchronised_dockerfile(base: str, lock: str, options: Sequence[str]) -> str:
    """A Dockerfile for an image with the packages of a ``uv.lock``, by ``uv sync --frozen``.

    The project itself, and what lies in its folder or workspace, is not installed: at a run the project lies in
    the container.

    Args:
        base: As for :func:`generated_dockerfile`.
        lock: Text of the lock.
        options: Groups and extras, as ``uv sync`` takes them.

    The build context holds ``uv.lock``, ``pyproject.toml``, ``uv`` and ``certificates.pem``.
    """
    words = ["--frozen", "--no-install-local", "--project", "/opt/build", *options]
    install = f"UV_PROJECT_ENVIRONMENT={ENVIRONMENT} /opt/build/uv sync {shlex.join(words)}"
    return _dockerfile(base, lock, ("uv.lock", "pyproject.toml"), install)


def _dockerfile(base: str, lock: str, files: tuple[str, ...], install: str) -> str:
    mark = hashlib.sha256(lock.encode()).hexdigest()
    names = ", ".join(f"`{name}`" for name in files)
    return (
        f"FROM {base}\n"
        f"# The build context: {names}, the program `uv`, and `certificates.pem`, which may be empty.\n"
        f'LABEL reproof.lock="sha256:{mark}"\n'
        "ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_NO_INSTALLER_METADATA=1\n"
        f"COPY uv certificates.pem {' '.join(files)} /opt/build/\n"
        "RUN if [ -s /opt/build/certificates.pem ]; then export SSL_CERT_FILE=/opt/build/certificates.pem; fi \\\n"
        f" && /opt/build/uv venv {ENVIRONMENT} \\\n"
        f" && {install}\n"
        f"ENV PATH={ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV={ENVIRONMENT}\n"
        "USER 1000:1000\n"
    )


def survey(image: Image) -> Survey:
    """Look for Python and packages in an image; remembered for each image.

    Raises:
        EnvironmentBuildError: The image does not start, or its Python answers nothing sensible.
    """
    memory = cache_directory() / "images" / f"{image.id.partition(':')[2]}.json"
    try:
        return msgspec.json.decode(memory.read_bytes(), type=Survey)
    except (OSError, msgspec.DecodeError):
        pass
    found = _survey(find_engine(), image)
    try:
        write_atomic(memory, msgspec.json.encode(found), durable=False)
    except OSError:
        pass  # asked again next time
    return found


def libraries(image: Image, executable: str, paths: Iterable[str]) -> tuple[NativeLibrary, ...]:
    """Size and digest of shared libraries of an image; those that are not in it have no digest."""
    wanted = sorted(set(paths))
    if not wanted or not executable:
        return ()
    done = _python(find_engine(), image, executable, _DIGESTS, "\n".join(wanted).encode())
    try:
        found = msgspec.json.decode(done, type=dict[str, tuple[int, str | None]])
    except msgspec.DecodeError:
        found = {}
    return tuple(
        NativeLibrary(path=path, size=found.get(path, (0, None))[0], digest=found.get(path, (0, None))[1])
        for path in wanted
    )


def _survey(engine: Engine, image: Image) -> Survey:
    """Ask an image, without network, for its Python and what is installed there; nothing is known of one without."""
    script = "command -v python || command -v python3 || true"
    words = ["run", "--rm", "--network", "none", "--entrypoint", "", image.id, "/bin/sh", "-c", script]
    done = engine.ask(*words, timeout=_PATIENCE)
    if not done.ok:
        raise EnvironmentBuildError(
            f"the image `{image.reference}` does not start", details=[(engine.name, done.complaint)]
        )
    executable = done.text.strip()
    if not executable:
        return Survey()
    try:
        answer = msgspec.json.decode(_python(engine, image, executable, _SURVEY, b""), type=_Answer)
    except msgspec.DecodeError as error:
        raise EnvironmentBuildError(
            f"`{executable}` of the image `{image.reference}` is not a working Python 3"
        ) from error
    return Survey(
        executable=executable,
        prefix=answer.prefix,
        base=answer.base,
        site=tuple(answer.site),
        python=PythonBuild(
            version=answer.version,
            implementation=answer.implementation,
            build=answer.build,
            compiler=answer.compiler,
            platform=answer.platform,
            executable=executable,
        ),
        distributions=sorted_distributions(
            (name, version, digest_of_rows(record), direct)
            for name, version, record, direct in answer.distributions
        ),
    )


def _python(engine: Engine, image: Image, executable: str, script: str, stdin: bytes) -> bytes:
    words = ["run", "--rm", "--interactive", "--network", "none", "--entrypoint", "", image.id]
    return engine.ask(*words, executable, "-c", script, stdin=stdin, timeout=_PATIENCE).stdout


def _plain(name: str) -> str:
    """A folder's name as part of an image's: lower case, letters and digits."""
    return "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum()) or "project"
