"""Seeds of the processes of a run.

The first process takes the run's seed as it is. Each other takes the first eight bytes, big-endian, of
sha512 of the text ``SEED/ROLE``, where the role is the way to the process: ``/python.2`` for the second
Python program started under that name, ``/fork.1``, ``/worker.3`` for a multiprocessing worker by its
number, and so on below these. So siblings differ, and the same one gets the same seed in every run.
"""

import os

import _reproof_lines as lines
import _reproof_watch as watch

_found = []  # the function sha512
_children = {}  # program: how many were started


def of_process():
    """The seed of this process; None when the run has none."""
    given = watch.life["seed"]
    if not given:
        return None
    try:
        seed = int(given)
    except ValueError:
        lines.failed("seed", "REPROOF_SEED is not a decimal number")
        return None
    role = watch.life["role"]
    return derived(seed, role) if role else seed


def derived(seed, role):
    """The seed, below 2**64, of the process with that role."""
    return int.from_bytes(_sha512("{}/{}".format(seed, role).encode()).digest()[:8], "big")


def name_child(program, environment):
    """Give the program that is about to start its role, through the environment that it inherits."""
    name = os.path.basename(program)
    _children[name] = _children.get(name, 0) + 1
    role = "{}/{}.{}".format(watch.life["role"], name, _children[name])
    os.environ["REPROOF_ROLE"] = role
    if type(environment) is dict and "REPROOF_ROLE" in environment:
        environment["REPROOF_ROLE"] = role  # a copy of ours, made before this child had a number


def digest(data):
    """The 64 bytes of sha512."""
    return _sha512(data).digest()


def _sha512(data):
    if not _found:
        _found.append(_find())
    return _found[0](data)


def _find():
    # The very module that `random` has loaded (its name depends on the version), so no other comes in.
    for name in ("_sha2", "_sha512", "hashlib"):
        try:
            return __import__(name).sha512
        except ImportError:
            continue
    raise ImportError("no sha512")
