"""Seeds a library when the program imports it, if it was not there when everything was seeded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_waiting: dict[str, Callable[[ModuleType], None]] = {}


class _Finder(MetaPathFinder):
    """Finds nothing itself: lends the real loader an ear."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The real spec of a module that is waited for; None for all others."""
        del path, target
        if fullname not in _waiting:
            return None
        callback = _waiting.pop(fullname)  # the search below passes here again
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _listen(spec.loader, callback)
        else:
            _waiting[fullname] = callback
        return spec


_FINDER = _Finder()


def when_imported(callbacks: dict[str, Callable[[ModuleType], None]]) -> None:
    """Call each callback with its module right after the import, once; replaces what was waited for before."""
    _waiting.clear()
    _waiting.update(callbacks)
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
    if callbacks:
        sys.meta_path.insert(0, _FINDER)


def waiting() -> dict[str, Callable[[ModuleType], None]]:
    """What is waited for now."""
    return dict(_waiting)


def _listen(loader: Any, callback: Callable[[ModuleType], None]) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        if loader.__dict__.get("exec_module") is exec_module:
            del loader.exec_module  # leaves the loader as it was
        execute(module)
        callback(module)

    loader.exec_module = exec_module
