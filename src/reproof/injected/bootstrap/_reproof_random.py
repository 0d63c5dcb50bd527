"""Seeds generators when their library has been imported, and notes who seeds and who does not.

reproof's seed comes first, so whatever the user's code seeds later wins. The stand-ins below look like
the functions they replace (name, module, documentation, signature), so that references to them can be
pickled and are found again in a process without us.
"""

import os
import sys

import _reproof_lines as lines
import _reproof_seeds as seeds
import _reproof_watch as watch

_SITES = 1000
_VALUES = 3  # different seeds noted for one place
_MAKERS = (
    "default_rng",
    "SeedSequence",
    "RandomState",
    "PCG64DXSM",
    "PCG64",
    "MT19937",
    "Philox",
    "SFC64",
    "seed",
)

_by_user = set()  # generators that the user's code has seeded
_seeding = {}  # name of generator: function that seeds it for us
_sites = {}  # (what, where): values


def standard(module):
    """The module `random`."""
    _seed("random", module.seed)
    if hasattr(os, "register_at_fork"):
        # After the module's own function for that moment, which takes new entropy from the system.
        seed = module.seed
        os.register_at_fork(after_in_child=lambda: _seed_fork(seed))
    _watch_seed(module, "seed", "random.seed", generator="random")
    _watch_instances(module)


def numpy(module):
    """The package `numpy.random`: its legacy global state, and generators without a seed."""
    original = module.seed
    _seed("numpy.random", lambda seed: original(seed % 2**32))
    _watch_seed(module, "seed", "numpy.random.seed", generator="numpy.random")
    import _reproof_numpy

    _reproof_numpy.install()


def torch(module):
    """The package `torch`."""
    place = getattr(module, "random", None)
    if hasattr(place, "manual_seed") and hasattr(module, "manual_seed"):
        _watch_seed(place, "manual_seed", "torch.manual_seed", generator="torch")
        module.manual_seed = place.manual_seed


def tensorflow(module):
    """The package `tensorflow`."""
    place = getattr(module, "random", None)
    if hasattr(place, "set_seed"):
        _watch_seed(place, "set_seed", "tensorflow.random.set_seed", generator="tensorflow")


def _seed_fork(function):
    try:
        value = seeds.of_process()
        if value is not None:
            function(value)
            _by_user.discard("random")
    except Exception as error:
        lines.failed("random", repr(error))


def seed_again():
    """In a worker with a role of its own: all that was seeded so far, unless the user's code did.

    A forked worker inherits the state of other generators, as it does without us; that of `random` is
    lost at each fork, for Python itself takes new entropy then.
    """
    for name, function in list(_seeding.items()):
        if name not in _by_user and (name == "random" or not watch.life["forked"] or watch.life["server"]):
            _seed(name, function)


def _seed(name, function):
    _seeding[name] = function
    value = seeds.of_process()
    if value is not None:
        function(value)
        lines.write("applied", what=name, value=str(value))


def _watch_seed(owner, name, shown, generator):
    original = getattr(owner, name)

    def seed(*args, **kwargs):
        try:
            _note_seed(shown, generator, args, kwargs)
        except Exception as error:
            lines.failed(shown, repr(error))
        return original(*args, **kwargs)

    setattr(owner, name, disguised(seed, original, owner.__name__, name))


def _note_seed(shown, generator, args, kwargs):
    value = args[0] if args else next(iter(kwargs.values()), None)
    if value is None:
        if generator == "random":
            _note_draw("random.seed()")
        return
    _by_user.add(generator)
    where, inside, _importing = lines.places()
    values = _sites.setdefault((shown, where, inside), [])
    text = _shown(value)
    if text not in values and len(values) < _VALUES and len(_sites) <= _SITES:
        values.append(text)
        lines.write("seeded", what=shown, where=where, value=text, inside=inside or None)


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
        if a is None:
            try:
                _note_draw("random.Random()")
            except Exception as error:
                lines.failed("random.Random", repr(error))
        return original(self, a, version)

    kind.seed = disguised(seed, original)


def _note_draw(what):
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith((lines.STANDARD + "random.", lines.HERE)):
        frame = frame.f_back
    if (
        frame is None or frame.f_code.co_filename != lines.STANDARD + "tempfile.py"
    ):  # names of temporary files
        note_draw(what, lines.places())


def note_draw(what, places):
    """Tell, once for each place, that `what` took its seed from the system; `places` as lines.places()."""
    if is_new(what, places):
        _sites[(what, *places)] = []
        where, inside, importing = places
        lines.write("drew", what=what, where=where, inside=inside or None, importing=importing or None)


def is_new(what, places):
    """Whether that is worth telling still."""
    return (what, *places) not in _sites and len(_sites) < _SITES


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
