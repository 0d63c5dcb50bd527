"""States of all shared generators as one value, for checkpoints."""

from __future__ import annotations

from typing import Any

from reproof.randomness.libraries import LIBRARIES, loaded


def collect_states() -> dict[str, Any]:
    """The states of the shared generators of all libraries that are loaded, by the library's name.

    The value can be pickled and put into a checkpoint (`torch.save`); nothing in it is shared with the
    generators. Generators that the program made itself (`default_rng`, `torch.Generator`, keys of JAX) are
    not in it: they are the program's to keep. cuRAND, which CuPy uses, tells no state.
    """
    found: dict[str, Any] = {}
    for library in LIBRARIES:
        module = loaded(library)
        if module is not None:
            found[library.module] = library.collect(module)
    return found


def restore_states(states: dict[str, Any]) -> None:
    """Give generators the states that :func:`collect_states` took.

    Libraries that were not loaded then, or are not loaded now, are left alone.
    """
    for library in LIBRARIES:
        module = loaded(library)
        if module is not None and library.module in states:
            library.restore(module, states[library.module])


class RandomState:
    """What a checkpoint asks of its parts: `state_dict` and `load_state_dict`, for the states of generators."""

    def state_dict(self) -> dict[str, Any]:
        """See :func:`collect_states`."""
        return collect_states()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See :func:`restore_states`."""
        restore_states(state_dict)


def random_state() -> RandomState:
    """The generators as a part of a checkpoint, beside model and optimiser."""
    return RandomState()
