"""Seeds generators when their library has been imported, and notes who seeds and who does not.

reproof's seed comes first, so whatever the user's code seeds later wins. The stand-ins below look like
the functions they replace (name, module, documentation, signature), so that references to them can be
pickled and are found again in a process without us.
"""

import os
import sys

import _reproof_entropy as entropy
import _reproof_lines as lines
import _reproof_seeds as seeds

_SITES = 1000
_LARGE = 100_000  # seeds of instances from here on are looked at: is it a clock?
_VALUES = 3  # different seeds noted for one place

#: What is to pass through our own handlers.
FORBIDDEN = entropy.FORBIDDEN

_by_user = set()  # generators that the user's code has seeded
_seeding = {}  # name of generator: function that seeds it for us
_counts = {"told": 0}
_sites = {}  # (what, where): values


def standard(module):
    """The module `random`."""
    seed_now("random", module.seed)
    if hasattr(os, "register_at_fork"):
        # After the module's own function for that moment, which takes new entropy from the system.
        seed = module.seed
        os.register_at_fork(after_in_child=lambda: _seed_fork(seed))
    watch_seed(module, "seed", "random.seed", "random", lambda value: _standard_seed(module, value))
    _watch_instances(module)
    _states().standard(module)


def numpy(module):
    """The package `numpy.random`: its legacy global state, and generators without a seed."""
    original = module.seed
    seed_now("numpy.random", lambda seed: original(seed % 2**32))
    watch_seed(module, "seed", "numpy.random.seed", "numpy.random", lambda _value: _numpy_seed(module))
    import _reproof_numpy

    _reproof_numpy.install()
    _states().numpy(module)


def _standard_seed(module, value):
    """The seed, where the generator is in the very state that this number leads to."""
    import _random

    other = _random.Random()
    other.seed(value)
    return value if value.__class__ is int and other.getstate() == module.getstate()[1] else None


def _numpy_seed(module):
    """The seed that the legacy generator starts from: its first word, until it draws; for one number only."""
    state = module.get_state(legacy=False)
    fresh = state["bit_generator"] == "MT19937" and state["state"]["pos"] == 624
    return int(state["state"]["key"][0]) if fresh and state["state"]["key"][0] != 2**31 else None


def _states():
    import _reproof_states  # which needs what is defined here

    return _reproof_states


def by_user():
    """Names of the generators that the user's code has seeded."""
    return _by_user


def seeds_for(name):
    """Whether reproof seeds the generator `name` in this process."""
    return name in _seeding and seeds.of_process() is not None


def _seed_fork(function):
    try:
        value = seeds.of_process()
        if value is not None:
            function(value)
        _by_user.discard("random")
        _states().reopen("random")
    except Exception as error:
        lines.failed("random", repr(error))


def seed_again():
    """In a worker with a role of its own: all that was seeded so far, unless the user's code did.

    A forked worker inherits the state of its parent's generators, so that without us all siblings would
    draw the same; that of `random` is lost at each fork, for Python itself takes new entropy then.
    """
    for name, function in list(_seeding.items()):
        if name not in _by_user:
            seed_now(name, function)


def seed_now(name, function):
    """Seed a generator by its `function`, which takes a whole number below 2**64; again in each worker."""
    _seeding[name] = function
    value = seeds.of_process()
    if value is not None:
        function(value)
        lines.write("applied", what=name, value=str(value))
    _states().reopen(name)


def watch_seed(owner, name, shown, generator, answer=None):
    """Note calls of ``owner.name``; `answer(value)` is what the library says of its seed afterwards."""
    original = getattr(owner, name)

    def seed(*args, **kwargs):
        told = _counts["told"]
        try:
            value = _note_seed(shown, generator, args, kwargs)
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed(shown, repr(error))
        else:
            if value is not None:
                return original(value)
        result = original(*args, **kwargs)
        if answer is not None and _counts["told"] != told:
            _read_back(shown, answer, args, kwargs)
        return result

    setattr(owner, name, disguised(seed, original, owner.__name__, name))


def _note_seed(shown, generator, args, kwargs):
    """Tell of a seed; returns what is to be taken in its place, mostly nothing."""
    value = _given(args, kwargs)
    _states().seeded(generator)
    if value is None:
        return entropy.generator("random.seed()") if generator == "random" else None
    _by_user.add(generator)
    where, inside, _importing = lines.places()
    tell_seed(shown, where, inside, value)
    return None


def _given(args, kwargs):
    return args[0] if args else next(iter(kwargs.values()), None)


def tell_seed(shown, where, inside, value):
    """Tell that the program seeded something, a few times for each place; whether that was done."""
    values = _sites.setdefault((shown, where, inside), [])
    text = _shown(value)
    if text in values or len(values) >= _VALUES or len(_sites) > _SITES:
        return False
    values.append(text)
    _counts["told"] += 1
    lines.write("seeded", what=shown, where=where, value=text, inside=inside or None)
    _note_origin(shown, value, sys._getframe(1))
    return True


def tell_answer(shown, where, value):
    """Tell what a library says that its seed is, after `shown` was called at a place of the program."""
    text, key = _shown(value), (shown, where, "answer")
    if text and key not in _sites and len(_sites) <= _SITES:
        _sites[key] = []
        lines.write("answer", what=shown, value=text, where=where)


def _read_back(shown, answer, args, kwargs):
    try:
        tell_answer(shown, lines.caller(), answer(_given(args, kwargs)))
    except Exception as error:
        lines.failed(shown, repr(error))


def _note_origin(shown, value, frame):
    import _reproof_origins

    origin = _reproof_origins.of(value, frame)
    if origin:
        call = shown if shown.endswith(")") else shown + "()"
        control = (entropy.CONTROLLED, "stream") if _reproof_origins.repeats(origin) else (None, "")
        entropy.note("%s by the %s" % (call, origin), entropy.Seen(frame), *control)


def _shown(value):
    """A seed as text when it is a whole number of ordinary size, else nothing."""
    try:
        number = value.__index__()
        return str(number) if abs(number) < 2**64 else ""
    except Exception:
        return ""


def _watch_instances(module):
    """Notes `random.Random()`; the module's own instance was made before and keeps its methods."""
    kind = module.Random
    original = kind.seed

    def seed(self, a=None, version=2):
        try:
            if a is None:
                a = entropy.generator("random.Random()")
            elif a.__class__ is float or (a.__class__ is int and a >= _LARGE):
                _note_origin("random.Random", a, sys._getframe(1))
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed("random.Random", repr(error))
        return original(self, a, version)

    kind.seed = disguised(seed, original)


def disguised(function, original, module=None, name=None):
    """Make a stand-in look like what it stands for."""
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        try:
            setattr(function, attribute, getattr(original, attribute))
        except (AttributeError, TypeError):
            continue
    if module is not None:
        # Pickled by the name under which it is found: methods made into functions, re-exports.
        function.__module__, function.__qualname__ = module, name
    function.__wrapped__ = original
    return function
