"""Console scripts that a project's files declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.project.console_scripts import read_console_scripts

SETUP_CFG = """
[options.entry_points]
console_scripts =
    fit = flows.fit:main
    rate=flows.rate : run [fast]
gui_scripts =
    show = flows.show:main
"""


@pytest.mark.parametrize(
    ("name", "text", "scripts"),
    [
        ("pyproject.toml", '[project.scripts]\nfit = "flows.cli:main"\n', {"fit": "flows.cli"}),
        ("pyproject.toml", '[tool.poetry.scripts]\nfit = "flows:main"\n', {"fit": "flows"}),
        (
            "pyproject.toml",
            '[tool.poetry.scripts]\nfit = {reference = "flows.cli:main", type = "console"}\n',
            {"fit": "flows.cli"},
        ),
        ("setup.cfg", SETUP_CFG, {"fit": "flows.fit", "rate": "flows.rate"}),
    ],
)
def test_declared_scripts(tmp_path: Path, name: str, text: str, scripts: dict[str, str]) -> None:
    (tmp_path / name).write_text(text)
    assert read_console_scripts(tmp_path) == scripts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[project.scripts\n"),
        ("pyproject.toml", 'project = 1\ntool = "x"\n'),
        ("pyproject.toml", '[project.scripts]\nfit = 3\nrun = "../x:main"\n'),
        ("setup.cfg", "console_scripts = x"),
        ("setup.cfg", "[options.entry_points]\nconsole_scripts = %(x)s\n"),
        ("setup.py", "setup(entry_points={'console_scripts': ['fit = flows:main']})"),
    ],
)
def test_nothing_is_declared(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_console_scripts(tmp_path) == {}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text('[project.scripts]\nfit = "flows.cli:main"\n')
    (tmp_path / "pyproject.toml").symlink_to("real.toml")
    assert read_console_scripts(tmp_path) == {}
