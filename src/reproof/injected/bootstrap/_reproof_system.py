"""Hears of bytes that are taken from the system; `random` and `uuid` take theirs by the same function."""

import os

import _reproof_lines as lines


def watch():
    """Put a stand-in for `os.urandom`."""
    draw = os.urandom

    def urandom(size, /):
        data = draw(size)
        entropy = None
        try:
            import _reproof_entropy as entropy  # at the first draw: most programs make none

            return entropy.system(data)
        except BaseException as error:
            if entropy is not None and isinstance(error, entropy.FORBIDDEN):
                raise
            lines.failed("os.urandom", repr(error))
        return data

    _liken(urandom, draw)
    urandom.__module__ = "os"
    os.urandom = urandom


def uuid(module):
    """The module `uuid`: its `uuid1` is a clock and the machine's address."""
    original = module.uuid1

    def uuid1(node=None, clock_seq=None):
        made = original(node, clock_seq)
        entropy = None
        try:
            import _reproof_entropy as entropy

            data = entropy.system(made.bytes, "uuid.uuid1()")
            if data != made.bytes:
                import _reproof_pins

                return _reproof_pins.first_kind(module, data, node, clock_seq)
        except BaseException as error:
            if entropy is not None and isinstance(error, entropy.FORBIDDEN):
                raise
            lines.failed("uuid.uuid1", repr(error))
        return made

    _liken(uuid1, original)
    uuid1.__module__ = "uuid"
    module.uuid1 = uuid1


def _liken(function, original):
    for attribute in ("__doc__", "__name__", "__qualname__", "__text_signature__"):
        try:
            setattr(function, attribute, getattr(original, attribute))
        except (AttributeError, TypeError):
            continue
