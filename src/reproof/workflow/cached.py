"""Looking through the environments that reproof keeps in its cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reproof.base.locations import cache_directory


def interpreters_with(distribution: str) -> Iterator[Path]:
    """Interpreters of cached environments that have `distribution`, newest first."""
    folder = cache_directory() / "environments"
    environments = [path for path in folder.glob("*/") if (path / "bin/python").exists()]
    for path in sorted(environments, key=lambda path: path.stat().st_mtime, reverse=True):
        if any(path.glob(f"lib/python*/site-packages/{distribution}-*.dist-info")):
            yield path / "bin" / "python"
