"""Entropy through the whole loop: recorded, controlled, forbidden; and whether code repeats by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from projects import Project

pytestmark = pytest.mark.usefixtures("warm")

RUN = ("run", "--env-manager", "local", "--no-log")
HELPER = "import random\ndef noise():\n    return random.Random().random()\n"
TRAIN = """import json, random
from helper import noise
json.dump([noise(), noise(), random.random()], open("result.json", "w"))
"""
SEEDED = 'import json, random\nrandom.seed(3)\njson.dump(random.random(), open("result.json", "w"))\n'
WORDS = 'import json\njson.dump(list({"a", "b", "c", "d", "e", "f", "g", "h"}), open("result.json", "w"))\n'


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project({"helper.py": HELPER, "train.py": TRAIN, ".gitignore": "result.json\n"})


def recorded(project: Project, *words: str, expect: int = 0) -> Any:
    result = project.reproof(*RUN, *words, "--", "python", "train.py", expect=expect)
    return next(line for line in result.err.splitlines() if line.startswith("randomness:"))


def test_under_control_it_repeats_and_says_by_whom(project: Project) -> None:
    line = recorded(project, "--seed", "42")
    assert line == (
        "randomness: seed 42 (option), 1 generator seeded, 1 unseeded draw controlled at helper.py:3 "
        "(`random.Random` without a seed)"
    ).replace("random.Random`", "random.Random()`")
    first = (project.folder / "result.json").read_text()
    chance = project.record()["randomness"]
    assert chance["entropy"] == "control"
    assert {(draw["what"], draw["by"]) for draw in chance["unseeded"]} == {
        ("random.Random()", "stream"),
        ("random.random()", "seed"),
    }
    verdict = project.verify(expect=0)
    assert verdict["covered"] == ["`random.Random()` at helper.py:3", "the module `random`"]
    (condition,) = (each for each in verdict["conditions"] if each["name"] == "chance")
    assert condition["note"] == (
        "holds with reproof's seed for: `random.Random()` at helper.py:3, the module `random`"
    )
    assert verdict["readable"]["by_itself"] == "not tried"
    recorded(project, "--seed", "42")
    assert (project.folder / "result.json").read_text() == first
    recorded(project, "--seed", "43")
    assert (project.folder / "result.json").read_text() != first


def test_strict_pins_the_systems_bytes_and_says_so(project: Project) -> None:
    project.write("train.py", 'import json, uuid\njson.dump(str(uuid.uuid4()), open("result.json", "w"))\n')
    project.commit()
    line = recorded(project, "--seed", "42", "--determinism", "strict")
    assert line.endswith("1 unseeded draw controlled at train.py:2 (`uuid.uuid4()`)")
    verdict = project.verify(expect=0)
    (condition,) = (each for each in verdict["conditions"] if each["name"] == "chance")
    assert condition["note"] == "holds with reproof's seed for: `uuid.uuid4()` at train.py:2"
    assert project.verify("--by-itself", expect=0)["by_itself"] == "no"


def test_tried_by_itself(project: Project) -> None:
    recorded(project, "--seed", "42")
    verdict = project.verify("--by-itself", expect=0)
    assert (verdict["word"], verdict["by_itself"]) == ("repeated", "no")
    project.write("train.py", SEEDED)
    project.commit()
    recorded(project, "--seed", "42")
    assert project.verify("--by-itself", expect=0)["by_itself"] == "yes"
    text = project.reproof("verify", expect=0).out
    assert "`--by-itself` tries whether the code repeats without reproof's seed" in text


def test_a_fixed_hash_seed_is_no_property_of_the_code(project: Project) -> None:
    project.write("train.py", WORDS)
    project.commit()
    recorded(project, "--seed", "42")
    assert project.verify(expect=0)["readable"]["by_itself"] == "not tried"
    assert project.verify("--by-itself", expect=0)["by_itself"] == "no"


def test_only_recorded(project: Project) -> None:
    line = recorded(project, "--seed", "42", "--entropy", "record")
    assert line.endswith("1 uncontrolled draw at helper.py:3 (`random.Random()` without a seed)")
    verdict = project.verify(expect=1)
    assert (verdict["stability"], verdict["by_itself"]) == ("varies", "no")
    assert [(draw["where"], draw["count"]) for draw in verdict["draws"]] == [("${PROJECT}/helper.py:3", 2)]
    text = project.reproof("show", "last", expect=0).out
    assert "uncontrolled" in text
    project.reproof("verify", "--output-format", "html", "-o", "page.html", expect=1)
    page = (project.folder / "page.html").read_text()
    assert page.index("Entropy that was drawn") < page.index("helper.py:3") < page.index("artifacts")


def test_a_run_that_varies_without_a_draw_says_what_is_not_seen(project: Project) -> None:
    project.write("train.py", WORDS)
    project.commit()
    recorded(project, "--seed", "none")
    text = project.reproof("verify", expect=1).out
    assert re.search(r"no uncontrolled draw +not seen: order of sets", text)


def test_forbidden(project: Project, golden: Callable[[str, str], None]) -> None:
    result = project.reproof(*RUN, "--entropy", "forbid", "--", "python", "train.py", expect=125)
    text = result.err[result.err.index("error: the run drew") :]
    golden("bad_input/entropy_forbidden", re.sub(r"(record +)[0-9a-f]{12}", r"\1<id>", text))
    assert "in noise" in result.err  # the traceback of the program leads to the place
    record = project.record()
    assert record["state"] == "failed"
    assert record["randomness"]["entropy"] == "forbid"
    project.write("train.py", SEEDED)
    project.commit()
    assert "uncontrolled" not in recorded(project, "--entropy", "forbid", "--seed", "none")
    assert project.verify(expect=0)["by_itself"] == "yes"


def test_control_without_a_seed(project: Project, golden: Callable[[str, str], None]) -> None:
    words = ("--entropy", "control", "--seed", "none", "--", "python", "train.py")
    golden("bad_input/entropy_without_seed", project.reproof(*RUN, *words, expect=125).err)


def test_settings(project: Project) -> None:
    project.write("pyproject.toml", '[tool.reproof]\nentropy = "record"\nseed = 42\n')
    project.commit()
    recorded(project)
    assert "entropy" not in project.record()["randomness"]  # the default of the format
    recorded(project, "--entropy", "control")
    assert project.record()["randomness"]["entropy"] == "control"
    project.write("pyproject.toml", '[tool.reproof]\nentropy = "control"\n')
    project.commit()
    recorded(project, "--seed", "none")  # without a seed there is nothing to derive streams from
    assert "entropy" not in project.record()["randomness"]
