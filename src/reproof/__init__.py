"""reproof re-creates a machine-learning result and proves whether it came out the same.

::

    import reproof

    recorded = reproof.run(".", parameters={"conf_file": "confs/training.yaml"})
    verdict = reproof.verify(recorded)
    assert verdict.reproduced

Every name here is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "Difference": "reproof.model.difference",
    "Outcome": "reproof.model.difference",
    "Record": "reproof.model.record",
    "ReproofError": "reproof.errors",
    "Tolerance": "reproof.model.policy",
    "Verdict": "reproof.model.verdict",
    "diff": "reproof.workflow.library",
    "run": "reproof.workflow.library",
    "verify": "reproof.workflow.library",
}

__all__ = [
    "Difference",
    "Outcome",
    "Record",
    "ReproofError",
    "Tolerance",
    "Verdict",
    "diff",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        msg = f"module 'reproof' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
