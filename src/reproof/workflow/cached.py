"""Looking for interpreters: the active one, reproof's own, and those of the environments in its cache."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from reproof.base.locations import cache_directory


def mlflow_interpreters(*first: Path) -> tuple[Path, ...]:
    """Where an MLflow that fits a store may be, in the order of asking.

    Args:
        first: Interpreters to be asked before that of the active environment, reproof's own and those
            of the cache.
    """
    active = [Path(found) for name in ("python", "python3") if (found := shutil.which(name))][:1]
    cached = interpreters_with("mlflow", "mlflow_skinny")
    return tuple(dict.fromkeys([*first, *active, Path(sys.executable), *cached]))


def interpreters_with(*distributions: str) -> tuple[Path, ...]:
    """Interpreters of cached environments that have one of the `distributions`: by their order, then newest first."""
    folder = cache_directory() / "environments"
    environments = [path for path in folder.glob("*/") if (path / "bin/python").exists()]
    found: dict[str, list[Path]] = {name: [] for name in distributions}
    for path in sorted(environments, key=lambda path: path.stat().st_mtime, reverse=True):
        metadata = path.glob("lib/python*/site-packages/*.dist-info")
        for name in {each.name.partition("-")[0] for each in metadata} & found.keys():
            found[name].append(path / "bin" / "python")
    return tuple(python for name in distributions for python in found[name])
