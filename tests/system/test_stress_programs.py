"""`stress` on programs that are none of Python's: what does not load a shim is not passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from projects import Project, user_environment

_SOURCE = """
#include <stdio.h>
#include <time.h>
int main(void)
{
    time_t now = time(NULL);
    FILE *file = fopen("result.json", "w");
    fprintf(file, "{\\"year\\": %d, \\"one\\": 1}\\n", gmtime(&now)->tm_year + (gmtime(&now)->tm_mon + 1) * 1000);
    return fclose(file);
}
"""


def stressed(tmp_path: Path, *flags: str) -> dict[str, Any]:
    """What `stress` says of a program in C that writes the year and month, by the name of the variation."""
    project = Project(tmp_path, user_environment(tmp_path.parent))
    project.write("program.c", _SOURCE)
    project.write(".gitignore", "result.json\n")
    built = project.shell(f"cc {' '.join(flags)} -o program program.c", check=False)
    if built.status:
        pytest.skip(f"cannot be linked here: {built.err[-200:]}")
    project.commit()
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "./program", expect=0)
    done = project.reproof("stress", "--vary", "clock,umask", "--output-format", "json")
    assert done.status in (0, 1), done.err
    return {each["name"]: each for each in done.json["exercises"]}


@pytest.mark.needs("cc")
def test_a_program_in_c_depends_on_the_date(tmp_path: Path) -> None:
    found = stressed(tmp_path)
    assert found["clock"]["outcome"] == "differs"
    assert found["umask"]["outcome"] == "same"


@pytest.mark.needs("cc")
def test_of_a_statically_linked_program_the_date_is_not_exercised(tmp_path: Path) -> None:
    found = stressed(tmp_path, "-static")
    assert found["clock"]["outcome"] == "not exercised"
    assert "statically linked" in found["clock"]["reason"]
    assert found["umask"]["outcome"] == "same"
