"""The audit hook, and the files that the program opens.

The hook is called for every event that the interpreter raises, so it does next to nothing for those
that nobody asked for, little for a file that was seen before, and for a new one only what cannot wait:
what is no data is sorted out, and lines are made, for a whole batch at once.
"""

import os
import sys
from _collections import deque
from _thread import allocate_lock, get_ident
from time import monotonic

import _reproof_imports as imports
import _reproof_lines as lines

#: Different files that a process may note.
LIMIT = 200_000

_PROMPT = 256  # files of a process that are told at once; later ones may wait for a batch
_BATCH = 256
_PATIENCE = 0.2  # seconds; looked at with every sixteenth file
_COMPILED = "/__pycache__/"

#: Events that are rare, and what tells of them.
_RARE = frozenset(
    (
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

_seen = {}  # "r", "w" or "rw": paths
_pending = deque()  # arguments of the events: path, mode, flags
_counts = {"told": 0, "due": 0.0, "batch": 1, "later": _BATCH, "lock": allocate_lock()}
_places = {}  # folder: whether files in it are data, as they stand
_READ = frozenset((os.O_RDONLY | os.O_CLOEXEC, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY))  # the usual flags
_ignored = [()]


def watch():
    """Hear of files from now on, and of all else through `_reproof_events`."""
    _ignored[0] = _ignored_places()
    _forget_files()
    lines.waiting[0] = _told
    sys.addaudithook(_hook())


def forget():
    """In a forked child: nothing was opened yet; what waits is the parent's to tell."""
    _pending.clear()
    _forget_files()
    _counts.update(told=0, lock=allocate_lock())
    promptly()


def promptly():
    """Let no file wait: for processes that are often ended by a signal, as workers are."""
    _counts.update(batch=1, later=1)


def note(path, flags):
    """A file that was opened without an event of its own."""
    _pending.append((path, None, flags))
    lines.flush()


def _hook():
    counts, pending, append, clock = _counts, _pending, _pending.append, monotonic

    def hook(event, args):
        try:
            if event == "open":
                if not quiet or get_ident() not in quiet:
                    append(args)
                    waiting = len(pending)
                    if waiting >= counts["batch"] or (not waiting & 15 and clock() > counts["due"]):
                        lines.flush()
            elif event == "import":
                if args[3] is not None:  # None when a shared library is about to be loaded
                    imports.noticed(args[3])
            elif event in _RARE:
                import _reproof_events

                _reproof_events.noticed(event, args)
            elif event == "os.chdir":
                lines.flush()  # while relative paths still mean what they meant
                _forget_files()
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
    place = path.rpartition("/")[0]
    wanted = _places[given[: given.rfind("/") + 1]] = _is_data(place + "/") and "/.." not in place
    if not wanted:
        path = _meant(path, place, how)
    if path and path not in _seen[how]:
        _seen[how].update((path, given))
        found[how].append(path)


def _meant(path, place, how):
    """The file that an unusual path is about; empty if that is no data."""
    if "/.." in place:
        path = os.path.realpath(place) + path[len(place) :]
        place = path.rpartition("/")[0]
    if _is_data(place + "/"):
        return path
    if how == "r" and path.endswith(".pyc") and place.endswith("/__pycache__"):
        # The source that byte code stands for: the code was used, though nobody opened it.
        folder = place[: -len("__pycache__")]
        source = folder + path.rpartition("/")[2].partition(".")[0] + ".py"
        return source if _is_data(folder) else ""
    return ""


def _how(mode, flags):
    if not flags and mode and mode[:1] in "wax":
        return "rw" if "+" in mode else "w"  # events of C's fopen carry no flags
    return ("r", "w", "rw", "rw")[flags & 3]


def _is_data(place):
    return not (
        place.startswith(_ignored[0])
        or "/site-packages/" in place
        or "/dist-packages/" in place
        or _COMPILED in place
    )


def _forget_files():
    _seen.update({how: {lines.PATH} for how in ("r", "w", "rw")})
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
