"""Workers of multiprocessing, and of what is built upon it (loky, torch's DataLoader).

They begin in `BaseProcess._bootstrap`, which empties the lists of things to do at the end, and forks
leave through `os._exit`, past `atexit`; so the last line is asked for there.
"""

import sys

import _reproof_lines as lines
import _reproof_watch as watch


def prepare(util):
    """Have each worker begin as one of ours; `util` is the module ``multiprocessing.util``."""
    util.register_after_fork(_ANCHOR, lambda _anchor: _begin_forked(util))
    if watch.life["worker"]:
        _watch_bootstrap(util)


class _Anchor:
    """What the register holds on to, weakly."""


_ANCHOR = _Anchor()


def _watch_bootstrap(util):
    """Workers that were started afresh are not told after a fork, since 3.10."""
    kind = sys.modules[util.__package__ + ".process"].BaseProcess
    original = kind._bootstrap

    def _bootstrap(self, *args, **kwargs):
        if not watch.life["forked"]:
            _begin(self)
        return original(self, *args, **kwargs)

    kind._bootstrap = _bootstrap


def _begin_forked(util):
    if watch.life["forked"]:  # up to Python 3.9 others are told too
        util.Finalize(None, watch.finish, exitpriority=-100)
        _begin(sys.modules[util.__package__ + ".process"].current_process())


def _begin(process):
    try:
        watch.promptly()
        _take_role(process)
    except Exception as error:
        lines.failed("worker", repr(error))


def _take_role(process):
    """A worker has a number among its siblings, which says more than the order of forks and starts."""
    if not watch.life["seed"]:
        return
    number = ".".join(str(each) for each in process._identity)
    role = watch.life["role"]
    if watch.life["forked"]:
        role = role.rpartition("/fork.")[0]
    watch.life["role"] = "%s/worker.%s" % (role, number)
    import _reproof_random

    _reproof_random.seed_again()
