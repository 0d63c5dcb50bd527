"""What `[tool.reproof]` asks for happens: in the run, in the record and in the clean room."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from projects import Project

RUN = ("run", "--env-manager", "local")
KNOB = """
import json, os

json.dump({"knob": os.environ.get("MY_KNOB"), "experiment": os.environ.get("MLFLOW_EXPERIMENT_NAME")},
          open("result.json", "w"))
"""


def test_passed_variables_are_handed_on_and_never_recorded(make_project: Callable[..., Project]) -> None:
    project = make_project(
        {
            "train.py": KNOB,
            "pyproject.toml": '[tool.reproof]\npass-env = ["MY_KNOB"]\n',
            ".gitignore": "result.json\n",
        }
    )
    secret = "kept-to-myself"  # noqa: S105
    project.reproof(*RUN, "--", "python", "train.py", expect=0, MY_KNOB=secret)
    assert "MY_KNOB" in project.record()["environment"]["variable_names"]
    assert secret not in project.records()[-1].read_text()
    (project.folder / "result.json").unlink()
    words = ("verify", "--output-format", "json", "--no-log")
    with_it = project.reproof(*words, expect=0, MY_KNOB=secret)
    assert secret not in with_it.out + with_it.err
    told = {each["name"]: (each["value"], each.get("note")) for each in with_it.json["conditions"]}
    assert told["variables"] == ("as set here", "MY_KNOB: their values are not recorded")
    without = project.reproof(*words, expect=1).json
    assert {"name": "variables", "value": "missing", "note": "MY_KNOB: not set here"} in without["conditions"]


def test_recorded_variables_are_recorded_and_replayed(make_project: Callable[..., Project]) -> None:
    project = make_project(
        {
            "train.py": KNOB,
            "pyproject.toml": '[tool.reproof]\nrecord-env = ["MY_KNOB", "MY_TOKEN"]\n',
            ".gitignore": "result.json\n",
        }
    )
    project.reproof(*RUN, "--", "python", "train.py", expect=0, MY_KNOB="7", MY_TOKEN="never", OTHER="x")
    environment = project.record()["environment"]
    assert environment["variables"]["MY_KNOB"] == "7"
    assert {"MY_TOKEN", "OTHER"} <= set(environment["variable_names"])
    assert "never" not in project.records()[-1].read_text()
    verdict = project.verify(expect=0)
    assert {each["subject"]: each["outcome"] for each in verdict["differences"]}["result.json"] == 0


def test_declared_materials_are_recorded_though_nobody_opens_them(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(
        {
            "sub/train.py": 'open("result.json", "w").write("1")\n',
            "sub/data/a.txt": "a\n",
            "sub/data/deep/b.txt": "b\n",
            "sub/other.txt": "c\n",
            "sub/pyproject.toml": '[tool.reproof]\nmaterials = ["data"]\nproducts = ["other.txt"]\n',
            ".gitignore": "result.json\n",
        }
    )
    project.reproof(*RUN, "sub", "--", "python", "train.py", expect=0)
    record = project.record()
    names = {each["name"]: each for each in record["materials"]}
    assert {"sub/data/a.txt", "sub/data/deep/b.txt"} <= names.keys()
    assert "note" not in names["sub/data/a.txt"]
    assert {each["name"]: each.get("origin") for each in record["products"]}["sub/other.txt"] == "declared"
    verdict = project.verify(expect=0)
    assert "factors" not in verdict


@pytest.mark.parametrize(
    ("words", "variables", "expected"),
    [
        ((), {}, "rides"),
        (("--experiment-name", "mine"), {}, "mine"),
        ((), {"MLFLOW_EXPERIMENT_NAME": "theirs"}, "theirs"),
    ],
)
def test_the_experiment_of_the_settings_counts_last(
    make_project: Callable[..., Project], words: tuple[str, ...], variables: dict[str, str], expected: str
) -> None:
    project = make_project(
        {"train.py": KNOB, "pyproject.toml": '[tool.reproof]\nexperiment = "rides"\n'}, commit=True
    )
    project.reproof(*RUN, *words, "--no-log", "--", "python", "train.py", expect=0, **variables)
    assert json.loads((project.folder / "result.json").read_text())["experiment"] == expected
    assert project.record()["project"]["experiment"] == expected
