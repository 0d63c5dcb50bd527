"""Calls back when a module has been imported, through a finder of our own; nothing is imported for it."""

import sys

import _reproof_lines as lines

_PREFIX = "_reproof_"

_waiting = {}  # module name: callbacks
_begun = set()  # modules that were half imported when their callbacks came
_served = []  # the folder that our own modules are imported from


def after(name, callback):
    """Call `callback(module)` right after the import of `name`; at once if that has happened already."""
    _waiting.setdefault(name, []).append(callback)
    module = sys.modules.get(name)
    if module is not None:
        _fire_if_done(name, module)


def serve(folder):
    """Stand first among the finders; our own later imports come from `folder`."""
    _served.append(folder)
    sys.meta_path.insert(0, Finder)


def noticed(finders):
    """Told of an import statement with the finders in use: repairs what the program has replaced."""
    if _waiting:
        if Finder not in finders:
            finders.insert(0, Finder)
            _begun.update(name for name in _waiting if name in sys.modules)
        if _begun:
            for name in list(_begun):
                _fire_if_done(name, sys.modules.get(name))


class Finder:
    """Finds nothing itself (but our own modules): it lends the real loader an ear."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """The real spec of a module that somebody waits for; None for all others."""
        try:
            if name in _waiting:
                spec = _real_spec(name, path, target)
                if spec is not None:
                    _listen(name, spec)
                return spec
            if name.startswith(_PREFIX) and _served:
                return _own_spec(name)
        except Exception as error:
            lines.failed("import of %s" % name, repr(error))
        return None


def _real_spec(name, path, target):
    for finder in list(sys.meta_path):
        find = getattr(finder, "find_spec", None)
        if finder is not Finder and find is not None:
            spec = find(name, path, target)
            if spec is not None:
                return spec
    return None


def _own_spec(name):
    # Reached through sys.modules because `import importlib.util` costs more than all of this.
    machinery = sys.modules["_frozen_importlib_external"]
    place = "%s/%s.py" % (_served[0], name)
    try:
        machinery._path_stat(place)
    except OSError:
        return None
    return machinery.spec_from_file_location(name, place)


def _listen(name, spec):
    loader = spec.loader
    execute = getattr(loader, "exec_module", None)

    def exec_module(module):
        if loader.__dict__.get("exec_module") is exec_module:
            del loader.exec_module  # leaves the loader as it was
        execute(module)
        if getattr(module, "__name__", None) == name:
            _fire(name, module)

    try:
        if execute is not None and not isinstance(loader, type):  # a class would load many modules
            loader.exec_module = exec_module
            return
    except AttributeError:
        pass
    _begun.add(name)  # at the next import statement, then


def _fire_if_done(name, module):
    state = getattr(getattr(module, "__spec__", None), "_initializing", False)
    if module is None or state:
        _begun.add(name)
    else:
        _fire(name, module)


def _fire(name, module):
    _begun.discard(name)
    for callback in _waiting.pop(name, ()):
        try:
            callback(module)
        except Exception as error:
            lines.failed("hook of %s" % name, repr(error))
