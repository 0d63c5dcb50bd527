from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reproof.environment import Environment, find_local_python, inspect, overlay
from reproof.environment.uv import find_uv, uv_environment
from reproof.errors import EnvironmentBuildError


@pytest.fixture
def users(index, tmp_path, python) -> Path:
    """A virtual environment of the user's, with one package and its script."""
    index.wheel(
        "alpha",
        files={"alpha-1.0.dist-info/entry_points.txt": "[console_scripts]\ngo = alpha:go\n", "go.py": ""},
    )
    folder = tmp_path / "venv"
    env = uv_environment()
    subprocess.run([find_uv(), "venv", "-q", folder, "--python", python.path], check=True, env=env)
    subprocess.run(
        [find_uv(), "pip", "install", "-q", "alpha", "--python", folder / "bin/python"], check=True, env=env
    )
    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "alpha.py").write_text("def go():\n    import sys\n    print(sys.executable)\n")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "far.py").write_text("")
    (site / "linked.pth").write_text(f"{tmp_path}/linked\n")
    return folder


def test_the_first_python_on_path(users, monkeypatch):
    monkeypatch.setenv("PATH", f"{users}/bin:/usr/bin")
    assert find_local_python() == users / "bin" / "python"
    assert find_local_python({"PATH": f"{users}/bin"}) == users / "bin" / "python"


def test_a_shim_is_seen_through(users, tmp_path):
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python").write_text(f'#!/bin/sh\nexec {users}/bin/python "$@"\n')
    (shims / "python").chmod(0o755)
    assert find_local_python({"PATH": str(shims)}) == users / "bin" / "python"


def test_no_python_at_all(tmp_path):
    with pytest.raises(EnvironmentBuildError, match="there is no `python` on PATH"):
        find_local_python({"PATH": str(tmp_path)})


def test_looking_at_the_users_environment(users, python):
    found = inspect(users / "bin" / "python")
    assert (found.kind, found.folder, found.python, found.base) == (
        "local",
        users,
        users / "bin" / "python",
        python,
    )
    assert [(item.name, item.version) for item in found.distributions] == [("alpha", "1.0")]
    assert found.paths == (next(users.glob("lib/python3*/site-packages")),)


def test_looking_at_what_is_no_python(tmp_path):
    with pytest.raises(EnvironmentBuildError, match="is not a working Python 3"):
        inspect(tmp_path / "python")


def run(program: Path, *arguments: str) -> str:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_the_overlay_shows_their_packages_and_touches_nothing(users):
    before = sorted(users.rglob("*"))
    made = overlay(inspect(users / "bin" / "python"))
    assert run(made.python, "-B", "-I", "-c", "import alpha, far, _reproof_injected; alpha.go()") == str(
        made.python
    )
    assert run(made.scripts / "go") == str(made.python)
    assert [path for path in sorted(users.rglob("*")) if "__pycache__" not in path.parts] == before


def test_an_overlay_is_made_once_until_scripts_change(users):
    environment = inspect(users / "bin" / "python")
    first = overlay(environment)
    assert overlay(environment) == first
    (users / "bin" / "more").write_text(f"#!{users}/bin/python\nprint('more')\n")
    (users / "bin" / "more").chmod(0o755)
    second = overlay(environment)
    assert second != first
    assert run(second.scripts / "more") == "more"


def test_a_half_made_overlay_is_made_anew(users):
    environment = inspect(users / "bin" / "python")
    made = overlay(environment)
    (made.folder / "reproof-overlay").unlink()
    (made.python.parent / "go").unlink()
    assert run(overlay(environment).scripts / "go") == str(made.python)


def test_the_users_environment_has_nothing_to_be_checked_against(users):
    from reproof.environment import check

    environment = inspect(users / "bin" / "python")
    assert isinstance(environment, Environment)
    assert check(environment) == []


def test_a_script_whose_head_is_for_the_shell_too_is_run_by_the_overlay(users):
    python = users / "bin" / "python"
    text = f"#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\nimport sys\nprint(sys.executable)\n"
    (users / "bin" / "long").write_text(text)
    (users / "bin" / "long").chmod(0o755)
    made = overlay(inspect(python))
    assert run(made.scripts / "long") == str(made.python)
