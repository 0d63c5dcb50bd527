"""Hears of bytes that are taken from the system; `random` and `uuid` take theirs by the same function."""

import os

import _reproof_lines as lines


def watch():
    """Put a stand-in for `os.urandom`."""
    draw = os.urandom

    def urandom(size, /):
        return _taken(draw(size), "os.urandom()")

    _liken(urandom, draw)
    urandom.__module__ = "os"
    os.urandom = urandom


def uuid(module):
    """The module `uuid`: its `uuid1` is a clock and the machine's address."""
    original = module.uuid1

    def uuid1(node=None, clock_seq=None):
        made = original(node, clock_seq)
        data = _taken(made.bytes, "uuid.uuid1()")
        if data == made.bytes:
            return made
        import _reproof_pins

        return _reproof_pins.first_kind(module, data, node, clock_seq)

    _liken(uuid1, original)
    uuid1.__module__ = "uuid"
    module.uuid1 = uuid1


def _taken(data, what):
    """Tell that these bytes were taken; what the program gets is given back, mostly they themselves."""
    entropy = None
    try:
        import _reproof_entropy as entropy  # at the first draw: most programs make none

        return entropy.system(data, what)
    except BaseException as error:
        if entropy is not None and isinstance(error, entropy.FORBIDDEN):
            raise
        lines.failed(what, repr(error))
    return data


def _liken(function, original):
    for attribute in ("__doc__", "__name__", "__qualname__", "__text_signature__"):
        try:
            setattr(function, attribute, getattr(original, attribute))
        except (AttributeError, TypeError):
            continue
