"""Sees the generators of NumPy that are made without a seed.

All of them, and no seeded one, draw entropy through the name `randbits` of `numpy.random.bit_generator`;
with one exception: `RandomState(seed)` makes an unseeded bit generator first and seeds it then. That one
is looked at a moment later: a bit generator that was seeded the old way has lost its seed sequence.
The seed itself is made a number by the name `operator` of `numpy.random._mt19937`.
"""

import sys
from _collections import deque
from _thread import get_ident
from time import monotonic

import _reproof_entropy as entropy
import _reproof_lines as lines
import _reproof_random as randomness

_MAKERS = (
    "default_rng",
    "SeedSequence",
    "PCG64DXSM",
    "PCG64",
    "MT19937",
    "Philox",
    "SFC64",
    "RandomState",
    "seed",
)
_LATER = 0.01  # seconds
_MANY = 100
_PLACES = 1000

_within = set()  # threads that are making a RandomState
_undecided = deque()  # (time, bit generator, frames above, whether it was given a stream)
_given = {}  # thread that is making a RandomState: frames above, whether it was given a stream

_makers = {}  # (code, offset): name

_STATE = "numpy.random.RandomState()"


def install():
    """Put stand-ins for the two names."""
    source = sys.modules.get("numpy.random.bit_generator")
    legacy = sys.modules.get("numpy.random.mtrand")
    draw, kind = getattr(source, "randbits", None), getattr(legacy, "_MT19937", None)
    if draw is None or kind is None:
        lines.failed(
            "numpy.random", "generators without a seed are not seen: this version makes them otherwise"
        )
        return

    def randbits(k):
        value = None
        try:
            me = get_ident()
            if me in _within:
                value, seen = entropy.peek(_STATE, k)
                _given[me] = seen, value is not None
            else:
                value = _generator(k)
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed("numpy.random", repr(error))
        return entropy.quietly(draw, k) if value is None else value

    source.randbits = randomness.disguised(randbits, draw)
    legacy._MT19937 = _Maker(kind)
    _watch_legacy_seeds(sys.modules.get("numpy.random._mt19937"))


def settle(at_last=True):
    """Decide about generators made a moment ago, `at_last` about all."""
    while _undecided:
        made, generator, seen, controlled = _undecided[0]
        if not at_last and len(_undecided) < _MANY and monotonic() - made < _LATER:
            return
        _undecided.popleft()
        if generator._seed_seq is not None:
            entropy.note(
                _STATE,
                seen,
                entropy.CONTROLLED if controlled else None,
                "stream" if controlled else "",
            )


def _watch_legacy_seeds(module):
    original = getattr(module, "operator", None)
    if original is None:
        lines.failed("numpy.random", "`RandomState(seed)` is not seen: this version takes its seed otherwise")
    else:
        module.operator = _Operator(original)


class _Operator:
    """Stands for the module `operator` where a seed of the old way is made a number."""

    def __init__(self, module):
        self.module = module

    def index(self, value):
        number = self.module.index(value)
        try:
            frame = sys._getframe(1)
            if lines.kind_of(frame) == lines.USER:
                randomness.tell_seed("numpy.random.RandomState", lines.place_of(frame), "", number)
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed("numpy.random.RandomState", repr(error))
        return number

    def __getattr__(self, name):
        return getattr(self.module, name)


class _Maker:
    """Stands for the class where `RandomState` looks for it: to call, and to compare with."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, *args, **kwargs):
        me = get_ident()
        _within.add(me)
        try:
            generator = self.kind(*args, **kwargs)
        finally:
            _within.discard(me)
        try:
            settle(at_last=entropy.forbidden())
            if me in _given:
                _undecided.append((monotonic(), generator, *_given.pop(me)))
        except entropy.FORBIDDEN:
            raise
        except Exception as error:
            lines.failed("numpy.random", repr(error))
        return generator

    def __instancecheck__(self, instance):
        return isinstance(instance, self.kind)

    def __subclasscheck__(self, subclass):
        return issubclass(subclass, self.kind)

    def __getattr__(self, name):
        return getattr(self.kind, name)


def _generator(bits):
    frame = sys._getframe(2)
    while frame is not None and lines.is_ours(frame):
        frame = frame.f_back
    return entropy.generator("numpy.random." + _maker(frame), bits)


def _maker(frame):
    """Which maker of generators a frame is calling: by the names in its code, else in its line."""
    place = (frame.f_code, frame.f_lasti) if frame is not None else None
    if place not in _makers:
        if len(_makers) >= _PLACES:
            _makers.clear()
        _makers[place] = _find_maker(frame)
    return _makers[place]


def _find_maker(frame):
    names = [name for name in _MAKERS if frame is not None and name in frame.f_code.co_names]
    if len(names) > 1:
        text = entropy.line_of(frame)
        names = sorted([name for name in names if name + "(" in text], key=text.find)
    return names[0] + "()" if names else "generator"
