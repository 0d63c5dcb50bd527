"""How a run was called, from its tags and its commit."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reproof.errors import MissingError, UsageError
from reproof.tracking.values import Run
from reproof.workflow.unrecorded.call import find_call

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes a repository with these files in its index."""

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
        return tmp_path

    return make


def run(source: str, *, parameters: dict[str, str] | None = None, **tags: str) -> Run:
    named = {
        "mlflow.source.name": source,
        **{f"mlflow.{key.replace('_', '.')}": each for key, each in tags.items()},
    }
    return Run(run_id="r", tags=named, parameters=parameters or {})


@pytest.mark.parametrize(
    ("source", "command", "folder"),
    [
        ("train.py", ("python", "train.py"), ""),
        ("./train.py", ("python", "train.py"), ""),
        ("scripts/fit.py", ("python", "scripts/fit.py"), ""),
        ("fit.py", ("python", "fit.py"), "scripts"),
        ("/home/someone/project/scripts/fit.py", ("python", "scripts/fit.py"), ""),
        ("../scripts/fit.py", ("python", "scripts/fit.py"), ""),
    ],
)
def test_a_script_is_found(tree: Tree, source: str, command: tuple[str, ...], folder: str) -> None:
    top = tree({"train.py": "", "scripts/fit.py": ""})
    call = find_call(run(source), top, None, ())
    assert (call.command, call.subdirectory, call.certain) == (command, folder, False)


@pytest.mark.parametrize(
    "source", ["/opt/env/bin/ipykernel_launcher.py", "-c", "", "/usr/bin/flows", "train.ipynb", "a\0b"]
)
def test_what_no_script_is_named(tree: Tree, source: str) -> None:
    with pytest.raises(MissingError) as caught:
        find_call(run(source), tree({"train.py": "", "other.py": ""}), None, ())
    assert caught.value.ingredient == "command"
    assert "`train.py`" in dict(caught.value.details)["scripts"]
    assert "--entry-point" in (caught.value.hint or "")


def test_several_scripts_of_one_name(tree: Tree) -> None:
    top = tree({"a/train.py": "", "b/train.py": ""})
    with pytest.raises(MissingError, match="the commit has several"):
        find_call(run("train.py"), top, None, ())
    assert find_call(run("train.py"), top, "b/train.py", ()).command == ("python", "b/train.py")


def test_the_users_command_is_certain(tree: Tree) -> None:
    call = find_call(run("-c"), tree({"a.py": ""}), None, ("python", "a.py", "1"))
    assert call.certain
    assert call.command == ("python", "a.py", "1")


def test_packages_beside_the_script_come_first(tree: Tree) -> None:
    script = "import flows, tools, numpy\nfrom lib.x import y\n"
    top = tree(
        {"scripts/train.py": script, "src/flows/__init__.py": "", "scripts/tools.py": "", "lib/x.py": "y = 1"}
    )
    call = find_call(run("scripts/train.py"), top, None, ())
    assert call.command == ("env", "PYTHONPATH=src:.", "python", "scripts/train.py")
    inner = find_call(run("train.py"), top, None, ())
    assert inner.command[:2] == ("env", "PYTHONPATH=../src:..")
    assert inner.subdirectory == "scripts"


def test_a_module_of_a_package_is_run_as_one(tree: Tree) -> None:
    top = tree({"src/flows/__init__.py": "", "src/flows/train.py": "from . import fitting\n"})
    call = find_call(run("/x/src/flows/train.py"), top, None, ())
    assert call.command == ("env", "PYTHONPATH=src", "python", "-m", "flows.train")


def test_arguments_that_nobody_knows(tree: Tree) -> None:
    top = tree({"train.py": "p.add_argument('--rate', required=True)", "cli.py": "p.add_subparsers()"})
    with pytest.raises(MissingError, match="needs `--rate`"):
        find_call(run("train.py"), top, None, ())
    with pytest.raises(MissingError, match="has commands"):
        find_call(run("cli.py"), top, None, ())
    call = find_call(run("train.py", parameters={"rate": "$(id); rm"}), top, None, ())
    assert call.command == ("python", "train.py", "--rate=$(id); rm")  # one word, no shell


