"""MLproject files: what MLflow accepts is accepted, what it overlooks is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reproof.errors import ProjectError
from reproof.project.mlproject import Parameter, fields, read_mlproject

GOOD = """\
name: bikes
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      conf_file: path
      alpha: {type: float, default: 0.1}
      flag: {default: yes}
      day: {type: string, default: 2025-01-31}
    command: "PYTHONPATH=src python -m bikes {conf_file} --alpha {alpha} {flag} {day}"
  other:
    command: |
      echo {{literal}}
"""

BAD = {
    "not_yaml": "name: [bikes\nentry_points:\n",
    "empty": "# nothing here\n",
    "a_list": "- name: bikes\n",
    "a_text": "bikes\n",
    "entry_points_list": "name: bikes\nentry_points:\n- main\n",
    "entry_point_text": "entry_points:\n  main: python train.py\n",
    "parameters_list": "entry_points:\n  main:\n    parameters: [a, b]\n    command: x\n",
    "parameter_number": "entry_points:\n  main:\n    parameters: {a: 3}\n    command: x\n",
    "two_environments": "name: bikes\npython_env: a.yaml\nconda_env: b.yaml\n",
    "unknown_type": "entry_points:\n  main:\n    parameters:\n      n: {type: banana}\n    command: x\n",
    "nearly_a_type": "entry_points:\n  main:\n    parameters:\n      n: {type: integer, default: 1}\n    command: x\n",
    "type_as_word": "entry_points:\n  main:\n    parameters:\n      n: str\n    command: x\n",
    "type_number": "entry_points:\n  main:\n    parameters:\n      n: {type: 3}\n    command: x\n",
    "no_command": "entry_points:\n  main:\n    parameters: {n: int}\n",
    "empty_command": "entry_points:\n  main: {command: ' '}\n",
    "command_list": "entry_points:\n  main:\n    command: [python, train.py]\n",
    "brace": "entry_points:\n  main:\n    command: \"awk '{print $1}' data.csv\"\n",
    "misspelled_brace": "entry_points:\n  main:\n    parameters: {alpha: float}\n    command: python t.py {alhpa}\n",
    "single_brace": 'entry_points:\n  main:\n    command: "echo }"\n',
    "positional_brace": 'entry_points:\n  main:\n    command: "echo {}"\n',
    "attribute_brace": 'entry_points:\n  main:\n    parameters: {a: string}\n    command: "echo {a.__class__}"\n',
    "twice": "name: a\nentry_points:\n  main: {command: x}\nname: b\n",
    "databricks": "databricks_spark_job: {python_file: x.py}\n",
    "docker_without_image": "docker_env: {volumes: ['/a:/a']}\n",
    "docker_volumes": "docker_env: {image: x, volumes: '/a:/a'}\n",
    "docker_environment": "docker_env: {image: x, environment: [[A, B, C]]}\n",
    "python_env_list": "python_env: [a.yaml]\n",
    "number_as_name": "entry_points:\n  1: {command: x}\n",
}


def write(folder: Path, text: str, name: str = "MLproject") -> Path:
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path: Path, golden, name: str) -> None:
    with pytest.raises(ProjectError) as caught:
        read_mlproject(write(tmp_path, BAD[name]))
    golden(f"project/mlproject_{name}", caught.value)


def test_not_utf8(tmp_path: Path, golden) -> None:
    (tmp_path / "MLproject").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ProjectError) as caught:
        read_mlproject(tmp_path)
    golden("project/mlproject_not_utf8", caught.value)


def test_two_files_and_a_folder(tmp_path: Path, golden) -> None:
    write(tmp_path, "name: a\n")
    write(tmp_path, "name: b\n", "mlproject")
    with pytest.raises(ProjectError) as caught:
        read_mlproject(tmp_path)
    golden("project/mlproject_two_files", caught.value)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/MLproject").mkdir()
    with pytest.raises(ProjectError) as caught:
        read_mlproject(tmp_path / "folder")
    golden("project/mlproject_folder", caught.value)


def test_good_file(tmp_path: Path) -> None:
    project = read_mlproject(write(tmp_path, GOOD))
    assert project.name == "bikes"
    assert project.python_env == "python_env.yaml"
    assert project.text == GOOD
    assert project.warnings == ()
    main = project.entry_points["main"]
    assert main.parameters == {
        "conf_file": Parameter("conf_file", "path", None, 6),
        "alpha": Parameter("alpha", "float", "0.1", 7),
        "flag": Parameter("flag", "string", "True", 8),
        "day": Parameter("day", "string", "2025-01-31", 9),
    }
    assert list(project.entry_points) == ["main", "other"]
    assert project.entry_points["other"].parameters == {}


@pytest.mark.parametrize("name", ["MLproject", "mlproject", "MLPROJECT", "MlProject"])
def test_name_counts_in_any_case(tmp_path: Path, name: str) -> None:
    assert read_mlproject(write(tmp_path, GOOD, name)).file == name


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    assert read_mlproject(tmp_path) is None
    with pytest.raises(ProjectError):
        read_mlproject(tmp_path / "none")


def test_unknown_keys_are_warnings_with_what_was_meant(tmp_path: Path, golden) -> None:
    text = """\
name: bikes
entrypoints: {}
made_up_key: 42
python_env: {python: "3.11"}
entry_points:
  main:
    comand: x
    command: python train.py {n}
    parameters:
      n: {type: int, defualt: 3, minimum: 7}
"""
    golden("project/mlproject_warnings", "\n".join(read_mlproject(write(tmp_path, text)).warnings))


def test_empty_values_are_as_absent(tmp_path: Path) -> None:
    project = read_mlproject(
        write(tmp_path, "name:\npython_env:\nentry_points:\n  main:\n    parameters:\n    command: x\n")
    )
    assert project.name is None
    assert project.entry_points["main"].parameters == {}


def test_aliases_and_merge_keys(tmp_path: Path) -> None:
    text = """\
entry_points:
  main: &main
    parameters: &shared {n: int}
    command: a {n}
  other:
    <<: *main
    command: b {n}
"""
    project = read_mlproject(write(tmp_path, text))
    assert project.entry_points["other"].parameters["n"].type == "int"


def test_fields_of_a_command() -> None:
    assert fields("{a} {{b}} {c:>{width}} {d!r}") == ["a", "c", "width", "d"]


@pytest.mark.needs("mlflow")
def test_mlflow_reads_the_same(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "python_env.yaml").write_text("dependencies: []\n")
    code = (
        "import sys, json; from mlflow.projects.utils import load_project; p = load_project(sys.argv[1])\n"
        "print(json.dumps({n: [e.command, {k: [v.type, v.default if v.default is None else str(v.default)]"
        " for k, v in e.parameters.items()}] for n, e in p._entry_points.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    import json

    ours = {
        name: [point.command, {p.name: [p.type, p.default] for p in point.parameters.values()}]
        for name, point in read_mlproject(tmp_path).entry_points.items()
    }
    assert json.loads(done.stdout) == ours
