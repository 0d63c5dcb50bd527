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
