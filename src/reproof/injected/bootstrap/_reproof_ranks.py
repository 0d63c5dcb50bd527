"""Processes that a launcher of distributed training has started: ``torchrun`` and its like set RANK.

The rank says more than the order of starts, which a restart changes. One process below a rank inherits the
variable and is not that rank, so the rank that has been taken is passed on as well.
"""

import os

_THREADS = "OMP_NUM_THREADS"


def role(given):
    """The role of this process, whose role by order of start is `given`."""
    rank = os.environ.get("RANK", "")
    if not rank.isdigit() or os.environ.get("REPROOF_RANK") == rank:
        return given
    os.environ["REPROOF_RANK"] = rank
    return "%s/rank.%s" % (given.rpartition("/")[0], rank)


def share_threads():
    """As launchers do where nobody has said how many threads there are to be: one for each process."""
    ours = os.environ.get("REPROOF_SET", "").split()
    if _THREADS in ours and int(os.environ.get("LOCAL_WORLD_SIZE") or 1) > 1:
        for name in ours:
            if name.endswith("_NUM_THREADS") and not name.startswith("TF_"):
                os.environ[name] = "1"
