"""Seeding all shared generators at once, for a while, and in workers."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha512
from types import ModuleType

from reproof.errors import UsageError
from reproof.randomness import later
from reproof.randomness.libraries import LIBRARIES, Library, loaded
from reproof.randomness.states import collect_states, restore_states

_HASH_SEED = "PYTHONHASHSEED"
_last: dict[str, int] = {}


def seed_everything(seed: int) -> int:
    """Seed the shared generators of every library: those that are loaded now, the others when they come.

    These are `random`, NumPy's global state, PyTorch (all devices; cuDNN is made deterministic and does not
    search for the fastest kernel), TensorFlow, Keras and CuPy. Keys of JAX are the program's own.
    PYTHONHASHSEED is set for programs that are started later; for this one it is too late.

    Args:
        seed: A whole number that is not negative; what a library cannot take is reduced modulo its range.

    Returns:
        The seed.

    Raises:
        UsageError: It is no such number.
    """
    number = _checked(seed)
    missing: dict[str, Callable[[ModuleType], None]] = {}
    for library in LIBRARIES:
        module = loaded(library)
        if module is not None:
            library.seed(module, number)
        else:
            missing[library.module] = partial(_seed_late, library, number)
    later.when_imported(missing)
    os.environ[_HASH_SEED] = str(number % 2**32)
    _last["seed"] = number
    return number


@contextmanager
def seeded(seed: int) -> Iterator[int]:
    """Seed everything for a block (or, as a decorator, a function), and give all states back afterwards.

    A library that is first imported within the block keeps its seed: it had no state before.

    Raises:
        UsageError: The seed is no whole number that is not negative.
    """
    number = _checked(seed)
    states, waiting, hash_seed = collect_states(), later.waiting(), os.environ.get(_HASH_SEED)
    last = dict(_last)
    try:
        seed_everything(number)
        yield number
    finally:
        restore_states(states)
        later.when_imported({name: call for name, call in waiting.items() if name not in sys.modules})
        _last.clear()
        _last.update(last)
        if hash_seed is None:
            os.environ.pop(_HASH_SEED, None)
        else:
            os.environ[_HASH_SEED] = hash_seed


def worker_init_fn(worker: int) -> None:
    """Seed `random` and NumPy in a worker of a DataLoader, each worker otherwise.

    The number comes from the seed that PyTorch gave this worker, and without PyTorch from the one that
    :func:`seed_everything` was given: pass it as ``DataLoader(..., worker_init_fn=reproof.worker_init_fn)``.

    Args:
        worker: Number of the worker.
    """
    torch = sys.modules.get("torch")
    base = torch.initial_seed() if torch is not None else _last.get("seed")
    if base is None:
        return
    number = derived(base, f"worker.{worker}")
    random.seed(number)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(number % 2**32)


def derived(seed: int, role: str) -> int:
    """A seed below 2**64 for a part of a program: the first bytes of sha512 of ``SEED/ROLE``."""
    return int.from_bytes(sha512(f"{seed}/{role}".encode()).digest()[:8], "big")


def _checked(seed: int) -> int:
    try:
        number = seed.__index__()
    except (AttributeError, TypeError):
        number = -1
    if isinstance(seed, bool) or number < 0:
        raise UsageError(
            f"cannot seed with `{seed!r}`: a seed is a whole number that is not negative",
            hint="call `reproof.seed_everything(42)`",
        )
    return number


def _seed_late(library: Library, seed: int, module: ModuleType) -> None:
    library.seed(module, seed)
