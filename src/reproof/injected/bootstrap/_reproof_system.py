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

            entropy.system(data)
        except BaseException as error:
            if entropy is not None and isinstance(error, entropy.FORBIDDEN):
                raise
            lines.failed("os.urandom", repr(error))
        return data

    for attribute in ("__doc__", "__name__", "__qualname__", "__text_signature__"):
        try:
            setattr(urandom, attribute, getattr(draw, attribute))
        except (AttributeError, TypeError):
            continue
    urandom.__module__ = "os"
    os.urandom = urandom
