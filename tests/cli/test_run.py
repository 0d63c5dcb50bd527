"""Words of `reproof run`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from reproof.cli.main import program
from reproof.errors import UsageError


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("python train.py --rate 5", "reproof run -- python train.py --rate 5"),
        ("python train.py", "reproof run -- python train.py"),
        ("--seed 1 train.py --rate 5", "reproof run --seed 1 -- python train.py --rate 5"),
    ],
)
def test_a_command_without_its_dashes(
    words: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()
    with pytest.raises(UsageError) as caught:
        program.main(["run", *words.split()], standalone_mode=False)
    assert caught.value.hint == f"a command comes after `--`: `{meant}`"
    assert caught.value.message[0].islower()


def test_words_that_are_no_program_are_wrong_as_ever() -> None:
    with pytest.raises(click.UsageError, match="No such option"):
        program.main(["run", ".", "--no-such-option"], standalone_mode=False)
