"""The life of a process: its first line, its forks, the files that it opens, its last line.

The audit hook is called for every event that the interpreter raises, so it does next to nothing for
those that nobody asked for, little for a file, and nothing at all before a batch is full: then what is no
data is sorted out, and lines are made, for all of it at once.
"""

import atexit
import os
import sys
from _collections import deque
from _thread import allocate_lock, get_ident
from time import monotonic

import _reproof_imports as imports
import _reproof_lines as lines
import _reproof_system

#: This process: the run's seed, its `role` among the processes of the run, how often it has forked,
#: whether it is a fork itself, whether multiprocessing's server of forks or a worker that it
#: started afresh, and how many modules there were when it began.
life = {"seed": None, "role": "", "forks": 0, "forked": False, "server": False, "worker": False, "modules": 0}

#: The thread in which the interpreter began.
FIRST_THREAD = get_ident()

#: Modules, and the function of ours that is called with each after its import.
_AWAITED = (
    ("random", "_reproof_random", "standard"),
    ("uuid", "_reproof_system", "uuid"),
    ("numpy.random", "_reproof_random", "numpy"),
    ("numpy.random", "_reproof_frameworks", "numpy"),
    ("torch", "_reproof_frameworks", "torch"),
    ("torch", "_reproof_profile", "torch"),
    ("torch", "_reproof_libraries", "torch"),
    ("torch.utils.data.dataloader", "_reproof_libraries", "loader"),
    ("sklearn.utils.validation", "_reproof_libraries", "sklearn"),
    ("sklearn.base", "_reproof_frameworks", "sklearn"),
    ("tensorflow", "_reproof_frameworks", "tensorflow"),
    ("tensorflow", "_reproof_profile", "tensorflow"),
    ("keras.src.utils.rng_utils", "_reproof_frameworks", "keras"),
    ("jax._src.random.stateful_rng", "_reproof_frameworks", "jax"),
    ("cupy.random", "_reproof_frameworks", "cupy"),
    ("joblib._parallel_backends", "_reproof_profile", "joblib"),
    ("multiprocessing.util", "_reproof_workers", "prepare"),
    ("multiprocess.util", "_reproof_workers", "prepare"),
    ("http.client", "_reproof_web", "install"),
    ("IPython.core.tips", "_reproof_notebook", "tips"),
    ("botocore.client", "_reproof_objects", "botocore"),
    ("aiobotocore.client", "_reproof_objects", "aiobotocore"),
    ("aiohttp.client", "_reproof_clouds", "aiohttp"),
    ("google.auth.transport.requests", "_reproof_clouds", "google"),
    ("pyarrow.fs", "_reproof_arrow", "filesystems"),
    ("pyarrow.parquet.core", "_reproof_arrow", "parquet"),
    ("pyarrow.dataset", "_reproof_arrow", "dataset"),
)

#: Different files that a process may note.
LIMIT = 200_000

_PROMPT = 256  # files of a process that are told at once; later ones may wait for a batch
_BATCH = 256
_PATIENCE = 0.2  # seconds; looked at with every sixteenth file
_COMPILED = "/__pycache__/"

#: Events that are listened to; all but the first three go on to `_reproof_events`.
_HEARD = frozenset(
    (
        "open",
        "import",
        "os.chdir",
        "sqlite3.connect",
        "subprocess.Popen",
        "os.posix_spawn",
        "os.system",
        "os.exec",
        "socket.connect",
        "socket.sendto",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "ctypes.dlopen",
    )
)

#: Threads that read on our own behalf, which is not noted.
quiet = set()

_seen = {"r": set(), "w": set(), "rw": set()}  # paths, as they were given
_pending = deque()  # arguments of the events: path, mode, flags
_counts = {"told": 0, "due": 0.0, "batch": 1, "later": _BATCH, "lock": allocate_lock()}
_places = {}  # folder as given: True for data, False for anything else; unusual ones are not in it
_READ = frozenset((os.O_RDONLY | os.O_CLOEXEC, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY))  # the usual flags
_ignored = [()]


