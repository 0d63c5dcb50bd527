"""Tags for MLflow runs that are started inside `reproof run` or `verify`.

MLflow imports this in every process that starts runs: the standard library only, and nothing of MLflow,
whose own import is still under way.
"""

from __future__ import annotations

import os


class ReproofContext:
    """The interface of `mlflow.tracking.context.abstract_context.RunContextProvider`."""

    def in_context(self) -> bool:
        """Whether this process belongs to a run that is being recorded."""
        return "REPROOF_OBSERVATIONS" in os.environ

    def tags(self) -> dict[str, str]:
        """What the run is part of."""
        return {"reproof.within": "verify" if "REPROOF_ROOM" in os.environ else "run"}