SCRIPTS = '[project.scripts]\nfit = "flows.cli:main"\n'


@pytest.mark.parametrize(("folder", "module"), [("", "src/flows/cli.py"), ("sub", "flows/cli/__init__.py")])
def test_a_console_script_of_the_commit(tree: Tree, folder: str, module: str) -> None:
    source = "@click.option('--rate', default=1.0)\ndef main(rate): ..."
    top = tree({f"{folder}/pyproject.toml".lstrip("/"): SCRIPTS, f"{folder}/{module}".lstrip("/"): source})
    call = find_call(run("/home/someone/.venv/bin/fit", parameters={"rate": "0.5"}), top, None, ())
    assert (call.command, call.subdirectory, call.certain) == (("fit", "--rate=0.5"), folder, False)
    assert "`flows.cli`" in (call.assumed[0].note or "")


def test_a_console_script_with_commands_is_named_in_the_hint(tree: Tree) -> None:
    top = tree({"pyproject.toml": SCRIPTS, "flows/cli.py": "@click.group()\ndef main(): ..."})
    with pytest.raises(MissingError, match=r"`flows/cli.py` has commands") as caught:
        find_call(run("/env/bin/fit"), top, None, ())
    assert "`-- fit train`" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["/env/bin/other", "fit", "/home/fit"])
def test_what_is_no_console_script_of_the_commit(tree: Tree, name: str) -> None:
    with pytest.raises(MissingError, match="the commit has no script") as caught:
        find_call(
            run(name),
            tree({"pyproject.toml": SCRIPTS, "flows/__init__.py": "", "flows/cli.py": ""}),
            None,
            (),
        )
    assert "`--entry-point flows/cli.py`" in (caught.value.hint or "")


PROJECT = """
entry_points:
  main:
    parameters:
      conf: {type: path, default: a.yaml}
      text: {type: string, default: x}
    command: "python train.py {conf} {text}"
"""


def test_an_entry_point_of_mlflow_run(tree: Tree) -> None:
    top = tree({"inner/MLproject": PROJECT, "inner/confs/b.yaml": "", "inner/train.py": ""})
    parameters = {"conf": "/home/other/inner/confs/b.yaml", "text": "'a b; c'", "logged": "1"}
    wanted = run(
        "file:///home/other#inner", parameters=parameters, source_type="PROJECT", project_entryPoint="main"
    )
    call = find_call(wanted, top, None, ())
    assert (call.subdirectory, call.entry_point, call.certain) == ("inner", "main", True)
    assert call.parameters == {"conf": str(top / "inner/confs/b.yaml"), "text": "a b; c"}
    assert call.given == {"conf", "text"}


def test_entry_points_that_are_not_there(tree: Tree) -> None:
    top = tree({"MLproject": PROJECT})
    with pytest.raises(MissingError, match="names the entry point `fit`"):
        find_call(run(".", source_type="PROJECT", project_entryPoint="fit"), top, None, ())
    with pytest.raises(UsageError, match="has no entry point `fit`"):
        find_call(run("."), top, "fit", ())


def test_a_path_that_git_does_not_have(tree: Tree) -> None:
    top = tree({"inner/MLproject": PROJECT})
    wanted = run(
        "file:///home/other/p#inner",
        parameters={"conf": "/home/other/p/inner/data/rows.csv"},
        source_type="PROJECT",
        project_entryPoint="main",
    )
    assert find_call(wanted, top, None, ()).parameters["conf"] == str(top / "inner/data/rows.csv")
    outside = run(
        "file:///home/other/p#inner", parameters={"conf": "/mnt/rows.csv"}, project_entryPoint="main"
    )
    assert find_call(outside, top, None, ()).parameters["conf"] == "/mnt/rows.csv"
    leading_out = run(".", parameters={"conf": "../../x.csv"}, project_entryPoint="main")
    assert find_call(leading_out, top, None, ()).parameters["conf"] == "../../x.csv"
