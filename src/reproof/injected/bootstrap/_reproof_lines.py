"""Appends lines to the observations file: one JSON object a line, one write for each batch.

The file is opened for each write and closed again: no descriptor is held that the program could close,
hand on to its children, or find missing from its own numbering.
"""

import os
import sys
from _collections import deque
from os import O_APPEND, O_CREAT, O_WRONLY, close, getpid
from os import open as open_descriptor
from os import write as write_descriptor
from time import monotonic, time

#: Where lines go; absolute, because the program may change its folder.
PATH = os.path.abspath(os.environ["REPROOF_OBSERVATIONS"])
HERE = os.path.dirname(os.path.abspath(__file__)) + "/"
STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + "/"

#: What the code of the import system calls its file.
_IMPORTER = "<frozen importlib._bootstrap>"

#: Lines that are kept while the file cannot be written; what exceeds them is counted and told later.
_KEPT = 1000
_RETRY = 0.1  # seconds
_FAILURES = 5  # lines for each subject

_stuck = deque()  # bytes that could not be written
_counts = {"lost": 0, "stuck": 0, "retry": 0.0}
_failures = {}
#: A function that gives the text of lines that were held back.
waiting = [str]

_roots = []  # (variable, folder)
_kinds = {}  # file name of code: one of the three below
USER, LIBRARY, NEITHER = range(3)


def write(kind, **fields):
    """Append one line of `kind` with the fields that are not None, after all that waits."""
    _append(waiting[0]() + line(kind, fields))


def flush(at_last=False):
    """Write what waits; `at_last` also what could not be written a moment ago."""
    if at_last:
        _counts["retry"] = 0.0
    text = waiting[0]()
    if text or _counts["stuck"]:
        _append(text)


def forget():
    """In a forked child: what could not be written is the parent's to tell."""
    _stuck.clear()
    _failures.clear()
    _counts.update(lost=0, stuck=0)


def failed(subject, reason):
    """Say that something could not be done or seen; never raises, a few lines for each subject."""
    try:
        told = _failures.get(subject, 0)
        if told < _FAILURES:
            _failures[subject] = told + 1
            write("failed", subject=str(subject), reason=str(reason)[:500])
    except Exception:
        pass


def caller():
    """The nearest place in the user's own code, as ``${PROJECT}/train.py:12``; empty if there is none."""
    return places(2)[0]


def places(depth=1):
    """Where in the user's code we are, and in which package if that stands nearer.

    The third value is whether that package is just being imported.
    """
    frame, inside, importing = sys._getframe(depth), "", False
    while frame is not None:
        kind = kind_of(frame)
        if kind == USER:
            return place_of(frame), inside, importing
        if kind == LIBRARY:
            inside = inside or place_of(frame)
        elif inside and frame.f_code.co_filename == _IMPORTER:
            importing = True
        frame = frame.f_back
    return inside, "", False


def append(text):
    """Append whole lines, as `line` makes them, after all that waits."""
    _append(waiting[0]() + text)


def line(kind, fields):
    """One line as text, without the fields that are None."""
    head = '{"k":"%s","p":%d,"t":%.3f' % (kind, getpid(), time())
    rest = ['"%s":%s' % (name, _value(value)) for name, value in fields.items() if value is not None]
    return ",".join([head, *rest]) + "}\n"


class Texts(list):
    """Many texts, which are looked at together to see whether they are as plain as most."""


def _value(value):
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Texts):
        whole = "".join(value)
        if _is_plain(whole):
            return '["' + '","'.join(value) + '"]'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        # JSON has no infinities; those that matter are written as text by who knows them.
        return float.__repr__(value) if value - value == 0 else "null"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_value(item) for item in value]) + "]"
    if isinstance(value, dict):
        return "{" + ",".join([_string(str(key)) + ":" + _value(item) for key, item in value.items()]) + "}"
    return _string(str(value))


def _string(text):
    # By hand, because the json package, and even its C half alone, would be one more thing loaded.
    if _is_plain(text):
        return '"' + text + '"'
    text = text.encode(
        "utf-8", "backslashreplace"
    ).decode()  # bytes of a name that are not UTF-8: spelled out
    return '"' + "".join([_escaped(each) for each in text]) + '"'


