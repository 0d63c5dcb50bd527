"""Looking for interpreters: in the environments that reproof keeps in its cache, and beside itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from reproof.base.locations import cache_directory


def mlflow_interpreters(*first: Path) -> tuple[Path, ...]:
    """Where an MLflow that fits a store may be, in the order of asking.

    Args:
        first: Interpreters to be asked before reproof's own and those of the cache.
    """
    return tuple(dict.fromkeys([*first, Path(sys.executable), *interpreters_with("mlflow")]))


def interpreters_with(distribution: str) -> Iterator[Path]:
    """Interpreters of cached environments that have `distribution`, newest first."""
    folder = cache_directory() / "environments"
    environments = [path for path in folder.glob("*/") if (path / "bin/python").exists()]
    for path in sorted(environments, key=lambda path: path.stat().st_mtime, reverse=True):
        if any(path.glob(f"lib/python*/site-packages/{distribution}-*.dist-info")):
            yield path / "bin" / "python"
