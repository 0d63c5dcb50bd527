"""The life of a process: its first line, its forks, its last line, and what is waited for meanwhile."""

import atexit
import os
import sys

import _reproof_files as files
import _reproof_imports as imports
import _reproof_lines as lines

#: This process: the run's seed, its `role` among the processes of the run, how often it has forked,
#: whether it is a fork itself, whether multiprocessing's server of forks or a worker that it
#: started afresh, and how many modules there were when it began.
life = {
    "seed": None,
    "role": "",
    "forks": 0,
    "forked": False,
    "server": False,
    "worker": False,
    "modules": 0,
}

#: Modules, and the function of ours that is called with each after its import.
_AWAITED = (
    ("random", "_reproof_random", "standard"),
    ("numpy.random", "_reproof_random", "numpy"),
    ("torch", "_reproof_random", "torch"),
    ("tensorflow", "_reproof_random", "tensorflow"),
    ("multiprocessing.util", "_reproof_workers", "prepare"),
    ("multiprocess.util", "_reproof_workers", "prepare"),
)


def begin(via):
    """Write the first line of this process and watch from now on."""
    life["seed"] = os.environ.get("REPROOF_SEED")
    life["role"] = os.environ.get("REPROOF_ROLE", "")
    if life["seed"]:
        # Made while there is one thread; changed later without moving the environment about.
        os.environ.setdefault("REPROOF_ROLE", "")
    given = _arguments()
    life["server"] = any("multiprocessing.forkserver" in each for each in given)
    life["worker"] = any(each == "--multiprocessing-fork" or "popen_loky" in each for each in given)
    lines.write(
        "boot",
        parent=os.getppid(),
        argv=given,
        executable=sys.executable or "",
        version=sys.version.partition(" ")[0],
        prefix=sys.prefix,
        via=via,
    )
    _tell_hash_seed()
    for name, ours, function in _AWAITED:
        imports.after(name, _later(ours, function))
    if os.environ.get("REPROOF_MLFLOW") == "1":
        imports.after("mlflow", _later("_reproof_mlflow", "install"))
    atexit.register(finish)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_forking, after_in_child=_forked)
    files.watch()


def finish(last=True):
    """Write the last line of this process; one that is not the `last` may be followed by another."""
    try:
        import _reproof_end

        _reproof_end.finish(last)
    except Exception as error:
        lines.failed("end of process", repr(error))
    lines.flush(at_last=True)


def _later(ours, function):
    def callback(module):
        getattr(__import__(ours), function)(module)

    return callback


def _forking():
    life["forks"] += 1


def _forked():
    try:
        lines.forget()
        files.forget()
        life["role"] = "%s/fork.%d" % (life["role"], life["forks"])
        life.update(forks=0, forked=True, modules=len(sys.modules))
        lines.write("boot", parent=os.getppid(), fork=True, via="fork")
    except Exception as error:
        lines.failed("fork", repr(error))


def _arguments():
    given = getattr(sys, "orig_argv", None)  # since 3.10
    if given is None:
        try:
            with open("/proc/self/cmdline", "rb") as file:
                given = file.read().rstrip(b"\0").split(b"\0")
        except OSError:
            given = [sys.executable, *getattr(sys, "argv", ())]
    return [os.fsdecode(each)[:300] for each in given[:50]]


def _tell_hash_seed():
    value = os.environ.get("PYTHONHASHSEED")
    if not life["seed"] or not value or value == "random":
        return
    if sys.flags.ignore_environment:
        lines.failed("PYTHONHASHSEED", "the interpreter was told to ignore the environment (-E or -I)")
    else:
        lines.write("applied", what="PYTHONHASHSEED", value=value)
