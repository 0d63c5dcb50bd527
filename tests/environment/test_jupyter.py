from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from reproof.environment import jupyter
from reproof.environment.local_python import inspect
from reproof.environment.values import Environment


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    made = inspect(Path(sys.executable))
    return msgspec.structs.replace(made, folder=folder, python=folder / "bin/python", scripts=folder / "bin")


def kernel(folder: Path, name: str, text: str) -> None:
    place = folder / "share/jupyter/kernels" / name / "kernel.json"
    place.parent.mkdir(parents=True)
    place.write_text(text)


def test_templates_are_linked_and_kernels_start_the_overlay(environment: Environment, tmp_path: Path) -> None:
    prefix, overlay = environment.folder, tmp_path / "overlay"
    (prefix / "share/jupyter/nbconvert/templates").mkdir(parents=True)
    (prefix / "etc/jupyter/nbconfig").mkdir(parents=True)
    kernel(prefix, "own", json.dumps({"argv": [f"{prefix}/bin/python", "-m", "x"], "display_name": "Own"}))
    kernel(prefix, "relative", json.dumps({"argv": ["python3", "-m", "x"]}))
    kernel(tmp_path / "home/.local", "mine", json.dumps({"argv": [f"{prefix}/bin/python", "-m", "x"]}))
    kernel(tmp_path / "home/.local", "other", json.dumps({"argv": ["/opt/other/bin/python", "-m", "x"]}))
    kernel(tmp_path / "home/.local", "R", json.dumps({"argv": ["R", "--slave"]}))
    before = jupyter.facts(environment)
    jupyter.show(environment, overlay, overlay / "bin/python")
    assert (overlay / "share/jupyter/nbconvert").resolve() == prefix / "share/jupyter/nbconvert"
    assert (overlay / "etc/jupyter/nbconfig").is_symlink()
    kernels = overlay / "share/jupyter/kernels"
    assert sorted(path.name for path in kernels.iterdir()) == ["mine", "own", "relative"]
    spec = json.loads((kernels / "own/kernel.json").read_text())
    assert spec == {"argv": [str(overlay / "bin/python"), "-m", "x"], "display_name": "Own"}
    kernel(prefix, "new", "{}")
    assert jupyter.facts(environment) != before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"argv": []}', '{"argv": [3]}', '{"argv": "', "\xff"])
def test_a_kernel_that_cannot_be_read_is_left_alone(
    environment: Environment, tmp_path: Path, text: str
) -> None:
    kernel(environment.folder, "broken", text)
    jupyter.show(environment, tmp_path / "overlay", tmp_path / "overlay/bin/python")
    assert not (tmp_path / "overlay/share/jupyter/kernels").exists()
