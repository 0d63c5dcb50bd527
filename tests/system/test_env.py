"""`reproof env`: show, create, diff and export, on a real lock."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import Project

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def locked(make_project: Callable[..., Project]) -> Project:
    project = make_project(
        {
            "train.py": "import iniconfig\nopen('model.json', 'w').write('1')\n",
            "requirements.txt": "iniconfig==2.0.0\n",
            ".gitignore": "model.json\n",
        }
    )
    project.reproof("run", "--no-log", ".", "-e", "train.py", expect=0)
    return project


def test_show(locked: Project) -> None:
    text = locked.reproof("env", "show", expect=0).out
    assert "  iniconfig 2.0.0\n" in text
    assert "  lock      requirements.txt (requirements, resolved for the run)" in text
    assert "native libraries loaded" in text
    assert "libc.so.6" in text
    document = locked.reproof("env", "show", "--output-format", "json", expect=0).json
    assert document["schema"] == "reproof/environment/1"
    assert document["record"] == locked.records()[-1].stem


def test_create_and_what_is_edited_there_is_noticed(locked: Project, tmp_path: Path) -> None:
    made = locked.reproof("env", "create", str(tmp_path / "made"), expect=0)
    python = made.out.strip()
    words = [python, "-c", "import iniconfig, importlib.metadata as m; print(m.version('iniconfig'))"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "2.0.0\n"
    again = locked.reproof("env", "create", str(tmp_path / "made"), expect=2)
    assert "something is there" in again.err


def test_a_package_edited_in_the_cached_environment_is_named_before_the_next_run(locked: Project) -> None:
    cache = Path(locked.env["REPROOF_CACHE_DIR"]) / "environments"
    files = list(cache.glob("*/lib/python*/site-packages/iniconfig/__init__.py"))
    for path in files:
        path.write_text(path.read_text() + "\nVALUE = 'by hand'\n")
    done = locked.reproof("run", "--no-log", ".", "-e", "train.py", expect=0)
    assert "package `iniconfig` was changed in the cached environment since it was made" in done.err
    assert "`iniconfig/__init__.py` of iniconfig changed" in done.err
    assert not any("by hand" in path.read_text() for path in files)


def test_diff(locked: Project) -> None:
    first = locked.records()[-1].stem
    locked.write("requirements.txt", "iniconfig==2.1.0\n")
    locked.reproof("run", "--no-log", ".", "-e", "train.py", expect=0)
    done = locked.reproof("env", "diff", first, "last", expect=1)
    assert "package iniconfig: 2.0.0 -> 2.1.0" in done.out
    same = locked.reproof("env", "diff", "last", "last", expect=0)
    assert same.out.startswith("identical: ")


def test_a_record_verifies_after_the_machine_s_own_environment_has_moved_on(
    make_project: Callable[..., Project],
) -> None:
    """The lock of the commit counts, not what the work tree asks for and the machine has today."""
    code = (
        "import json, numpy\n"
        "values = numpy.random.default_rng(1).normal(size=(50, 50))\n"
        "found = {'numpy': numpy.__version__, 'sum': float(numpy.linalg.inv(values).sum()).hex()}\n"
        "json.dump(found, open('model.json', 'w'))\n"
    )
    project = make_project(
        {"train.py": code, "requirements.txt": "numpy==2.2.6\n", ".gitignore": "model.json\n"}
    )
    words = ("run", "--no-log", ".", "-e", "train.py")
    project.reproof(*words, expect=0)
    record = project.records()[-1].stem
    project.write("requirements.txt", "numpy==2.4.6\n")
    project.reproof(*words, expect=0)
    assert json.loads((project.folder / "model.json").read_text())["numpy"] == "2.4.6"
    verdict = project.verify("--no-log", record, expect=0)
    assert verdict["word"] == "reproduced"
    moved = project.reproof("env", "diff", record, "last", expect=1).out
    assert "package numpy: 2.2.6 -> 2.4.6" in moved
    assert "OpenBLAS: OpenBLAS 0.3." in moved


def test_export_requirements_install_with_hashes(locked: Project, tmp_path: Path) -> None:
    locked.reproof("env", "export", "-o", str(tmp_path / "requirements.lock"), expect=0)
    text = (tmp_path / "requirements.lock").read_text()
    assert re.search(r"^iniconfig==2\.0\.0 \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)


def test_export_pylock(locked: Project) -> None:
    document = tomllib.loads(locked.reproof("env", "export", "--format", "pylock", expect=0).out)
    (package,) = document["packages"]
    assert (package["name"], package["version"]) == ("iniconfig", "2.0.0")
    assert package["wheels"][0]["hashes"]["sha256"]


BASE = "python:3.11-slim@sha256:" + "ab" * 32


def test_export_a_dockerfile(locked: Project, golden: Callable[..., None]) -> None:
    text = locked.reproof("env", "export", "--format", "dockerfile", "--base", BASE, expect=0).out
    golden("env/dockerfile_requirements", text)


def test_export_of_a_uv_lock(
    make_project: Callable[..., Project], tmp_path: Path, golden: Callable[..., None]
) -> None:
    """With the groups of the recorded commit's settings, and for an image by `uv sync --frozen`."""
    settings = f'[tool.reproof.environment]\ngroups = ["more"]\nbase-image = "{BASE}"\n'
    project = make_project(
        {
            "train.py": "import toml\nopen('model.json', 'w').write('1')\n",
            "pyproject.toml": '[project]\nname = "own"\nversion = "1"\nrequires-python = ">=3.9"\n'
            f'dependencies = ["iniconfig==2.0.0"]\n[dependency-groups]\nmore = ["toml==0.10.2"]\n{settings}',
            ".gitignore": "model.json\n.venv/\n",
        }
    )
    project.shell("uv lock -q")
    project.commit()
    project.reproof("run", "--no-log", ".", "-e", "train.py", expect=0)
    made = project.reproof("env", "create", str(tmp_path / "made"), expect=0).out.strip()
    subprocess.run([made, "-c", "import iniconfig, toml"], check=True)
    text = project.reproof("env", "export", expect=0).out
    assert re.findall(r"^(\S+) ", text, re.MULTILINE)[-2:] == ["iniconfig==2.0.0", "toml==0.10.2"]
    pylock = tomllib.loads(project.reproof("env", "export", "--format", "pylock", expect=0).out)
    assert [package["name"] for package in pylock["packages"]] == ["iniconfig", "toml"]
    project.write("pyproject.toml", "")  # the recorded commit counts
    golden("env/dockerfile_uv_lock", project.reproof("env", "export", "--format", "dockerfile", expect=0).out)


def test_export_a_bill_of_materials_that_is_the_same_each_time(locked: Project) -> None:
    text = locked.reproof("env", "export", "--format", "cyclonedx", expect=0).out
    assert text == locked.reproof("env", "export", "--format", "cyclonedx", expect=0).out
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    names = {item["name"]: item for item in document["components"]}
    assert names["iniconfig"]["purl"] == "pkg:pypi/iniconfig@2.0.0"
    assert names["cpython"]["type"] == "platform"
    references = [item["bom-ref"] for item in document["components"]]
    assert len(references) == len(set(references))


def test_no_lock_no_export(make_project: Callable[..., Project]) -> None:
    project = make_project({"t.py": "open('out', 'w')\n", ".gitignore": "out\n"})
    project.reproof("run", "--no-log", "--env-manager", "local", "--", "python", "t.py", expect=0)
    result = project.reproof("env", "export", expect=2)
    assert "has no lock" in result.err
    assert "cyclonedx" in result.hint
