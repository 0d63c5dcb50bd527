"""One factor of the environment changed at a time: the comparison of two runs names it, and nothing else."""

from __future__ import annotations

import base64
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from images import import_base
from projects import Project, user_environment
from reproof.compare.records import compare_set_ups
from reproof.environment.python import all_pythons
from reproof.model.codec import decode_record
from reproof.model.record import Record

SCRIPT = (
    "import ctypes, json, probe\nctypes.CDLL('libz.so.1')\njson.dump(probe.VALUE, open('model.json', 'w'))\n"
)


def wheel(folder: Path, version: str) -> Path:
    """A small package `probe`, packed as a wheel with its RECORD."""
    info = f"probe-{version}.dist-info"
    files = {
        "probe.py": f"VALUE = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: probe\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    path = folder / f"probe-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def environment(folder: Path, version: str = "1.0", python: str = sys.executable) -> Path:
    """A user's own virtual environment with `probe`; its `bin`."""
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--no-project", "--python", python, folder], check=True)
    words = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", folder / "bin/python"]
    subprocess.run([*words, wheel(folder, version)], check=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    base = tmp_path_factory.mktemp("factors")
    (base / "home").mkdir()
    made = Project(base / "project", user_environment(base / "home"))
    made.env.update(
        REPROOF_DATA_DIR=str(base / "data"), REPROOF_CONFIG_DIR=str(base / "config"), OPENBLAS_NUM_THREADS="1"
    )
    for role in ("AUTHOR", "COMMITTER"):
        made.env.update({f"GIT_{role}_NAME": "Test", f"GIT_{role}_EMAIL": "test@example.org"})
    for name in ("TZ", "LC_ALL", "LANG", "GLIBC_TUNABLES", "LD_LIBRARY_PATH", "PYTHONHASHSEED"):
        made.env.pop(name, None)
    made.env["LANG"] = "C.UTF-8"  # without any, Python sets LC_CTYPE for its children
    made.folder.mkdir()
    made.write("train.py", SCRIPT)
    made.write(".gitignore", "model.json\n")
    made.commit()
    made.env["PATH"] = f"{environment(base / 'venv')}{os.pathsep}{os.environ['PATH']}"
    return made


@pytest.fixture(scope="module")
def recorded(project: Project) -> Record:
    return run(project)


def run(project: Project, **env: str) -> Record:
    words = ["run", "--no-log", "--seed", "none", "--determinism", "off", "--env-manager", "local"]
    project.reproof(*words, "--", "python", "train.py", expect=0, **env)
    return decode_record(project.records()[-1].read_bytes(), where="test")


def factors(before: Record, after: Record) -> list[str]:
    """Names of the factors within the environment; nothing else may differ."""
    found = compare_set_ups(before, after)
    assert {item.subject for item in found} <= {"environment"}
    return [child.subject for item in found for child in item.children]


def test_nothing_changed(project: Project, recorded: Record) -> None:
    assert factors(recorded, run(project)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENBLAS_NUM_THREADS", "2"),
        ("GLIBC_TUNABLES", "glibc.malloc.arena_max=1"),
        ("LC_ALL", "C"),
        ("TZ", "Asia/Kathmandu"),
        ("TF_ENABLE_ONEDNN_OPTS", "0"),
        ("PYTHONHASHSEED", "7"),
    ],
)
def test_a_variable(project: Project, recorded: Record, name: str, value: str) -> None:
    assert factors(recorded, run(project, **{name: value})) == [f"variable {name}"]


def test_the_umask(project: Project, recorded: Record) -> None:
    before = os.umask(0o027)
    try:
        assert recorded.environment.umask != "0027"
        assert factors(recorded, run(project)) == ["umask"]
    finally:
        os.umask(before)


def test_a_package_s_version(project: Project, recorded: Record, tmp_path: Path) -> None:
    path = f"{environment(tmp_path / 'venv', '1.1')}{os.pathsep}{os.environ['PATH']}"
    assert factors(recorded, run(project, PATH=path)) == ["package probe"]


def test_a_package_s_file_edited(project: Project, recorded: Record, tmp_path: Path) -> None:
    scripts = environment(tmp_path / "venv")
    (edited,) = (scripts.parent / "lib").glob("python*/site-packages/probe.py")
    edited.write_text("VALUE = 'edited by hand'\n")
    after = run(project, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    assert factors(recorded, after) == ["files of package probe"]
    assert after.environment.disagreements == ("`probe.py` of probe changed since it was installed",)


def test_another_patch_of_python(project: Project, recorded: Record, tmp_path: Path) -> None:
    assert recorded.environment.python is not None
    version = recorded.environment.python.version
    series = version.rpartition(".")[0]
    others = [python for python in all_pythons() if python.version.startswith(f"{series}.")]
    other = next((python for python in others if python.version != version), None)
    if other is None:
        pytest.skip(f"needs another Python {series}")
    scripts = environment(tmp_path / "venv", python=str(other.path))
    found = factors(recorded, run(project, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}"))
    assert found[:2] == ["python", "python build"]
    assert all(name.startswith("native library") for name in found[2:])  # it comes with its own


def test_the_path_of_a_native_library(project: Project, recorded: Record, tmp_path: Path) -> None:
    name = ctypes.util.find_library("z") or "libz.so.1"
    words = ["bash", "-c", f"ldconfig -p | awk '/{name} .*x86-64|{name} .*64/ {{print $NF; exit}}'"]
    place = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    shutil.copy(place, tmp_path / "libz.so.1")
    found = factors(recorded, run(project, LD_LIBRARY_PATH=str(tmp_path)))
    assert f"native library {tmp_path}/libz.so.1" in found
    assert set(found) <= {
        "variable LD_LIBRARY_PATH",
        f"native library {tmp_path}/libz.so.1",
        *(item for item in found if item.startswith("native library") and "libz" in item),
    }


@pytest.mark.needs("docker", "mmdebstrap")
def test_the_image(make_project: Callable[..., Project]) -> None:
    text = "name: x\ndocker_env:\n  image: reproof-test-factor:1\nentry_points:\n  main:\n    command: 'python3 t.py'\n"
    project = make_project({"MLproject": text, "t.py": "open('out', 'w')\n", ".gitignore": "out\n"})
    found = []
    for number in (1, 2, 2):
        project.write("../Dockerfile", f"FROM {import_base()}\nLABEL number={number}\n")
        project.shell("docker build -q -t reproof-test-factor:1 - < ../Dockerfile")
        project.reproof("run", "--no-log", "--seed", "1", ".", expect=0)
        found.append(decode_record(project.records()[-1].read_bytes(), where="test"))
    assert factors(found[0], found[1]) == ["image"]
    assert factors(found[1], found[2]) == []