def begin(via):
    """Write the first line of this process and watch from now on."""
    life["seed"] = os.environ.get("REPROOF_SEED")
    life["role"] = os.environ.get("REPROOF_ROLE", "")
    if "RANK" in os.environ:
        _take_rank()
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
    _reproof_system.watch()
    _watch()


def finish(last=True):
    """Write the last line of this process; one that is not the `last` may be followed by another."""
    try:
        import _reproof_end

        _reproof_end.finish(last)
    except Exception as error:
        lines.failed("end of process", repr(error))
    lines.flush(at_last=True)


def promptly():
    """Let no file wait: for processes that are often ended by a signal, as workers are."""
    _counts.update(batch=1, later=1)


def note(path, flags):
    """A file that was opened without an event of its own."""
    _pending.append((path, None, flags))
    lines.flush()


def _take_rank():
    import _reproof_ranks

    try:
        life["role"] = _reproof_ranks.role(life["role"])
        _reproof_ranks.share_threads()
    except Exception as error:
        lines.failed("rank", repr(error))


def _later(ours, function):
    def callback(module):
        getattr(__import__(ours), function)(module)

    return callback


def _forking():
    life["forks"] += 1


def _forked():
    try:
        lines.forget()
        _forget()
        life["role"] = "%s/fork.%d" % (life["role"], life["forks"])
        life.update(forks=0, forked=True, modules=len(sys.modules))
        if "_reproof_entropy" in sys.modules:
            sys.modules["_reproof_entropy"].forget()
        lines.write("boot", parent=os.getppid(), fork=True, via="fork")
    except Exception as error:
        lines.failed("fork", repr(error))


def written():
    """Names of the files that were opened for writing, as they were given."""
    return (
        _seen["w"] | _seen["rw"] | {path for path, _mode, _flags in list(_pending) if isinstance(path, str)}
    )


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


def _watch():
    """Hear of files from now on, and of all else through `_reproof_events`."""
    _ignored[0] = _ignored_places()
    _forget_files()
    lines.waiting[0] = _told
    sys.addaudithook(_hook())


def _forget():
    """In a forked child: nothing was opened yet; what waits is the parent's to tell."""
    _pending.clear()
    _forget_files()
    _counts.update(told=0, lock=allocate_lock())
    promptly()


def _hook():
    counts, pending, append, clock = _counts, _pending, _pending.append, monotonic
    read, own, heard, standard = _seen["r"], lines.PATH, _HEARD, lines.STANDARD

    def hook(event, args):
        if event not in heard:
            return
        try:
            if event == "open":
                path = args[0]
                if path in read and (not args[2] & 3 or path is own):
                    return
                if (
                    path.__class__ is str
                    and (path.startswith(standard) or "/site-packages/" in path)
                    and "/../" not in path
                ):
                    return  # an import opens thousands
                if not quiet or get_ident() not in quiet:
                    append(args)
                    waiting = len(pending)
                    if waiting >= counts["batch"] or (not waiting & 15 and clock() > counts["due"]):
                        lines.flush()
            elif event == "import":
                if args[3] is not None:  # None when a shared library is about to be loaded
                    imports.noticed(args[3])
            elif event == "os.chdir":
                lines.flush()  # while relative paths still mean what they meant
                _forget_files()
            else:
                import _reproof_events

                _reproof_events.noticed(event, args)
        except Exception as error:
            lines.failed("audit event %s" % event, repr(error))

    return hook


def _told():
    """The lines for what waits; nothing while another thread is at it."""
    lock = _counts["lock"]
    if not _pending or not lock.acquire(False):
        return ""
    try:
        if _counts["told"] > LIMIT:
            _pending.clear()
            return ""
        found = _sorted([_pending.popleft() for _ in range(len(_pending))])
        _counts["due"] = monotonic() + _PATIENCE
        return "".join([_lines_of(how, paths) for how, paths in found.items() if paths])
    except Exception as error:
        reason = {"subject": "files", "reason": repr(error)}
        return lines.line("failed", reason)
    finally:
        lock.release()


