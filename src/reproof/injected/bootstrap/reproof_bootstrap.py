"""Starts watching, when this interpreter belongs to a run of reproof; else it does nothing.

Named by ``reproof.pth`` (and ``reproof.start``, PEP 829) of an environment, or by our ``sitecustomize``.
A run is told by REPROOF_OBSERVATIONS, the file that lines are appended to. REPROOF_DISABLE=1 switches
off. Nothing here, or below, may ever break or delay the user's program: standard library only, few
imports, every failure swallowed or written down.
"""

import os
import sys

_VARIABLE = "REPROOF_OBSERVATIONS"
#: What only some re-runs want: variable, module.
_ASKED_FOR = (("REPROOF_SERIAL", "_reproof_serial"), ("REPROOF_SITES", "_reproof_sites"))
_GENERATIONS = 6  # how far up to look for a run when the environment was emptied


def start():
    """Begin once per interpreter; harmless when called again."""
    try:
        if "_reproof_lines" in sys.modules or os.environ.get("REPROOF_DISABLE") == "1":
            return
        if not os.environ.get(_VARIABLE):
            found = _settings_of_ancestor()
            if not found or found.get("REPROOF_DISABLE") == "1":
                return
            os.environ.update(found)
        _begin(os.path.dirname(os.path.abspath(__file__)))
    except Exception:
        pass  # there is no place to write it to; the missing line says that this process was not reached


def _begin(folder):
    # On sys.path only for the moment of these imports: the program finds its path as it expects it.
    absent = folder not in sys.path
    if absent:
        sys.path.append(folder)
    try:
        import _reproof_imports
        import _reproof_watch
    finally:
        if absent:
            sys.path.remove(folder)
    _reproof_imports.serve(folder)
    _reproof_watch.begin("environment" if folder.endswith("/_reproof_injected") else "path")
    for variable, ours in _ASKED_FOR:
        if variable in os.environ:
            __import__(ours).begin()


def _settings_of_ancestor():
    """What a parent with a scrubbed environment no longer passes on, read from the processes above."""
    pid = os.getppid()
    for _ in range(_GENERATIONS):
        if pid <= 1:
            return {}
        with open("/proc/%d/environ" % pid, "rb") as file:
            data = file.read()
        if _VARIABLE.encode() + b"=" in data:
            pairs = [part.partition(b"=") for part in data.split(b"\0") if part.startswith(b"REPROOF_")]
            return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
        with open("/proc/%d/stat" % pid, "rb") as file:
            pid = int(file.read().rpartition(b")")[2].split()[1])
    return {}


start()
