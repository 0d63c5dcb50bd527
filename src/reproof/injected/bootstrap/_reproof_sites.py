"""Places of the user's code that look at something which may be another the next time: the clock, folders, numbers.

For one re-run of `explain`, after which it names the line. The interpreter tells of each call of a function; of those
in the tables below the nearest line of the user's own code is written, once for each, to the file REPROOF_SITES.
"""

import os
import sys
from _thread import get_ident

import _reproof_imports as imports
import _reproof_lines as lines

_SITES = 1000

_builtin = {}  # function in C: (kind, name)
_codes = {}  # code of a function in Python: (kind, name)
_told = set()
_busy = set()  # threads that are in here

#: By module: kind, names of its functions.
_TABLE = (
    ("time", "clock", "time time_ns clock_gettime clock_gettime_ns ctime asctime gmtime"),
    (
        "time",
        "clock duration",
        "perf_counter perf_counter_ns monotonic monotonic_ns process_time process_time_ns",
    ),
    ("time", "time-zone", "localtime mktime strftime"),
    ("datetime", "clock", "datetime.now datetime.utcnow datetime.today date.today"),
    ("datetime", "time-zone", "datetime.fromtimestamp date.fromtimestamp"),
    ("os", "readdir", "listdir scandir"),
    ("os", "process-id", "getpid getppid"),
    ("os", "cpu-count", "cpu_count sched_getaffinity"),
    ("os", "entropy", "urandom getrandom"),
    ("os", "host-name", "uname"),
    ("os", "memory-size", "sysconf"),
    ("psutil", "memory-size", "virtual_memory swap_memory"),
    ("os", "user", "getuid getlogin"),
    ("os", "umask", "umask"),
    ("os", "path", "getcwd"),
    ("os.path", "path", "abspath realpath"),
    ("os.path", "file-times", "getmtime getatime getctime"),
    ("os.path", "home", "expanduser"),
    ("pathlib", "path", "Path.resolve Path.absolute Path.cwd"),
    ("pathlib", "home", "Path.home Path.expanduser"),
    ("builtins", "aslr", "id"),
    ("builtins", "hash-seed", "hash"),
    ("socket", "host-name", "gethostname"),
    ("locale", "locale", "setlocale strxfrm strcoll getpreferredencoding"),
    ("threading", "threads", "Thread.start"),
    ("concurrent.futures._base", "threads order", "as_completed wait"),
    ("multiprocessing.pool", "threads order", "Pool.imap_unordered IMapUnorderedIterator.next"),
    ("multiprocessing.process", "threads", "BaseProcess.start"),
    ("numpy", "memory", "empty empty_like ndarray"),
    ("torch", "memory", "empty empty_like empty_strided"),
    ("tempfile", "entropy", "mkdtemp mkstemp mktemp TemporaryDirectory.__init__"),
    ("uuid", "entropy", "uuid1 uuid4"),
)


def begin():
    """Listen from now on, in all threads."""
    for name, kind, functions in _TABLE:
        imports.after(name, _finder(kind, functions))
    for name in ("os", "os.path", "builtins", "time"):
        module = sys.modules.get(name)
        if module is not None:
            for owner, kind, functions in _TABLE:
                if owner == name:
                    _finder(kind, functions)(module)
    _codes[os._Environ.__iter__.__code__] = ("environment-order", "os.environ")
    import threading

    threading.setprofile(_noticed)
    sys.setprofile(_noticed)


def _finder(kind, functions):
    def find(module):
        for words in functions.split():
            function = module
            for word in words.split("."):
                function = getattr(function, word, None)
            code = getattr(function, "__code__", None)
            told = (kind, "%s.%s" % (module.__name__.replace("posixpath", "os.path"), words))
            if code is not None:
                _codes.setdefault(code, told)
            elif function is not None:
                _builtin.setdefault(function, told)

    return find


def _noticed(frame, event, function):
    if event == "c_call":
        try:
            told = _builtin.get(function)
        except Exception:  # what it belongs to cannot be hashed: none of ours
            return
    elif event == "call":
        told = _codes.get(frame.f_code)
        frame = frame.f_back
    else:
        return
    if told is None or frame is None:
        return
    me = get_ident()
    if me in _busy:
        return
    _busy.add(me)
    try:
        _tell(told, frame)
    except Exception as error:
        lines.failed("places", repr(error))
    finally:
        _busy.discard(me)


def _tell(told, frame):
    inside, direct = "", lines.kind_of(frame) == lines.USER
    if told[0] == "aslr" and not direct:
        return  # packages keep things by their addresses all the time
    while frame is not None:
        if lines.is_ours(frame) or lines.is_importer(frame):
            return
        kind = lines.kind_of(frame)
        if kind == lines.USER:
            break
        if kind == lines.LIBRARY and not inside:
            inside = lines.place_of(frame)
        frame = frame.f_back
    if frame is None:
        return
    key = (os.getpid(), told, frame.f_code, frame.f_lineno)
    if key in _told or len(_told) >= _SITES:
        return
    _told.add(key)
    fields = {"kind": told[0], "what": told[1], "where": lines.place_of(frame)}
    text = lines.line("site", {**fields, "inside": inside or None, "direct": direct})
    descriptor = os.open(os.environ["REPROOF_SITES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
