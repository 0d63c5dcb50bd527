"""The fixture `reproof_seed`: a test under a seed, after which every generator is as it was before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reproof.randomness.seeding import seeded

_DEFAULT = 42


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--reproof-seed N``, and ``reproof_seed`` in the configuration."""
    text = f"seed of tests that ask for the fixture `reproof_seed`  [default: {_DEFAULT}]"
    parser.getgroup("reproof").addoption("--reproof-seed", type=int, default=None, metavar="N", help=text)
    parser.addini("reproof_seed", text, default=str(_DEFAULT))


@pytest.fixture
def reproof_seed(pytestconfig: pytest.Config) -> Iterator[int]:
    """Seed everything for one test; its value is the seed."""
    given = pytestconfig.getoption("--reproof-seed")
    with seeded(int(pytestconfig.getini("reproof_seed")) if given is None else given) as seed:
        yield seed
