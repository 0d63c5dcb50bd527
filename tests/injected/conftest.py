"""Real interpreters with the real bootstrap installed, and what they tell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from reproof import injected
from reproof.capture import observations
from reproof.capture.observations import Observations
from reproof.model.observation import Booted


class Told(msgspec.Struct, frozen=True):
    """A finished child: its status and output, and what was read of its lines."""

    status: int
    stdout: str
    stderr: str
    lines: Observations

    @property
    def boots(self) -> list[Booted]:
        return list(self.lines.of(Booted))

    def failures(self) -> list[tuple[str, str]]:
        return [(each.subject, each.reason) for each in observations._failures(self.lines)]


class Place(msgspec.Struct, frozen=True):
    """A private environment, project and observations file."""

    python: Path
    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def file(self) -> Path:
        return self.folder / "run" / "observations.jsonl"

    @property
    def site_packages(self) -> Path:
        return next((self.python.parent.parent / "lib").glob("python3*")) / "site-packages"

    def variables(self, more: Mapping[str, str | None]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        ours = {"REPROOF_OBSERVATIONS": str(self.file), "REPROOF_PROJECT": str(self.project)}
        return {name: value for name, value in {**kept, **ours, **more}.items() if value is not None}

    def run(self, code: str, *, options: Sequence[str] = (), **variables: str | None) -> Told:
        """Run `code` as the project's main.py; keyword arguments are variables, None removes one."""
        self.project.mkdir(exist_ok=True)
        (self.project / "main.py").write_text(code, encoding="utf-8")
        return self.call(self.python, *options, "main.py", **variables)

    def call(self, *command: str | Path, **variables: str | None) -> Told:
        self.project.mkdir(exist_ok=True)
        self.file.parent.mkdir(exist_ok=True)
        if self.file.is_file() and not self.file.is_symlink():
            self.file.unlink()
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.project,
            env=self.variables(variables),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Told(done.returncode, done.stdout, done.stderr, observations.read(self.file))


def interpreter(version: str) -> Path | None:
    """A Python of that version on this machine, not one of a virtual environment."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.base_prefix) / "bin" / f"python{version}"
    homes = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    homes += sorted((Path.home() / ".local/share/uv/python").glob(f"cpython-{version}.*/bin/python{version}"))
    found = shutil.which(f"python{version}")
    if found is not None and "/shims/" not in found:
        homes.append(Path(found))
    return homes[-1] if homes else None


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """Makes, once for each version, a virtual environment with or without the bootstrap."""
    made: dict[tuple[str, bool], Path] = {}

    def make(version: str, installed: bool) -> Path:
        base = interpreter(version)
        if base is None:
            pytest.skip(f"needs Python {version}")
        if (version, installed) not in made:
            folder = tmp_path_factory.mktemp(f"python{version}") / "env"
            subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
            python = folder / "bin" / "python"
            if installed:
                site_packages = next((folder / "lib").glob("python3*")) / "site-packages"
                injected.install(site_packages, python=python)
            made[version, installed] = python
        return made[version, installed]

    return make


ALL = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
_HERE = [version for version in ALL if interpreter(version)]
SOME = tuple(dict.fromkeys([*_HERE[:1], THIS, *_HERE[-1:]]))


@pytest.fixture
def place(environments: Callable[[str, bool], Path], tmp_path: Path) -> Place:
    """A place with the Python that runs the tests."""
    return Place(environments(THIS, True), tmp_path)


@pytest.fixture(params=SOME)
def some_place(
    request: pytest.FixtureRequest, environments: Callable[[str, bool], Path], tmp_path: Path
) -> Place:
    """A place with the oldest, this and the newest Python of this machine."""
    return Place(environments(request.param, True), tmp_path)


@pytest.fixture(params=ALL)
def any_place(
    request: pytest.FixtureRequest, environments: Callable[[str, bool], Path], tmp_path: Path
) -> Place:
    """A place with each Python that reproof's bootstrap is for; skipped where this machine has none."""
    return Place(environments(request.param, True), tmp_path)
