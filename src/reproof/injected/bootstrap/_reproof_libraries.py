"""Sees who draws without a seed through scikit-learn and PyTorch."""

import sys

import _reproof_entropy as entropy
import _reproof_lines as lines
import _reproof_random as randomness
import _reproof_states as states

_DEPTH = 12  # frames of scikit-learn between the program and what asks for its random state


def sklearn(module):
    """``sklearn.utils.validation``: what has a `random_state` asks `check_random_state`.

    By None for NumPy's global state. Numbers are told of where the program gave them to a function, or to
    what splits data; estimators are noted where they are made.
    """
    original = getattr(module, "check_random_state", None)
    if original is None:
        lines.failed("sklearn", "`random_state=None` is not seen: this version decides about it elsewhere")
        return
    shared = sys.modules.get("numpy.random")

    def check_random_state(seed):
        if seed is None or seed is shared or seed.__class__ is int:
            try:
                frame = sys._getframe(1)
                if seed.__class__ is int:
                    _note_given(seed, frame)
                else:
                    states.drew("numpy.random", "%s(random_state=None)" % _asking(frame), entropy.Seen(frame))
            except entropy.FORBIDDEN:
                raise
            except Exception as error:
                lines.failed("sklearn", repr(error))
        return original(seed)

    module.check_random_state = randomness.disguised(check_random_state, original)


def _note_given(seed, frame):
    asked = None
    for _ in range(_DEPTH):
        if frame is None:
            return
        kind = lines.kind_of(frame)
        if kind == lines.USER:
            break
        if kind == lines.LIBRARY and frame.f_code.co_varnames[:1] != ("args",):  # that is a decorator's
            asked = frame
        frame = frame.f_back
    else:
        return
    name, given = _parameter(asked) if asked is not None else ("", None)
    if given.__class__ is int and given == seed:
        randomness.tell_seed(name + "(random_state)", lines.place_of(frame), "", seed)


def _parameter(frame):
    """The function, or the type of object, that the program called, and the random state that it has."""
    code = frame.f_code
    if "self" in code.co_varnames[:1]:
        me = frame.f_locals.get("self")
        given = None if hasattr(type(me), "get_params") else getattr(me, "random_state", None)
        return type(me).__name__, given
    return code.co_name, frame.f_locals.get("random_state") if "random_state" in code.co_varnames else None


def _asking(frame):
    """The estimator or the function that has no random state."""
    while frame is not None and frame.f_code.co_name.startswith(("_", "wrapper", "<")):
        if "self" in frame.f_code.co_varnames[:1]:
            break
        frame = frame.f_back
    if frame is None:
        return "scikit-learn"
    if "self" in frame.f_code.co_varnames[:1]:
        return type(frame.f_locals.get("self")).__name__
    return frame.f_code.co_name


def torch(module):
    """The package `torch`: what asks for a seed of the system's, and the state of its generator."""
    states.torch(module)
    place = getattr(module, "random", None)
    original = getattr(place, "seed", None)
    if original is None or not hasattr(module, "manual_seed"):
        lines.failed("torch", "`torch.seed()` is not seen: this version has it elsewhere")
        return

    def seed():
        value = None
        try:
            states.seeded("torch")
            value = entropy.generator("torch.seed()", bits=63)
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed("torch.seed", repr(error))
        if value is None:
            return original()
        getattr(module.manual_seed, "__wrapped__", module.manual_seed)(value)
        return value

    place.seed = randomness.disguised(seed, original)
    if module.seed is original:
        module.seed = place.seed


def loader(module):
    """``torch.utils.data.dataloader``: the seed of its workers and of its order, from the shared generator."""
    kind = getattr(module, "_BaseDataLoaderIter", None)
    original = getattr(kind, "__init__", None)
    if original is None:
        lines.failed(
            "torch.utils.data", "the base seed of workers is not seen: this version draws it elsewhere"
        )
        return

    def init(self, loader, *args, **kwargs):
        try:
            if getattr(loader, "generator", self) is None and _matters(loader):
                states.drew(
                    "torch", "torch.utils.data.DataLoader without a generator", entropy.Seen(sys._getframe(1))
                )
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed("torch.utils.data", repr(error))
        return original(self, loader, *args, **kwargs)

    kind.__init__ = randomness.disguised(init, original)


def _matters(loader):
    """Whether what is drawn for an iteration is used: by workers, or to shuffle."""
    shuffles = type(getattr(loader, "sampler", None)).__name__ not in ("SequentialSampler", "NoneType")
    return bool(getattr(loader, "num_workers", 0)) or shuffles
