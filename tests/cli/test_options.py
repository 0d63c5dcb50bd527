"""Options that several verbs share: who does the work, and what it occupies."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from reproof.cli.options import hands, jobs
from reproof.workflow.many import Hands


def read(*words: str) -> tuple[Hands | None, str]:
    found: list[Hands] = []

    @click.command()
    @jobs
    def command(**options: Any) -> None:
        found.append(hands(options))
        assert options == {}

    result = CliRunner().invoke(command, words)
    return (found[0] if found else None), result.output


def test_one_at_a_time_here_unless_told() -> None:
    assert read()[0] == Hands(count=1)
    assert read("--jobs", "3", "--resources", "cpus=2, GPU=0.5")[0] == Hands(
        count=3, resources={"cpus": 2.0, "GPU": 0.5}
    )


def test_a_cluster_has_a_queue_of_its_own() -> None:
    assert read("--on", "dask://host.example:8786")[0] == Hands(count=1024, cluster="tcp://host.example:8786")
    assert read("--on", "dask://[::1]:8786", "--jobs", "2")[0] == Hands(count=2, cluster="tcp://[::1]:8786")


@pytest.mark.parametrize(
    "address", ["host:8786", "dask://host", "dask://:1", "dask://a b:1", "dask://host:port"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    found, said = read("--on", address)
    assert found is None
    assert "is no address like `dask://HOST:PORT`" in said


@pytest.mark.parametrize("amount", ["GPU", "GPU=", "GPU=0", "GPU=-1", "=1", "GPU=one", "GPU=nan", "GPU:1"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    found, said = read("--resources", amount)
    assert found is None
    assert f"`{amount}` is no amount like `GPU=1`" in said