def _is_plain(text):
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _escaped(character):
    code = ord(character)
    if 32 <= code < 127 and character not in '"\\':
        return character
    if code > 0xFFFF:
        code -= 0x10000
        return "\\u%04x\\u%04x" % (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
    return "\\u%04x" % code


def _append(text):
    data = text.encode("ascii")
    if _counts["stuck"] and monotonic() < _counts["retry"]:
        _keep(data)
        return
    if _counts["stuck"]:
        data = _unstuck() + data
    written = _put(data)
    if written < len(data):
        _counts["retry"] = monotonic() + _RETRY
        # A torn line stays torn; the next one must not be glued to it.
        _keep(b"\n" + data[written:].partition(b"\n")[2] if written else data)


def _put(data):
    try:
        descriptor = open_descriptor(PATH, O_WRONLY | O_APPEND | O_CREAT, 0o600)
        try:
            return write_descriptor(descriptor, data)
        finally:
            close(descriptor)
    except OSError:
        return 0


def _unstuck():
    parts = []
    try:
        while True:
            parts.append(_stuck.popleft())
    except IndexError:
        pass
    if _counts["lost"]:
        reason = "%d lines could not be written" % _counts["lost"]
        parts.append(line("failed", {"subject": "observations", "reason": reason}).encode("ascii"))
    _counts.update(stuck=0, lost=0)
    return b"".join(parts)


def _keep(data):
    for each in data.splitlines(True):
        if len(_stuck) < _KEPT:
            _stuck.append(each)
        else:
            _counts["lost"] += 1
    _counts["stuck"] = 1


def kind_of(frame):
    """Whose code a frame carries out: USER, LIBRARY or NEITHER."""
    name = frame.f_code.co_filename
    kind = _kinds.get(name)
    if kind is None:
        kind = _kinds[name] = _kind_of_file(name)
    if (
        kind == USER
        and name.startswith("<")
        and ("__file__" in frame.f_globals or "spawn_main" in frame.f_code.co_names)
    ):
        # Made by a library for the module of a file (methods of a dataclass), or what starts a worker.
        return NEITHER
    return kind


def is_ours(frame):
    """Whether a frame carries out code of reproof's own, in this process."""
    name = frame.f_code.co_filename
    return name.startswith(HERE) or "/_reproof_" in name


def is_importer(frame):
    """Whether a frame is of the import system."""
    return frame.f_code.co_filename == _IMPORTER


def _kind_of_file(name):
    if name.startswith(("<frozen", "<__array_function__", HERE)) or "/_reproof_" in name:
        return NEITHER
    if "/site-packages/" in name or "/dist-packages/" in name or "/reproof/randomness/" in name:
        return LIBRARY
    return NEITHER if name.startswith(STANDARD) else USER


def place_of(frame):
    """File and line of a frame, as ``${PROJECT}/train.py:12``."""
    return "%s:%d" % (shortened(frame.f_code.co_filename), frame.f_lineno)


def shortened(name):
    """A path below the project, the environment or HOME with that part named; others as they are."""
    if name.startswith("<"):
        return name
    if "/ipykernel_" in name:
        import _reproof_notebook

        return _reproof_notebook.cell(name) or name
    name = os.path.abspath(name)
    if not _roots:
        _roots.extend(_find_roots())
    for variable, root in _roots:
        if name.startswith(root):
            return variable + "/" + name[len(root) :]
    return name


def _find_roots():
    named = (
        ("${PROJECT}", os.environ.get("REPROOF_PROJECT")),
        ("${ENV}", sys.prefix),
        ("${HOME}", os.environ.get("HOME")),
    )
    found = [
        (variable, path.rstrip("/") + "/")
        for variable, root in named
        if root
        for path in (os.path.abspath(root), os.path.realpath(root))
    ]
    # The deepest folder wins, so that an environment within the project keeps its own name.
    return sorted(found, key=lambda pair: -len(pair[1]))
