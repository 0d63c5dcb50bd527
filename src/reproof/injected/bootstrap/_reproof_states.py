"""Sees who draws first from a generator that a whole process shares, and whether anybody had seeded it.

The functions of `random` and `numpy.random` are methods of one generator each. A stand-in for each tells
of the first draw and gives its place back to the function; after that nothing of ours is in the way, but
for names that the program had taken before (``from random import random``). What draws past these names
(compiled code, other libraries) is seen by the state at the next seed, and at the end: then without a place.
"""

import sys

import _reproof_entropy as entropy
import _reproof_lines as lines
import _reproof_random as randomness

_KEPT = frozenset(("seed", "getstate", "get_state", "get_bit_generator", "set_bit_generator"))
_RESTORES = frozenset(("setstate", "set_state"))
_HARMLESS_DRAWS = 200

_shared = {}  # name: Shared

#: How the shared generators are called in a report.
NAMES = {
    "random": "the module `random`",
    "numpy.random": "NumPy's global state",
    "torch": "PyTorch's generator",
}


class Shared:
    """One generator: its functions that are stood in for, and its state when it was fresh."""

    def __init__(self, name, module, functions, state):
        self.name, self.module, self.functions, self.state = name, module, functions, state
        self.stand_ins = {}
        self.is_open = False
        self.draws = 0
        self.fresh = None

    def open(self):
        """Watch for the first draw from now on: the generator is as it came, or as reproof seeded it."""
        self.close()
        self.is_open, self.draws = True, 0
        self.fresh = self.state() if self.state is not None else None
        for name, function in self.functions.items():
            if getattr(self.module, name, None) is function:
                stand_in = _stand_in(self, name, function)
                self.stand_ins[name] = stand_in
                setattr(self.module, name, stand_in)

    def close(self):
        """Give the functions their places back."""
        self.is_open = False
        for name, stand_in in self.stand_ins.items():
            if getattr(self.module, name, None) is stand_in:
                setattr(self.module, name, self.functions[name])
        self.stand_ins = {}

    def seeded(self):
        """The code is about to seed it: whatever was drawn before came from elsewhere."""
        if self.is_open:
            self.look()
            self.close()

    def look(self):
        """Whether something was drawn that no stand-in saw."""
        if self.is_open and self.fresh is not None and self.state() != self.fresh:
            self.close()
            seen = entropy.Seen(None)
            entropy.note(NAMES[self.name], seen, *self.control())

    def control(self):
        """Under whose control a draw is now, and why."""
        if self.name in randomness.by_user():
            return entropy.CONTROLLED, "code"
        if randomness.seeds_for(self.name):
            return entropy.CONTROLLED, "seed"
        return entropy.UNCONTROLLED, ""


def standard(module):
    """The module `random`."""
    _watch("random", module, vars(module), "_inst", None)


def numpy(module):
    """The package `numpy.random`."""
    _watch("numpy.random", module, vars(module), "_rand", _numpy_state)


def torch(module):
    """The package `torch`: which has too many functions to stand in for, so its state alone is looked at."""
    generator = getattr(module, "default_generator", None)
    if generator is not None:
        shared = _shared["torch"] = Shared(
            "torch", module, {}, lambda: bytes(memoryview(generator.get_state().numpy()))
        )
        shared.open()


def _watch(name, module, names, owner, state):
    instance = getattr(module, owner, None) or getattr(sys.modules.get("numpy.random.mtrand"), owner, None)
    functions = {
        each: function
        for each, function in names.items()
        if not each.startswith("_")
        and each not in _KEPT
        and getattr(function, "__self__", None) is instance
        and instance is not None
    }
    if not functions:
        lines.failed(name, "first draws are not seen: this version keeps its generator elsewhere")
        return
    shared = _shared[name] = Shared(name, module, functions, state)
    shared.open()


def _numpy_state():
    kind, key, position = sys.modules["numpy.random.mtrand"]._rand.get_state()[:3]
    return kind, key.tobytes(), position


def seeded(name):
    """The code is about to seed the generator `name`."""
    shared = _shared.get(name)
    if shared is not None:
        shared.seeded()


def reopen(name):
    """The generator `name` is fresh again: a fork took new entropy for it, or it was seeded by us."""
    shared = _shared.get(name)
    if shared is not None and name not in randomness.by_user():
        shared.open()


def drew(name, what, seen):
    """Another library draws from the generator `name`, as `what`."""
    shared = _shared.get(name)
    if shared is not None:
        entropy.note(what, seen, *shared.control())
        if shared.is_open:
            shared.close()


def settle():
    """Look at the states a last time."""
    for shared in list(_shared.values()):
        shared.look()


def _stand_in(shared, name, function):
    shown = "%s.%s()" % (shared.name, name)
    restores = name in _RESTORES

    def drawing(*args, **kwargs):
        if shared.is_open:
            try:
                if restores:
                    shared.close()
                else:
                    _first(shared, shown)
            except entropy.FORBIDDEN:
                raise
            except Exception as error:
                lines.failed(shown, repr(error))
        return function(*args, **kwargs)

    return randomness.disguised(drawing, function, shared.module.__name__, name)


def _first(shared, shown):
    seen = entropy.Seen(sys._getframe(2))
    control, by = shared.control()
    site = entropy.note(shown, seen, control if control == entropy.CONTROLLED else None, by)
    shared.draws += 1
    if site.control != entropy.HARMLESS or shared.draws > _HARMLESS_DRAWS:
        shared.close()