def _sorted(batch):
    """Paths by mode, without those that are no data or were told before."""
    found = {"r": [], "w": [], "rw": []}
    # Most are plain reads of files in folders that are known: sets decide about all of them at once.
    plain = {path for path, mode, flags in batch if flags in _READ and mode and path.__class__ is str}
    fresh = plain - _seen["r"]
    known = _places.get
    found["r"] = [path for path in fresh if known(path[: path.rfind("/") + 1])]
    _seen["r"].update(found["r"])
    for path in fresh.difference(found["r"]) if len(found["r"]) < len(fresh) else ():
        if known(path[: path.rfind("/") + 1]) is not False:
            _sort(path, "r", os.O_RDONLY, found)
    for path, mode, flags in batch if len(plain) < len(batch) else ():
        if not (flags in _READ and mode and path.__class__ is str):
            _sort(path, mode, flags, found)
    return found


def _lines_of(how, paths):
    before = _counts["told"]
    _counts["told"] += len(paths)
    if _counts["told"] > _PROMPT:
        _counts["batch"] = _counts["later"]
    if len(paths) == 1:
        text = lines.line("open", {"path": _absolute(paths[0]), "mode": how})
    else:
        text = lines.line("open", {"folder": _here(), "paths": lines.Texts(paths), "mode": how})
    if before <= LIMIT < _counts["told"]:
        reason = "more than %d different files were opened; the others are not noted" % LIMIT
        text += lines.line("failed", {"subject": "files", "reason": reason})
    return text


def _here():
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _absolute(path):
    return path if path[:1] == "/" else _here().rstrip("/") + "/" + path


def _sort(path, mode, flags, found):
    """Put a path among those found, unless it is no data or was told before."""
    if isinstance(path, int) or flags & os.O_DIRECTORY:
        return
    given = os.fsdecode(path)
    how = _how(mode, flags)
    if mode is None and how == "r" and given[:1] != "/" and not os.path.exists(given):
        return  # relative to an open folder, which the event does not tell
    path = _absolute(given)
    place = path[: path.rfind("/") + 1]
    climbs, compiled, wanted = "/../" in place, place.endswith(_COMPILED), _is_data(place)
    if not climbs and not (compiled and wanted):
        _places[given[: given.rfind("/") + 1]] = wanted
    meant = path if wanted else ""
    if climbs or compiled:
        meant = _meant(path, place, how)
    if meant and meant not in _seen[how]:
        found[how].append(meant)
    _seen[how].update((meant, given))


def _meant(path, place, how):
    """The file that an unusual path is about; empty if that is no data."""
    if "/../" in place:
        path = os.path.realpath(place) + "/" + path[len(place) :]
        place = path[: path.rfind("/") + 1]
    if not place.endswith(_COMPILED):
        return path if _is_data(place) else ""
    # Byte code stands for its source, which was used though nobody opened it.
    folder = place[: -len(_COMPILED) + 1]
    if how != "r" or not path.endswith(".pyc") or not _is_data(folder):
        return ""
    return folder + path[len(place) :].partition(".")[0] + ".py"


def _how(mode, flags):
    if not flags and mode and mode[:1] in "wax":
        return "rw" if "+" in mode else "w"  # events of C's fopen carry no flags
    return ("r", "w", "rw", "rw")[flags & 3]


def _is_data(place):
    return not (place.startswith(_ignored[0]) or "/site-packages/" in place or "/dist-packages/" in place)


def _forget_files():
    for paths in _seen.values():
        paths.clear()
        paths.add(lines.PATH)
    _places.clear()


def _ignored_places():
    """Beginnings of paths that are no data: the system's own, the interpreter's, and what we write."""
    project = _folder_name(os.environ.get("REPROOF_PROJECT"))
    places = ["/proc/", "/sys/", "/dev/", lines.STANDARD, lines.HERE]
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix}:
        place = _folder_name(prefix)
        if place not in ("/", "/usr/", "/usr/local/") and not (project and project.startswith(place)):
            places.append(place)
    own = os.path.dirname(lines.PATH) + "/"
    if project and not project.startswith(own):
        places.append(own)
    if os.environ.get("REPROOF_ARTIFACTS"):
        places.append(_folder_name(os.environ["REPROOF_ARTIFACTS"]))
    return tuple(places)


def _folder_name(path):
    return os.path.abspath(path).rstrip("/") + "/" if path else ""
