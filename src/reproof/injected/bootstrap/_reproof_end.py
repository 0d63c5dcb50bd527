"""The last line of a process: the modules that it imported and the native libraries that it loaded."""

import os
import sys

import _reproof_lines as lines
import _reproof_watch as watch

_told = set()  # processes


def finish(last):
    """Write the line; after the `last` one of a process no other."""
    if os.getpid() in _told:
        return
    _settle()
    if last:
        _told.add(os.getpid())
    if watch.life["forked"] and watch.life["modules"] == len(sys.modules):
        lines.write("end")  # a worker that loaded nothing new: its parent tells the rest
    else:
        native = _native()
        _read_back(native)
        lines.write("end", modules=_modules(), native=native)


def _settle():
    """Tell what is known only at the end of those who drew entropy."""
    for name in ("_reproof_numpy", "_reproof_states", "_reproof_entropy"):
        module = sys.modules.get(name)
        if module is not None:
            try:
                module.settle()
            except BaseException as error:  # also what ends a run where entropy is forbidden: it ends anyway
                if "Forbidden" not in type(error).__name__:
                    lines.failed("randomness", repr(error))


def _read_back(native):
    if any(name in sys.modules for name in ("numpy", "torch", "tensorflow", "jax")):
        import _reproof_readback

        _reproof_readback.tell(native)


def _native():
    """Files mapped as executable code, sorted; None where the system does not show them."""
    watch.quiet.add(watch.get_ident())
    try:
        with open("/proc/self/maps", "rb") as file:
            data = file.read()
    except OSError as error:
        lines.failed("native libraries", "cannot be listed: %s" % error)
        return None
    finally:
        watch.quiet.discard(watch.get_ident())
    found = set()
    for line in data.split(b"\n"):
        if b"xp " not in line and b"xs " not in line:
            continue  # most of the thousands that a large program has
        parts = line.split(None, 5)
        if len(parts) == 6 and b"x" in parts[1] and _is_file(parts[5]):
            found.add(os.fsdecode(parts[5]))
    return sorted(found)


def _is_file(name):
    return name[:1] == b"/" and not name.startswith(b"/memfd:") and not name.endswith(b" (deleted)")


def _modules():
    """Top-level modules from files that are neither the standard library's nor ours."""
    found = set()
    for name, module in list(sys.modules.items()):
        if "." in name or name.startswith(("_reproof_", "reproof_bootstrap", "__")):
            continue
        if any(not _is_standard(place) for place in _files(module)):
            found.add(name)
    return sorted(found)


def _is_standard(place):
    return place.startswith((lines.STANDARD, lines.HERE)) and "/site-packages/" not in place


def _files(module):
    """Where a module comes from. Its attributes are read past its own `__getattr__`, which may import."""
    try:
        known = object.__getattribute__(module, "__dict__")
        place = known.get("__file__")
        if isinstance(place, str):
            return [os.path.abspath(place)]
        return [os.path.abspath(each) for each in known.get("__path__") or () if isinstance(each, str)]
    except Exception:
        return []
