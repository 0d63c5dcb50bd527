"""Where the value of a seed comes from: a clock, the process id, a hash, the system.

Told only where it can be known: by the value, which is that of a clock a moment ago or that of the process
id; or by the line that seeds, which says so itself.
"""

import os
import time

import _reproof_entropy as entropy
import _reproof_lines as lines

_MODULUS = 2**32  # what people reduce seeds by, for NumPy takes no larger ones
_SMALL = 100_000  # numbers that people write by hand

#: Units of clocks for each second, and how long ago one may have been read when its value was reduced.
_UNITS = ((1, 0.0), (10**3, 2.0), (10**6, 0.05), (10**9, 0.00005))
_RECENT = 60.0  # seconds

_SYSTEM = "system's entropy"

#: What a line says that takes its seed from elsewhere, and what that is. Longer names come first.
_WORDS = (
    ("perf_counter", "clock"),
    ("monotonic", "clock"),
    ("time_ns(", "clock"),
    ("time.time(", "clock"),
    ("time()", "clock"),
    (".now(", "clock"),
    (".utcnow(", "clock"),
    (".today(", "clock"),
    ("getpid(", "process id"),
    ("getppid(", "process id"),
    ("urandom(", _SYSTEM),
    ("uuid4(", _SYSTEM),
    ("uuid1(", "clock"),
    ("secrets.", _SYSTEM),
    ("SystemRandom", _SYSTEM),
)


def of(value, frame):
    """What the seed `value`, given in `frame`, was taken from; empty where that is not known."""
    number = _number(value)
    if number is None:
        return ""
    return _by_value(number) or _by_line(frame)


def repeats(origin):
    """Whether what is taken from there repeats: the strict profile pins the bytes of the system."""
    return origin == _SYSTEM and entropy.pins()


def _number(value):
    if isinstance(value, float):
        return value
    try:
        return value.__index__()
    except Exception:
        return None


def _by_value(number):
    if number >= 1000 and number in (os.getpid(), os.getppid()):
        return "process id"
    if isinstance(number, float) or number >= _SMALL:
        recent = _is_recent(number, time.time()) or any(
            _is_near(number, clock() * unit, _RECENT * unit)
            for clock in (time.monotonic, time.perf_counter)
            for unit in ((1, 10**9) if isinstance(number, float) else (10**9,))
        )
        return "clock" if recent else ""
    return ""


def _is_recent(number, now):
    for unit, patience in _UNITS:
        clock = int(now * unit)
        if _is_near(number, clock, _RECENT * unit):
            return True
        reduced = patience and number < _MODULUS <= clock
        if reduced and (clock - int(number) + 1) % _MODULUS <= patience * unit:
            return True
    return False


def _is_near(number, clock, slack):
    return -1 <= clock - number <= slack


def _by_line(frame):
    while frame is not None and lines.kind_of(frame) != lines.USER:
        frame = frame.f_back
    text = entropy.line_of(frame).partition("#")[0] if frame is not None else ""
    for word, origin in _WORDS:
        if word in text:
            return _SYSTEM if word == "uuid1(" and entropy.pins() else origin
    if "hash(" in text and ".hash(" not in text and not _hashes_repeat():
        before = text[: text.find("hash(")][-1:]
        return "" if before.isalnum() or before == "_" else "hash of an object"
    return ""


def _hashes_repeat():
    return os.environ.get("PYTHONHASHSEED", "random").isdigit()
