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
