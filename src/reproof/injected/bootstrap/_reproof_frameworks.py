"""Seeds the generators of frameworks when they have been imported, and notes who seeds them himself.

reproof's seed comes first, so whatever the user's code seeds later wins. A library that has its functions
elsewhere than we know is an omission of the record; the program never notices.
"""

import os
import sys

import _reproof_lines as lines
import _reproof_random as randomness
import _reproof_seeds as seeds

_HALF = 2**32  # what libraries take whose seeds have 32 bits
_KINDS = ("random_state", "seed", "random_seed")  # parameters of estimators

_made = {}  # id of an estimator whose random state was given: (what, where)
_MADE = 200
_counts = {"jax": 0}


def torch(module):
    """The package `torch`: its function seeds the generators of all devices."""
    place = getattr(module, "random", None)
    if not hasattr(place, "manual_seed") or not hasattr(module, "manual_seed"):
        lines.failed("torch", "not seeded: this version has `manual_seed` elsewhere")
        return
    original = place.manual_seed
    randomness.seed_now("torch", original)
    randomness.watch_seed(
        place, "manual_seed", "torch.manual_seed", "torch", lambda _value: module.initial_seed()
    )
    module.manual_seed = place.manual_seed
    devices = sys.modules.get("torch.cuda")
    for name in ("manual_seed", "manual_seed_all"):
        if hasattr(devices, name):
            _watch_cuda(devices, name)


def _watch_cuda(module, name):
    """The program's own calls; the library's `torch.manual_seed` makes one too, which is told already."""
    original = getattr(module, name)
    owner = getattr(original, "__module__", "")

    def seed(*args, **kwargs):
        result = original(*args, **kwargs)
        try:
            frame = sys._getframe(1)
            if frame.f_globals.get("__name__") not in ("torch.random", owner):
                value = args[0] if args else next(iter(kwargs.values()), None)
                ready = module.is_initialized()
                note("torch.cuda." + name, value, module.initial_seed() if ready else None)
        except Exception as error:
            lines.failed("torch.cuda." + name, repr(error))
        return result

    setattr(module, name, randomness.disguised(seed, original, module.__name__, name))


def tensorflow(module):
    """The package `tensorflow`; Keras takes its seeds from it, and from `random`."""
    place = getattr(module, "random", None)
    if not hasattr(place, "set_seed"):
        lines.failed("tensorflow", "not seeded: this version has `set_seed` elsewhere")
        return
    original = place.set_seed
    randomness.seed_now("tensorflow", lambda seed: original(seed % _HALF))
    context = sys.modules.get("tensorflow.python.eager.context")
    ask = getattr(context, "global_seed", None)
    answer = (lambda _value: ask()) if ask is not None else None
    randomness.watch_seed(place, "set_seed", "tensorflow.random.set_seed", "tensorflow", answer)


def keras(module):
    """``keras.src.utils.rng_utils``: one function seeds `random`, NumPy and the framework beneath."""
    if hasattr(module, "set_random_seed"):
        ask = getattr(module, "get_random_seed", None)
        answer = (lambda _value: ask()) if ask is not None else None
        randomness.watch_seed(module, "set_random_seed", "keras.utils.set_random_seed", "keras", answer)


def jax(module):
    """``jax._src.random.stateful_rng``: keys are the program's own; what has a state gets a seed."""
    original = getattr(module, "stateful_rng", None)
    if original is None:
        lines.failed("jax", "`stateful_rng` is not seeded: this version has it elsewhere")
        return

    def stateful_rng(seed=None, **kwargs):
        try:
            if seed is not None:
                note("jax.random.stateful_rng", seed)
            elif seeds.of_process() is not None:
                # Each a stream of its own: two that were alike would not be independent.
                _counts["jax"] += 1
                seed = seeds.derived(seeds.of_process(), "jax.%d" % _counts["jax"]) % 2**31
                lines.write("applied", what="jax.random.stateful_rng", value=str(seed))
        except Exception as error:
            lines.failed("jax", repr(error))
        return original(seed, **kwargs)

    module.stateful_rng = randomness.disguised(stateful_rng, original)


def cupy(module):
    """``cupy.random``: it reads a variable when a device is used first; before that none is touched."""
    own = os.environ.get("CUPY_SEED")
    if own is None or own == os.environ.get("REPROOF_CUPY_SEED"):
        randomness.seed_now("cupy.random", _seed_cupy)
    if hasattr(module, "seed"):
        randomness.watch_seed(module, "seed", "cupy.random.seed", "cupy.random")


def _seed_cupy(seed):
    os.environ["CUPY_SEED"] = os.environ["REPROOF_CUPY_SEED"] = str(seed % _HALF)


def numpy(module):
    """``numpy.random``: seeds that are given to `default_rng`."""
    original = getattr(module, "default_rng", None)
    if original is None:
        return

    def default_rng(seed=None):
        if seed.__class__ is int and lines.kind_of(sys._getframe(1)) == lines.USER:
            try:
                note("numpy.random.default_rng", seed)
            except randomness.FORBIDDEN:
                raise
            except Exception as error:
                lines.failed("numpy.random", repr(error))
        return original(seed)

    module.default_rng = randomness.disguised(default_rng, original, module.__name__, "default_rng")


def sklearn(module):
    """``sklearn.base``: a `random_state` that the user's own code gives to an estimator.

    Noted where the estimator is made, and asked for again when it is fitted.
    """
    kind = getattr(module, "BaseEstimator", None)
    if kind is None or "__new__" in vars(kind):
        lines.failed("sklearn", "a given `random_state` is not seen: this version makes estimators otherwise")
        return

    def make(cls, *args, **kwargs):
        above = super(kind, cls).__new__
        if above is not object.__new__:
            made = above(cls, *args, **kwargs)
        elif (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("%s() takes no arguments" % cls.__name__)
        else:
            made = object.__new__(cls)
        if kwargs:
            try:
                _note_estimator(made, kwargs)
            except Exception as error:
                lines.failed("sklearn", repr(error))
        return made

    make.__name__, make.__qualname__ = "__new__", kind.__name__ + ".__new__"
    signature = sys.modules.get("inspect")
    if signature is not None:  # of an estimator without parameters, as it is without us
        only = signature.Parameter("cls", signature.Parameter.POSITIONAL_ONLY)
        make.__signature__ = signature.Signature([only])
    kind.__new__ = staticmethod(make)
    _watch_fits(kind)


def _note_estimator(made, given):
    for name in _KINDS:
        if given.get(name).__class__ is int and lines.kind_of(sys._getframe(2)) == lines.USER:
            what, where = "%s(%s)" % (type(made).__name__, name), lines.place_of(sys._getframe(2))
            randomness.tell_seed(what, where, "", given[name])
            if len(_made) < _MADE:
                _made[id(made)] = (what, where, name)


def _watch_fits(kind):
    original = getattr(kind, "_validate_params", None)
    if original is None:
        return

    def _validate_params(self):
        if _made:
            found = _made.pop(id(self), None)
            if found is not None and type(self).__name__ == found[0].partition("(")[0]:
                what, where, name = found
                randomness.tell_answer(what, where, getattr(self, name, None))
        return original(self)

    kind._validate_params = randomness.disguised(_validate_params, original)


def note(shown, value, answer=None):
    """Tell of a seed that the program gave, and of what the library says of it."""
    where, inside, _importing = lines.places()
    randomness.tell_seed(shown, where, inside, value)
    if answer is not None:
        randomness.tell_answer(shown, where, answer)
