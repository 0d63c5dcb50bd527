"""Results of a step as JSON files, which later steps read."""

import json
from pathlib import Path
from typing import Any

from bikes.errors import BikesError


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write results, one value a line, so that two files can be compared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def read_results(path: Path) -> dict[str, Any]:
    """Read what an earlier step wrote.

    Raises:
        BikesError: There is no such file, or it is not JSON.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BikesError(f"cannot read `{path}`: {error.strerror}; run the step before") from error
    except ValueError as error:
        raise BikesError(f"`{path}` is not JSON: {error}") from error
    return found
