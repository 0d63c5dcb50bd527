"""Does a change alter the result: the recorded run with the code of another commit."""

from __future__ import annotations

import pytest

from projects import PLAIN, Project


@pytest.fixture
def recorded(plain: Project) -> Project:
    plain.reproof("run", "--env-manager", "local", "--no-log", "--", "python", "train.py", "0.2", expect=0)
    return plain


def test_a_change_that_alters_nothing(recorded: Project) -> None:
    recorded.write("train.py", PLAIN.replace("for row in rows:", "for row in list(rows):  # tidied"))
    recorded.write("README.md", "new\n")
    recorded.commit()
    verdict = recorded.verify("--code", "HEAD", expect=0)
    assert verdict["word"] == "same result"
    assert verdict["replaced"][0].endswith("(HEAD)")
    assert (
        "never verified" in recorded.reproof("show", "--verdict", expect=2).err
    )  # it is no verdict on the record
    assert recorded.verify(expect=0)["word"] == "repeated"


def test_a_change_that_alters_the_result(recorded: Project) -> None:
    recorded.write("train.py", PLAIN.replace("range(100)", "range(1)"))
    recorded.commit()
    said = recorded.reproof("verify", "--code", "HEAD", expect=1).out
    assert said.startswith("other result: code ")
    assert "alters 1 of 2 comparisons" in said
    github = recorded.reproof("verify", "--code", "HEAD", "--output-format", "github", expect=1).out
    assert "other result" in github


def test_data_in_git_belongs_to_the_code(recorded: Project) -> None:
    recorded.write("data.txt", "7\n8\n")
    recorded.commit()
    recorded.verify("--code", "HEAD", expect=1)


def test_a_commit_that_is_not_there(recorded: Project) -> None:
    failed = recorded.reproof("verify", "--code", "nowhere", expect=2)
    assert "cannot take the code of `nowhere`: the repository has no such commit" in failed.err


def test_other_data(recorded: Project) -> None:
    recorded.write("new/data.txt", "1\n2\n3.5\n")
    verdict = recorded.verify("--data", "data.txt=new/data.txt", expect=0)
    assert verdict["word"] == "same result"
    assert verdict["replaced"][0].endswith("-> the same")
    recorded.write("new/data.txt", "7\n8\n")
    verdict = recorded.verify("--data", "data.txt=new/data.txt", expect=1)
    assert verdict["word"] == "other result"
    assert verdict["replaced"][0].startswith("data `data.txt` blake3:")
    assert recorded.verify(expect=0)["word"] == "repeated"


def test_other_data_for_what_git_does_not_track(plain: Project) -> None:
    plain.write("train.py", PLAIN.replace("data.txt", "raw/rows.txt"))
    plain.write(".gitignore", "model.json\nraw/\nother/\n")
    plain.commit()
    plain.write("raw/rows.txt", "1\n2\n")
    plain.write("other/rows.txt", "5\n")
    plain.reproof("run", "--env-manager", "local", "--no-log", "--", "python", "train.py", "0.2", expect=0)
    assert plain.verify("--data", "other", expect=1)["word"] == "other result"
    failed = plain.reproof("verify", "--data", "train.py", expect=2)
    assert "none of the places that `--data` names has an input of the run" in failed.err
    assert "`raw/rows.txt`" in failed.err
    failed = plain.reproof("verify", "--data", "raw/row.txt=other/rows.txt", expect=2)
    assert "the run has no input `raw/row.txt` to be replaced" in failed.err
    failed = plain.reproof("verify", "--data", "nowhere", expect=2)
    assert "to take data from" in failed.err


def test_other_packages(plain: Project, warm: None) -> None:
    source = "import six, json\njson.dump(six.__version__[:2], open('model.json', 'w'))\n"
    plain.write("train.py", source)
    plain.write("requirements.txt", "six==1.16.0\npip==24.0\n")
    plain.write("newer.txt", "six==1.17.0\n")  # which pip is not for it to say
    plain.commit()
    plain.env.pop("VIRTUAL_ENV", None)
    plain.reproof("run", "--env-manager", "uv", "--no-log", "--", "python", "train.py", expect=0)
    verdict = plain.verify("--env", "newer.txt", expect=0)
    assert verdict["word"] == "same result"
    assert verdict["replaced"][0] == "environment `requirements.txt` -> `newer.txt` (six 1.16.0 -> 1.17.0)"
    made = next(each for each in verdict["conditions"] if each["name"] == "environment")
    assert made["note"] == "from `newer.txt`, as resolved now"
    plain.write("ranged/python_env.yaml", "python: '>=3.8'\ndependencies: [six==1.16.0]\n")
    verdict = plain.verify(
        "--env", "ranged/python_env.yaml", expect=0
    )  # a range does not ask for another Python
    assert verdict["replaced"][0].endswith("(the same versions)")
    python = next(each for each in verdict["conditions"] if each["name"] == "Python")
    assert python["note"] == "the same build"
    failed = plain.reproof("verify", "--env", "nowhere.txt", expect=2)
    assert "to take an environment from" in failed.err
    assert plain.verify(expect=0)["word"] == "reproduced"


def test_what_belongs_to_runs_without_a_record(recorded: Project) -> None:
    failed = recorded.reproof("verify", "last", "-e", "train.py", expect=2)
    assert "the record says what was run" in failed.err
