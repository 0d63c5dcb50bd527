"""reproof re-creates a machine-learning result and proves whether it came out the same.

::

    import reproof

    recorded = reproof.run(".", parameters={"conf_file": "confs/training.yaml"})
    verdict = reproof.verify(recorded)
    assert verdict.reproduced

    reproof.seed_everything(42)  # in code and notebooks, with and without a run of reproof

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
    "collect_states": "reproof.randomness",
    "diff": "reproof.workflow.library",
    "random_state": "reproof.randomness",
    "restore_states": "reproof.randomness",
    "run": "reproof.workflow.library",
    "seed_everything": "reproof.randomness",
    "seeded": "reproof.randomness",
    "verify": "reproof.workflow.library",
    "worker_init_fn": "reproof.randomness",
}

__all__ = [
    "Difference",
    "Outcome",
    "Record",
    "ReproofError",
    "Tolerance",
    "Verdict",
    "collect_states",
    "diff",
    "random_state",
    "restore_states",
    "run",
    "seed_everything",
    "seeded",
    "verify",
    "worker_init_fn",
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
