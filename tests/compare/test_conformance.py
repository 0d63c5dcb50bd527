"""Every comparator of the registry keeps the promises of the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import SAMPLES

from reproof.compare.registry import comparator, kinds
from reproof.testing import check_comparator


@pytest.mark.parametrize("kind", kinds())
def test_conforms(kind: str, tmp_path: Path) -> None:
    check_comparator(comparator(kind), SAMPLES[kind](tmp_path))


def test_every_kind_has_samples() -> None:
    assert set(kinds()) <= set(SAMPLES)
