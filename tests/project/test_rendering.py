"""Commands: the text that MLflow makes, or an error that says what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reproof.errors import ProjectError
from reproof.project.mlproject import read_mlproject
from reproof.project.rendering import Invocation, Places, render

PROJECT = """\
entry_points:
  main:
    parameters:
      conf_file: path
      n: {type: int, default: 3}
      alpha: {type: float, default: 0.5}
      text: {default: "a b"}
      where: {type: uri, default: "https://example.org/x y"}
    command: "PYTHONPATH=src python -m bikes {conf_file} {n} {alpha} --text={text} {where}"
  padded:
    parameters: {name: string}
    command: "echo {name:>10} {name!s} {{{name}}}"
  data:
    parameters: {folder: {type: path, default: data}}
    command: ls {folder}
"""

#: entry point, parameters; rendered with the project's folder as the current one
CASES: list[tuple[str, dict[str, str]]] = [
    ("main", {"conf_file": "confs/training.yaml"}),
    ("main", {"conf_file": "./confs/../confs/training.yaml", "n": "-7", "alpha": "1e-3"}),
    ("main", {"conf_file": "with space.yaml", "text": 'it\'s "quoted"; rm -rf $HOME `x`'}),
    ("main", {"conf_file": "with%20space.yaml", "text": ""}),
    ("main", {"conf_file": "{folder}/confs/training.yaml", "text": "line\nbreak"}),
    ("main", {"conf_file": "file://{folder}/confs/training.yaml", "text": "ü"}),
    ("main", {"conf_file": "confs", "text": "{braces} {{"}),
    ("main", {"conf_file": "confs/", "extra": "a b", "an other": "x"}),
    ("main", {"conf_file": "confs/training.yaml", "alpha": "nan", "n": " 5 "}),
    ("padded", {"name": "x"}),
    ("padded", {"name": "a b"}),
    ("data", {}),
    ("data", {"folder": "confs"}),
    ("train.py", {}),
    ("train.py", {"lr": "0.1", "name": "a b"}),
    ("with space.py", {}),
    ("sub/run.sh", {"x": "1"}),
    ("plot.R", {"x": "1"}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "home/project"
    for name in (
        "confs/training.yaml",
        "data/x.csv",
        "with space.yaml",
        "train.py",
        "with space.py",
        "sub/run.sh",
        "plot.R",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "MLproject").write_text(PROJECT)
    return folder


def places(folder: Path, **changes: Path) -> Places:
    values = {"folder": folder, "top": folder, "cwd": folder, "home": folder.parent}
    return Places(**{**values, **changes})


def call(folder: Path, entry_point: str = "main", /, **parameters: str) -> Invocation:
    return render(read_mlproject(folder), entry_point, parameters, places(folder))


def filled(parameters: dict[str, str], folder: Path) -> dict[str, str]:
    return {name: value.replace("{folder}", str(folder)) for name, value in parameters.items()}


@pytest.fixture(scope="module")
def mlflow_commands(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Renders many commands in one process, because importing mlflow takes seconds."""

    def commands(folder: Path, cases: list[tuple[str, dict[str, str]]]) -> list[str]:
        code = (
            "import json, os, sys, tempfile\n"
            "from mlflow.projects.utils import load_project\n"
            "os.chdir(sys.argv[1]); project = load_project('.')\n"
            "print(json.dumps([project.get_entry_point(name).compute_command(given, tempfile.mkdtemp())"
            " for name, given in json.loads(sys.argv[2])]))"
        )
        command = [sys.executable, "-c", code, str(folder), json.dumps(cases)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return commands


@pytest.mark.needs("mlflow")
def test_commands_equal_those_of_mlflow(folder: Path, mlflow_commands: Any) -> None:
    cases = [(name, filled(given, folder)) for name, given in CASES]
    ours = [render(read_mlproject(folder), name, given, places(folder)).command for name, given in cases]
    assert ours == mlflow_commands(folder, cases)


def test_parameters_are_recorded_relative_to_the_project(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("")
    for given, recorded in (
        ("confs/training.yaml", "confs/training.yaml"),
        (str(folder / "confs/training.yaml"), "confs/training.yaml"),
        (str(elsewhere), str(elsewhere)),
        (str(folder), "."),
    ):
        invocation = call(folder, conf_file=given)
        assert invocation.parameters["conf_file"] == recorded
        assert invocation.path_parameters["conf_file"].is_absolute()
        again = render(read_mlproject(folder), "main", invocation.parameters, places(folder))
        assert again.command == invocation.command
    assert call(folder, conf_file="confs").parameters == {
        "conf_file": "confs",
        "n": "3",
        "alpha": "0.5",
        "text": "a b",
        "where": "https://example.org/x y",
    }


def test_paths_in_the_home_and_elsewhere_in_the_repository(folder: Path) -> None:
    home = folder.parent
    (home / "mine.yaml").write_text("")
    assert call(folder, conf_file=str(home / "mine.yaml")).parameters["conf_file"] == "${HOME}/mine.yaml"
    wide = places(folder, top=home, home=home.parent)
    invocation = render(read_mlproject(folder), "main", {"conf_file": str(home / "mine.yaml")}, wide)
    assert invocation.parameters["conf_file"] == "../mine.yaml"


def test_the_recorded_form_means_the_same_in_another_place(folder: Path, tmp_path: Path) -> None:
    (folder.parent / "mine.yaml").write_text("")
    recorded = call(folder, conf_file=str(folder.parent / "mine.yaml")).parameters
    room, home = tmp_path / "room", tmp_path / "room-home"
    folder.rename(room)
    home.mkdir()
    (home / "mine.yaml").write_text("")
    again = render(read_mlproject(room), "main", recorded, Places(folder=room, top=room, cwd=room, home=home))
    assert again.path_parameters["conf_file"] == home / "mine.yaml"


def test_path_may_start_where_the_user_is_or_in_the_project(folder: Path, tmp_path: Path) -> None:
    project = read_mlproject(folder)
    outside = places(folder, cwd=tmp_path)
    found = render(project, "main", {"conf_file": "confs/training.yaml"}, outside)
    assert found.path_parameters["conf_file"] == folder / "confs/training.yaml"
    assert found.warnings == ()
    (tmp_path / "confs").mkdir()
    (tmp_path / "confs/training.yaml").write_text("")
    both = render(project, "main", {"conf_file": "confs/training.yaml"}, outside)
    assert both.path_parameters["conf_file"] == tmp_path / "confs/training.yaml"
    assert len(both.warnings) == 1
    (tmp_path / "data").mkdir()
    default = render(project, "data", {}, outside)
    assert default.path_parameters["folder"] == folder / "data"


def test_symlinked_data_stays_named_by_its_place_in_the_project(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (folder / "linked").symlink_to(tmp_path / "disk")
    assert call(folder, "data", folder="linked").parameters["folder"] == "linked"
    (tmp_path / "alias").symlink_to(folder)
    other = places(tmp_path / "alias", cwd=tmp_path / "alias", top=folder)
    assert render(read_mlproject(folder), "data", {}, other).parameters["folder"] == "data"


@pytest.mark.parametrize(
    ("name", "entry_point", "given"),
    [
        ("unknown_entry_point", "mian", {}),
        ("nothing_alike", "zzzz", {}),
        ("missing_script", "trian.py", {}),
        ("missing_parameter", "main", {"n": "3"}),
        ("wrong_int", "main", {"conf_file": "confs", "n": "3.5"}),
        ("wrong_float", "main", {"conf_file": "confs", "alpha": "big"}),
        ("wrong_uri", "main", {"conf_file": "confs", "where": "no-scheme"}),
        ("missing_path", "main", {"conf_file": "confs/trainig.yaml"}),
        ("missing_path_unlike", "main", {"conf_file": "zzz/zzz"}),
        ("empty_path", "main", {"conf_file": ""}),
        ("nul_path", "main", {"conf_file": "a\0b"}),
        ("remote_path", "main", {"conf_file": "s3://bucket/x.yaml"}),
        ("format_specification", "padded", {"name": "x"}),
    ],
)
def test_errors(folder: Path, golden, name: str, entry_point: str, given: dict[str, str]) -> None:
    if name == "format_specification":
        text = PROJECT.replace("{name:>10}", "{name:.2f}")
        (folder / "MLproject").write_text(text)
    with pytest.raises(ProjectError) as caught:
        call(folder, entry_point, **given)
    golden(f"project/render_{name}", caught.value)


def test_all_missing_parameters_are_listed(folder: Path, golden) -> None:
    (folder / "MLproject").write_text(
        "entry_points:\n  main:\n    parameters: {a: int, b: float, c: {default: 1}, d: path}\n    command: x\n"
    )
    with pytest.raises(ProjectError) as caught:
        call(folder, b="1")
    golden("project/render_missing_parameters", caught.value)


def test_the_hint_of_a_misspelled_path_cures_it(folder: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        call(folder, conf_file="confs/trainig.yaml")
    name, value = caught.value.hint.split("-P ")[1].rstrip("`").split("=")
    assert call(folder, **{name: value}).parameters["conf_file"] == "confs/training.yaml"


def test_without_an_mlproject_only_scripts_run(tmp_path: Path, golden) -> None:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "eval.py").write_text("")
    assert render(None, "eval.py", {"x": "1"}, places(tmp_path)).command == "python eval.py --x 1"
    with pytest.raises(ProjectError) as caught:
        render(None, "main", {}, places(tmp_path))
    golden("project/render_no_mlproject", caught.value)
    (tmp_path / "train.py").unlink()
    (tmp_path / "eval.py").unlink()
    with pytest.raises(ProjectError) as caught:
        render(None, "main", {}, places(tmp_path))
    golden("project/render_no_mlproject_no_script", caught.value)


def test_shell_scripts_use_the_users_shell_as_in_mlflow(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/zsh")
    assert call(folder, "sub/run.sh").command == "/bin/zsh sub/run.sh"
    monkeypatch.delenv("SHELL")
    assert call(folder, "sub/run.sh").command == "bash sub/run.sh"


def test_script_names_with_braces(folder: Path) -> None:
    (folder / "{x}.py").write_text("")
    assert call(folder, "{x}.py").command == "python '{x}.py'"


def test_the_command_means_what_was_given(folder: Path) -> None:
    """A real shell hands the words of the command on as they were."""
    (folder / "MLproject").write_text(
        "entry_points:\n  main:\n    parameters: {a: string}\n    command: printf '%s|' {a}\n"
    )
    nasty = "x'; $(touch evil) `touch evil` \\ \" \n {a} *"
    command = call(folder, a=nasty, b=nasty).command
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout == f"{nasty}|--b|{nasty}|"
    assert not (folder / "evil").exists()
