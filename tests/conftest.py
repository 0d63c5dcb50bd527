"""What all tests share: markers for real programs, and a private place for reproof's own files."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from reproof.base.files import locked
from reproof.errors import ReproofError
from reproof.execute import docker
from servers import MLflowServer

_PACKAGES = {
    "mlflow",
    "dvc",
    "sklearn",
    "pandas",
    "skops",
    "torch",
    "tensorflow",
    "xgboost",
    "lightgbm",
    "catboost",
}

#: Folders of tests that drive whole projects.
_DEAREST = ("tests/system/", "tests/frameworks/", "tests/zoo/")


def _has(name: str) -> bool:
    if name == "bwrap":
        return _bubblewrap_works()
    if name == "docker":
        return docker.probe() is None
    if name in _PACKAGES or importlib.util.find_spec(name) is not None:
        return importlib.util.find_spec(name) is not None
    return shutil.which(name) is not None


def _bubblewrap_works() -> bool:
    program = shutil.which("bwrap")
    if program is None:
        return False
    test = [program, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]
    return subprocess.run(test, capture_output=True, check=False).returncode == 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file that names a group run in one worker: what they share is dear, and made once.

    pytest-xdist 3.8 writes groups into a name that pytest 9.2 no longer reads, so files say it here.
    """
    from xdist.scheduler import LoadGroupScheduling

    class ByGroups(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group_of(nodeid.partition("::")[0]) or nodeid

    config.option.loadscopereorder = False  # else the dearest tests, alone in their groups, come last
    return ByGroups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that at the end no worker is alone with it: groups, then whole projects."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        path = item.nodeid.partition("::")[0]
        return _group_of(path) is None, not path.startswith(_DEAREST)

    items.sort(key=place)


@cache
def _group_of(path: str) -> str | None:
    """The first group that a file of tests names."""
    text = (Path(__file__).parents[1] / path).read_text(encoding="utf-8")
    named = re.search(r'xdist_group\("([^"]+)"\)', text)
    return named[1] if named else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if not _has(name):
                # Where integration promises a program, a skipped test is a failed one.
                if name in os.environ.get("REPROOF_REQUIRE", "").split(","):
                    pytest.fail(f"needs {name}, and REPROOF_REQUIRE says that it is here")
                pytest.skip(f"needs {name}")


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep reproof's data and configuration, and Git's identity, out of the real HOME."""
    place = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("REPROOF_DATA_DIR", str(place / "data"))
    monkeypatch.setenv("REPROOF_CONFIG_DIR", str(place / "config"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "REPROOF_SEED"))]:
        monkeypatch.delenv(name)
    return place


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """A real tracking server that passes artifacts on. Whoever kills it starts it again."""
    server = MLflowServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def mlflow2() -> Path:
    """An interpreter with MLflow 2.20, made once for all workers and sessions (REPROOF_TEST_CACHE)."""
    cache = Path(os.environ.get("REPROOF_TEST_CACHE") or Path.home() / ".cache" / "reproof-tests")
    place = cache / f"mlflow-2.20.4-python{sys.version_info[0]}.{sys.version_info[1]}"
    with locked(place.with_name(place.name + ".lock")):
        if not (place / "complete").exists():
            uv = find_uv_bin()
            packages = ["mlflow==2.20.4", "sqlalchemy<2.1", "setuptools<81"]
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, place], check=True)
            subprocess.run(
                [uv, "pip", "install", "-q", "--python", place / "bin/python", *packages], check=True
            )
            (place / "complete").touch()
    return place / "bin" / "python"


@pytest.fixture
def golden(tmp_path: Path) -> Callable[[str, ReproofError | str], None]:
    """Compare an error, or any text, with the file ``tests/golden/NAME.txt``.

    The test's own folder is written as ``<tmp>``, a sha256 or BLAKE3 as ``<64 digits>``. With REPROOF_UPDATE_GOLDEN set the files are
    written instead: look at what changed before it is committed.
    """

    def compare(name: str, what: ReproofError | str) -> None:
        text = what if isinstance(what, str) else _plain(what)
        for folder in (str(tmp_path.resolve()), str(tmp_path)):
            text = text.replace(folder, "<tmp>")
        text = re.sub(r"\b[0-9a-f]{64}\b", "<64 digits>", text).rstrip("\n") + "\n"
        file = Path(__file__).parent / "golden" / f"{name}.txt"
        if os.environ.get("REPROOF_UPDATE_GOLDEN"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare


def _plain(error: ReproofError) -> str:
    """An error as the command line shows it, without colour or wrapping."""
    width = max((len(label) for label, _ in error.details), default=0)
    lines = [f"error: {error.message}", *(f"  {label:<{width}}  {text}" for label, text in error.details)]
    return "\n".join([*lines, *([f"hint: {error.hint}"] if error.hint else [])])
