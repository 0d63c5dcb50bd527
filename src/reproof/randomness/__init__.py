"""Seeds and states of generators, for code and notebooks: works with and without a run of reproof.

Nothing is imported for it: what is loaded is seeded at once, what is loaded later when it comes.
"""

from __future__ import annotations

from reproof.randomness.seeding import seed_everything, seeded, worker_init_fn
from reproof.randomness.states import RandomState, collect_states, random_state, restore_states

__all__ = [
    "RandomState",
    "collect_states",
    "random_state",
    "restore_states",
    "seed_everything",
    "seeded",
    "worker_init_fn",
]
