"""An index of small wheels in a folder, and uv caches of their own: nothing is downloaded."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from reproof.environment import EnvironmentRequest, Interpreter, LockSource, find_python, make_lock
from reproof.model.event import Event

BACKEND = """
import os, zipfile
def build_wheel(folder, settings=None, metadata=None):
    name = "NAME-1.0-py3-none-any.whl"
    info = "NAME-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as file:
        file.writestr("NAME.py", open("NAME.py").read())
        file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: NAME\\nVersion: 1.0\\n")
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: own\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(info + "RECORD", "NAME.py,,\\n")
    return name
build_editable = build_wheel
"""
PYPROJECT = '[project]\nname = "NAME"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class Index:
    """A folder of distributions that uv takes packages from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def wheel(
        self, name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), **more: object
    ) -> str:
        """Add a wheel with one module; returns its sha256. `files` adds files, `record` replaces entries."""
        info = f"{name}-{version}.dist-info"
        head = "".join(f"Requires-Dist: {line}\n" for line in requires)
        files = {
            f"{name}.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{head}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            **dict(more.get("files", {})),
        }
        rows = [
            f"{path},{more.get('record', {}).get(path) or _hash(text)},{len(text)}"
            for path, text in files.items()
        ]
        files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
        path = self.folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in files.items():
                archive.writestr(member, text)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def sdist(self, name: str, *, backend: str = BACKEND) -> str:
        """Add a source distribution with a build backend of its own; returns its sha256."""
        path = self.folder / f"{name}-1.0.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for member, text in source_tree(name, backend=backend).items():
                data = text.encode()
                entry = tarfile.TarInfo(f"{name}-1.0/{member}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def tree(self, folder: Path, name: str) -> None:
        """Write a project that builds without any build requirement."""
        folder.mkdir()
        for member, text in source_tree(name).items():
            (folder / member).write_text(text)


def source_tree(name: str, *, backend: str = BACKEND) -> dict[str, str]:
    """Files of a project that builds without any build requirement."""
    return {
        "pyproject.toml": PYPROJECT.replace("NAME", name),
        "backend.py": backend.replace("NAME", name),
        f"{name}.py": "VERSION = '1.0'\n",
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }


def _hash(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    place = Index(tmp_path / "index")
    monkeypatch.setenv("UV_FIND_LINKS", str(place.folder))
    return place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def python() -> Interpreter:
    return find_python()


@pytest.fixture
def request_for(project: Path, python: Interpreter):
    """Make the request for a requirements text."""

    def build(text: str, **more: object) -> EnvironmentRequest:
        (project / "requirements.txt").write_text(text)
        lock = make_lock(LockSource(kind="requirements", folder=project, file="requirements.txt"), python)
        return EnvironmentRequest(lock=lock, python=python, folder=project, **more)

    return build


@pytest.fixture
def events() -> list[Event]:
    return []
