"""Bytes of the system under the strict profile: they come from a stream of reproof's, so that they repeat.

They are predictable, then: keys and tokens made of them guard nothing. Only what the code of the program
itself asks for is replaced; the standard library's own needs, packages and compiled code get real entropy.

Two processes must never be given the same bytes, for they may name files by them. Most have a seed of their
own, by their role; those that a shell starts share one. So each claims its place among those of one seed
with a line in the file of observations: lines are appended whole, so there is one order of them.
"""

import os
from _thread import allocate_lock

import _reproof_entropy as entropy
import _reproof_lines as lines
import _reproof_seeds as seeds

_WHAT = "os.urandom"
_PATIENCE = 1.0  # seconds

_claims = {}  # (process, its seed): its place among those with that seed; None where it has none
_LOCK = allocate_lock()


def claimed():
    """Whether this process may replace bytes of the system: its claim could be written down."""
    return _place() is not None


def instead(what, function, data):
    """What is handed out in place of `data`, as long as that."""
    place = _place()
    if place is None:
        return data
    return entropy.material(what, function, len(data), "/system.%d" % place)


def first_kind(module, data, node, clock_seq):
    """A UUID of version 1, of the type in `module`, of these bytes; without an address given, one that no network card has."""
    low, middle, high, variant, sequence, address = module.UUID(bytes=data).fields
    if node is not None:
        address = node
    else:
        address |= 1 << 40
    if clock_seq is not None:
        variant, sequence = clock_seq >> 8 & 0x3F, clock_seq & 0xFF
    return module.UUID(fields=(low, middle, high, variant, sequence, address), version=1)


def _place():
    key = (os.getpid(), seeds.of_process())
    if key not in _claims:
        alone = _LOCK.acquire(timeout=_PATIENCE)  # else it was held by another thread while this one forked
        try:
            if key not in _claims:
                _claims[key] = _claim(str(key[1]))
        finally:
            if alone:
                _LOCK.release()
    return _claims[key]


def _claim(seed):
    lines.write("applied", what=_WHAT, value=seed)
    try:
        places = _claimants(seed)
    except OSError as error:
        places = []
        lines.failed(_WHAT, "not controlled: %r" % error)
    own = [place for place, process in enumerate(places) if process == os.getpid()]
    return own[-1] if own else None


def _claimants(seed):
    """Ids of the processes that claimed, in the order of their lines."""
    begins, ends = b'{"k":"applied","p":', b'"what":"%s","value":"%s"}\n' % (_WHAT.encode(), seed.encode())
    with open(lines.PATH, "rb") as file:
        return [
            int(line[len(begins) :].partition(b",")[0])
            for line in file
            if line.startswith(begins) and line.endswith(ends)
        ]
