"""Which file decides about the environment, and what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.errors import ProjectError
from reproof.project.environment_files import find_environment
from reproof.project.mlproject import MLProject, read_mlproject

HASHED = "numpy==2.0.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
PYPROJECT = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n'


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def files(**named: str) -> dict[str, str]:
    return named


def find(folder: Path, **written: str):
    write(folder, **written)
    return find_environment(folder, read_mlproject(folder))


def test_python_env_named_by_mlproject_wins(tmp_path: Path) -> None:
    found = find(
        tmp_path,
        MLproject="python_env: env/python_env.yaml\n",
        **{
            "env/python_env.yaml": 'python: "3.11.7"\nbuild_dependencies: [pip]\ndependencies:\n- -r requirements.txt\n- scipy\n',
            "requirements.txt": "-c locks/constraints.txt\n--requirement=locks/more.txt  # more\n" + HASHED,
            "locks/constraints.txt": "pandas<3\n",
            "locks/more.txt": "-rdeep.txt\n",
            "locks/deep.txt": "-r more.txt\nsix\n",
            "uv.lock": "",
            "pyproject.toml": PYPROJECT,
            "poetry.lock": "",
        },
    )
    assert (found.kind, found.source, found.lock_kind) == (
        "python_env",
        "env/python_env.yaml",
        "requirements-hashed",
    )
    assert found.lines == ("-r requirements.txt", "scipy")
    assert found.build_lines == ("pip",)
    assert (found.python, found.python_source) == ("3.11.7", "env/python_env.yaml")
    assert [file.path for file in found.files] == [
        "env/python_env.yaml",
        "locks/constraints.txt",
        "locks/deep.txt",
        "locks/more.txt",
        "requirements.txt",
    ]
    assert all(file.digest.algorithm == "blake3" for file in found.files)
    assert found.others == ("uv.lock",)
    assert found.notes == ("`poetry.lock` is passed over: `env/python_env.yaml` counts",)


def test_mlflows_default_file_counts_as_named(tmp_path: Path) -> None:
    found = find(tmp_path, MLproject="name: x\n", **{"python_env.yaml": "dependencies: [a]\n", "uv.lock": ""})
    assert (found.kind, found.lock_kind, found.lines) == ("python_env", "requirements", ("a",))


def test_python_env_without_packages_or_python(tmp_path: Path) -> None:
    found = find(tmp_path, **{"python_env.yaml": "", ".python-version": "# comment\n3.12  # this\n"})
    assert found.lines == ("# no packages",)
    assert (found.python, found.python_source) == ("3.12", ".python-version")


def test_inline_python_env(tmp_path: Path) -> None:
    found = find(tmp_path, MLproject='python_env:\n  python: "3.11"\n  dependencies: [numpy]\n')
    assert (found.source, found.python, found.lines) == ("MLproject", "3.11", ("numpy",))


@pytest.mark.parametrize(
    ("written", "kind", "source", "python"),
    [
        (
            {"uv.lock": "", "pyproject.toml": PYPROJECT, "requirements.txt": "a"},
            "uv.lock",
            "uv.lock",
            ">=3.10",
        ),
        ({"pylock.toml": "", "requirements.txt": HASHED}, "pylock.toml", "pylock.toml", None),
        (
            {"requirements.txt": HASHED, "pyproject.toml": PYPROJECT},
            "requirements",
            "requirements.txt",
            ">=3.10",
        ),
        (
            {"requirements.txt": "numpy\n", ".python-version": "3.9"},
            "requirements",
            "requirements.txt",
            "3.9",
        ),
        ({"pyproject.toml": PYPROJECT}, "pyproject", "pyproject.toml", ">=3.10"),
        ({"pyproject.toml": "[tool.reproof]\nseed = 1\n"}, "none", None, None),
        ({"conda.yaml": "dependencies: [cudatoolkit]\n"}, "none", None, None),
        ({}, "none", None, None),
    ],
)
def test_order_without_mlproject(
    tmp_path: Path, written: dict[str, str], kind: str, source: str | None, python: str | None
) -> None:
    found = find(tmp_path, **written)
    assert (found.kind, found.source, found.python) == (kind, source, python)


def test_hashes_are_seen_and_locks_passed_over_are_named(tmp_path: Path) -> None:
    assert find(tmp_path, **{"requirements.txt": "-r locked.txt\n", "locked.txt": HASHED}).lock_kind == (
        "requirements-hashed"
    )
    found = find(tmp_path, **{"uv.lock": "", "pylock.toml": "", "pyproject.toml": PYPROJECT})
    assert found.others == ("pylock.toml", "requirements.txt")


def test_the_lock_of_the_workspace_counts_for_a_member(tmp_path: Path) -> None:
    top = write(
        tmp_path,
        **{
            ".git/HEAD": "",
            "pyproject.toml": f"{PYPROJECT}[tool.uv.workspace]\nmembers = ['packages/*']\n",
            "uv.lock": "version = 1\n",
        },
    )
    found = find(top / "packages/app", **{"pyproject.toml": PYPROJECT})
    assert (found.kind, found.source, found.others) == ("uv.lock", "../../uv.lock", ())
    assert [file.path for file in found.files] == ["../../uv.lock", "pyproject.toml"]
    assert found.notes == ("`../../uv.lock` is the lock: the project is a member of its workspace",)
    assert (found.python, found.python_source) == (">=3.10", "pyproject.toml")
    write(top, **{".python-version": "3.11\n"})
    found = find(top / "packages/app")
    assert (found.python, found.python_source) == ("3.11", "../../.python-version")
    assert find(top / "elsewhere", **{"pyproject.toml": PYPROJECT}).kind == "pyproject"
    (top / "uv.lock").unlink()
    assert find(top / "packages/app").kind == "pyproject"


def test_conda_file_with_python_and_pip_alone(tmp_path: Path) -> None:
    text = "name: x\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip<=24\n- setuptools=70.0\n- pip:\n  - mlflow>=2\n"
    found = find(tmp_path, MLproject="conda_env: conda.yaml\n", **{"conda.yaml": text})
    assert (found.kind, found.python, found.lines) == ("conda_env", "3.11", ("mlflow>=2",))
    assert found.build_lines == ("pip<=24", "setuptools==70.0")
    assert len(found.notes) == 1
    assert find(tmp_path, MLproject="name: x\n").kind == "conda_env"


def test_docker_env(tmp_path: Path) -> None:
    found = find(tmp_path, MLproject="docker_env:\n  image: python:3.11\n")
    assert (found.kind, found.docker, found.lock_kind) == ("docker_env", {"image": "python:3.11"}, None)


def test_variables_in_file_names_are_expanded_as_pip_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM", "linux")
    found = find(tmp_path, **{"requirements.txt": "-r ${PLATFORM}.txt\n", "linux.txt": "a\n"})
    assert [file.path for file in found.files] == ["linux.txt", "requirements.txt"]


BAD = {
    "missing_file": files(MLproject="python_env: python_evn.yaml\n", **{"python_env.yaml": ""}),
    "unknown_key": files(**{"python_env.yaml": 'python: "3.11"\ndependecies: []\n'}),
    "python_number": files(**{"python_env.yaml": "python: 3.10\n"}),
    "dependencies_text": files(**{"python_env.yaml": "dependencies: numpy\n"}),
    "dependency_mapping": files(**{"python_env.yaml": "dependencies:\n- numpy\n- pip: [x]\n"}),
    "not_yaml": files(**{"python_env.yaml": "python: [\n"}),
    "a_list": files(**{"python_env.yaml": "- numpy\n"}),
    "missing_requirements": files(
        **{"python_env.yaml": "dependencies: [-r requirement.txt]\n", "requirements.txt": ""}
    ),
    "missing_nested": files(**{"requirements.txt": "-r base.txt\n"}),
    "remote_requirements": files(**{"requirements.txt": "-r https://example.org/requirements.txt\n"}),
    "conda": files(
        MLproject="conda_env: c.yaml\n", **{"c.yaml": "dependencies:\n- python=3.11\n- cudatoolkit=11\n"}
    ),
    "lock_without_pyproject": files(**{"uv.lock": ""}),
    "pyproject_syntax": files(**{"pyproject.toml": "[project\n"}),
    "requires_python_number": files(**{"pyproject.toml": "[project]\nrequires-python = 3.11\n"}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path: Path, golden, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Conda of this machine
    with pytest.raises(ProjectError) as caught:
        find(tmp_path, **BAD[name])
    golden(f"project/environment_{name}", caught.value)


def test_requirements_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ProjectError):
        find_environment(tmp_path)


def test_nothing_is_read_beside_the_question(tmp_path: Path) -> None:
    assert find_environment(tmp_path, MLProject()).files == ()


@pytest.mark.parametrize(
    ("written", "python"),
    [
        ("^3.10", ">=3.10,<4"),
        ("~3.11", ">=3.11,<3.12"),
        (">=3.10,<3.13", ">=3.10,<3.13"),
        ("3.9 || 3.11", None),
    ],
)
def test_a_lock_of_poetry_and_the_python_beside_it(tmp_path: Path, written: str, python: str | None) -> None:
    project = f'[tool.poetry.dependencies]\npython = "{written}"\n'
    files = {"poetry.lock": "", "pyproject.toml": project, "requirements.txt": "six\n", "pixi.lock": ""}
    found = find(tmp_path, **files)
    assert (found.kind, found.source, found.lock_kind) == ("poetry.lock", "poetry.lock", "poetry.lock")
    assert found.python == python
    assert found.notes == ("`pixi.lock` is not read: its format is not supported",)
    assert [each.path for each in found.files] == ["poetry.lock", "pyproject.toml"]


def test_a_lock_of_pipenv_names_its_python(tmp_path: Path) -> None:
    lock = '{"_meta": {"requires": {"python_version": "3.11"}}}'
    found = find(tmp_path, **{"Pipfile": "", "Pipfile.lock": lock, "poetry.lock": ""})
    assert (found.kind, found.python, found.python_source) == ("Pipfile.lock", "3.11", "Pipfile.lock")
    assert found.notes == ("`poetry.lock` is passed over: `Pipfile.lock` counts",)
    assert find(tmp_path, **{"Pipfile.lock": "{"}).python is None


def test_packages_of_poetry_without_a_lock_are_said_not_to_be_read(tmp_path: Path) -> None:
    found = find(tmp_path, **{"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\nsix = "*"\n'})
    assert (found.kind, found.lock_kind, found.python) == ("none", None, None)
    assert "run `poetry lock`" in found.notes[0]
