"""Options of scripts, read from their source."""

from __future__ import annotations

import pytest

from reproof.project.script_options import read_options, words_for

ARGPARSE = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("data")
p.add_argument("--learning-rate", type=float, required=True)
p.add_argument("-d", "--depth", dest="max_depth", type=int)
p.add_argument("--augment", action="store_true")
p.add_argument("--no-cache", dest="cache", action="store_false")
p.add_argument("--layers", nargs="+", type=int)
p.add_argument("--tag", action="append")
p.add_argument("--fast", action=argparse.BooleanOptionalAction)
p.add_argument("--version", action="version", version="1")
"""
CLICK = """
import click
@click.command()
@click.option("--lr", "rate", type=float)
@click.option("--shuffle/--no-shuffle", default=True)
@click.option("--verbose", is_flag=True)
@click.option("--name", multiple=True)
@click.argument("source")
def main(rate, shuffle, verbose, name, source): ...
"""


def test_argparse() -> None:
    given = {
        "data": "rows.csv",
        "learning_rate": "0.5",
        "max_depth": "-3",
        "augment": "True",
        "cache": "False",
        "layers": "[64, 32]",
        "tag": "['a', 'b c']",
        "fast": "False",
        "accuracy_of_nothing": "1",
    }
    words, used, missing = words_for(read_options(ARGPARSE), given)
    assert words == [
        "--learning-rate=0.5",
        "--depth=-3",
        "--augment",
        "--no-cache",
        *("--layers", "64", "32"),
        "--tag=a",
        "--tag=b c",
        "--no-fast",
        "rows.csv",
    ]
    assert "accuracy_of_nothing" not in used
    assert not missing


def test_what_is_absent_or_off_is_left_out() -> None:
    words, _, missing = words_for(
        read_options(ARGPARSE),
        {"data": "x", "learning_rate": "1", "augment": "False", "cache": "True", "max_depth": "None"},
    )
    assert words == ["--learning-rate=1", "x"]
    assert not missing


def test_required_options_without_a_value_are_named() -> None:
    assert words_for(read_options(ARGPARSE), {})[2] == ["data", "--learning-rate"]


@pytest.mark.parametrize("name", ["rate", "lr"])
def test_click_by_either_name(name: str) -> None:
    given = {name: "0.1", "shuffle": "False", "verbose": "true", "name": "('a', 'b')", "source": "-x"}
    words, _, _ = words_for(read_options(CLICK), given)
    assert words == ["--lr=0.1", "--no-shuffle", "--verbose", "--name=a", "--name=b", "--", "-x"]


def test_commands_below_a_script_are_seen() -> None:
    assert read_options("import click\n@click.group()\ndef cli(): ...\n").commands
    assert read_options("p.add_subparsers()").commands
    assert not read_options(CLICK).commands


def test_other_kinds() -> None:
    assert read_options("import hydra\n@hydra.main(config_path='.')\ndef main(c): ...").kind == "hydra"
    assert read_options("import sys\nprint(sys.argv)").raw
    assert read_options("print 'python 2'").options == ()
    assert read_options("x = '\\0'; \0").options == ()


TYPER = """
import typer
from typing import Annotated, List, Optional

def main(
    source: str,
    learning_rate: float = 0.1,
    depth: Annotated[int, typer.Option("--max-depth", "-d")] = 3,
    name: str = typer.Option(..., "--name", help="of the run"),
    augment: bool = False,
    force: bool = typer.Option(False, "--force", help="at any price"),
    layers: Optional[List[int]] = None,
    tags: list[str] = typer.Option([], "--tag"),
    out: str = typer.Argument("out"),
):
    ...

ENTRY
"""


@pytest.mark.parametrize(
    "entry", ["typer.run(main)", "app = typer.Typer()\n@app.command()\ndef other(): ..."]
)
def test_typer(entry: str) -> None:
    source = TYPER.replace("ENTRY", entry)
    if "command" in entry:
        source = source.replace("def main(", "@app.command()\ndef main(").replace(
            "def other(): ...", "def last(x): ..."
        )
        assert read_options(source).commands
        return
    given = {
        "source": "rows.csv",
        "learning_rate": "0.5",
        "depth": "4",
        "name": "a b",
        "augment": "False",
        "force": "True",
        "layers": "[64, 32]",
        "tags": "['x', 'y']",
        "out": "there",
    }
    options = read_options(source)
    assert options.kind == "typer"
    words, _, missing = words_for(options, given)
    assert words == [
        "--learning-rate=0.5",
        "--max-depth=4",
        "--name=a b",
        "--no-augment",
        "--force",
        "--layers=64",
        "--layers=32",
        "--tag=x",
        "--tag=y",
        "rows.csv",
        "there",
    ]
    assert not missing
    assert words_for(options, {})[2] == ["source", "--name"]


def test_another_run_is_no_typer() -> None:
    assert not read_options("def main(a): ...\nrun(main)").options


def test_a_callback_of_typer_means_commands() -> None:
    source = "import typer\napp = typer.Typer()\n@app.callback()\ndef top(): ...\n@app.command()\ndef fit(a: int): ..."
    assert read_options(source).commands
