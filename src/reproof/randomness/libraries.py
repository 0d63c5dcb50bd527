"""How each library is seeded, and how its state is taken and given back.

A library takes part when it is loaded; modules are reached through `sys.modules` and never imported here.
Seeds beyond what a library takes are reduced modulo its range, as a run of reproof does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

_BITS_32 = 2**32
_BITS_63 = 2**63


class Library(NamedTuple):
    """One library.

    Attributes:
        module: The module whose presence says that the library is loaded.
        seed: Seeds its shared generators: ``seed(module, number)``.
        collect: Their states, as a value that can be pickled: ``collect(module)``.
        restore: Gives states back: ``restore(module, states)``.
    """

    module: str
    seed: Callable[[Any, int], None]
    collect: Callable[[Any], Any]
    restore: Callable[[Any, Any], None]


def loaded(library: Library) -> ModuleType | None:
    """The module of a library that is loaded, and not just being imported."""
    module = sys.modules.get(library.module)
    spec = getattr(module, "__spec__", None)
    return None if module is None or getattr(spec, "_initializing", False) else module


def _seed_random(module: Any, seed: int) -> None:
    module.seed(seed)


def _collect_random(module: Any) -> Any:
    return module.getstate()


def _restore_random(generator: Any, states: Any) -> None:
    version, numbers, gauss = states
    generator.setstate((version, tuple(numbers), gauss))  # some checkpoints turn tuples into lists


def _seed_numpy(module: Any, seed: int) -> None:
    module.random.seed(seed % _BITS_32)


def _collect_numpy(module: Any) -> Any:
    return module.random.get_state()


def _restore_numpy(module: Any, states: Any) -> None:
    module.random.set_state(tuple(states))


def _seed_torch(module: Any, seed: int) -> None:
    module.manual_seed(seed % 2**64)  # all devices, those of CUDA when they come up
    module.backends.cudnn.deterministic = True
    module.backends.cudnn.benchmark = False


def _collect_torch(module: Any) -> Any:
    states = {"cpu": module.get_rng_state()}
    if module.cuda.is_initialized():
        states["cuda"] = module.cuda.get_rng_state_all()
    if _has_mps(module):
        states["mps"] = module.mps.get_rng_state()
    cudnn = module.backends.cudnn
    states["cudnn"] = (cudnn.deterministic, cudnn.benchmark)
    return states


def _restore_torch(module: Any, states: Any) -> None:
    if "cpu" in states:
        module.set_rng_state(states["cpu"])
    if states.get("cuda"):
        module.cuda.set_rng_state_all(states["cuda"][: module.cuda.device_count()])
    if "mps" in states and _has_mps(module):
        module.mps.set_rng_state(states["mps"])
    cudnn = module.backends.cudnn
    if "cudnn" in states:
        cudnn.deterministic, cudnn.benchmark = states["cudnn"]


def _has_mps(module: Any) -> bool:
    backend = getattr(module.backends, "mps", None)
    return backend is not None and bool(backend.is_available())


def _seed_tensorflow(module: Any, seed: int) -> None:
    module.random.set_seed(seed % _BITS_63)


def _collect_tensorflow(module: Any) -> Any:
    """The seed, the generator of the operations' seeds, and the state of the global `Generator`."""
    del module
    inner = _tensorflow_context()
    operations = getattr(inner, "_rng", None)
    generator = getattr(
        sys.modules.get("tensorflow.python.ops.stateful_random_ops"), "global_generator", None
    )
    return {
        "seed": getattr(inner, "_seed", None),
        "operations": operations.getstate() if operations is not None else None,
        "generator": generator.state.numpy() if generator is not None else None,
    }


def _restore_tensorflow(module: Any, states: Any) -> None:
    if states["seed"] is not None:
        module.random.set_seed(states["seed"])
        operations = getattr(_tensorflow_context(), "_rng", None)
        if states["operations"] is not None and operations is not None:
            _restore_random(operations, states["operations"])
    if states["generator"] is not None:
        module.random.get_global_generator().state.assign(states["generator"])


def _tensorflow_context() -> Any:
    inner = sys.modules.get("tensorflow.python.eager.context")
    return inner.context() if inner is not None else None


def _seed_keras(module: Any, seed: int) -> None:
    module.utils.set_random_seed(seed % _BITS_32)


def _collect_keras(module: Any) -> Any:
    """The state of the generator that layers without a seed of their own share."""
    generator = _keras_generator()
    return module.ops.convert_to_numpy(generator.state) if generator is not None else None


def _restore_keras(module: Any, states: Any) -> None:
    del module
    generator = _keras_generator()
    if generator is not None and states is not None:
        generator.state.assign(states)


def _keras_generator() -> Any:
    place = sys.modules.get("keras.src.random.seed_generator")
    return place.global_seed_generator() if place is not None else None


def _seed_cupy(module: Any, seed: int) -> None:
    module.random.seed(seed % _BITS_32)


def _collect_nothing(module: Any) -> Any:
    del module  # cuRAND tells no state


def _restore_nothing(module: Any, states: Any) -> None:
    del module, states


#: In the order in which they are seeded: Keras seeds those before it too, with the same number.
LIBRARIES = (
    Library("keras", _seed_keras, _collect_keras, _restore_keras),
    Library("tensorflow", _seed_tensorflow, _collect_tensorflow, _restore_tensorflow),
    Library("torch", _seed_torch, _collect_torch, _restore_torch),
    Library("cupy", _seed_cupy, _collect_nothing, _restore_nothing),
    Library("numpy", _seed_numpy, _collect_numpy, _restore_numpy),
    Library("random", _seed_random, _collect_random, _restore_random),
)
