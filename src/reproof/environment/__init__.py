"""Makes and checks an environment from a lock, and finds the interpreter for it.

The way: `find_python` -> `make_lock` -> `create` (cached, or private to a clean room) -> `check`.
For the user's own environment: `find_local_python` -> `inspect` -> `overlay`.
"""

from reproof.environment.bytecode import compile_sources, imported_sources
from reproof.environment.create import check, check_contents, create, environment_key, find_cached
from reproof.environment.installed import Change, list_distributions
from reproof.environment.local_python import Overlay, find_local_python, inspect, overlay
from reproof.environment.lock import disagreements, make_lock, read_lock_file
from reproof.environment.python import all_pythons, find_python, interpreter_at
from reproof.environment.values import (
    Environment,
    EnvironmentRequest,
    Interpreter,
    LockFormat,
    LockKind,
    LockSource,
    LockText,
)

__all__ = [
    "Change",
    "Environment",
    "EnvironmentRequest",
    "Interpreter",
    "LockFormat",
    "LockKind",
    "LockSource",
    "LockText",
    "Overlay",
    "all_pythons",
    "check",
    "check_contents",
    "compile_sources",
    "create",
    "disagreements",
    "environment_key",
    "find_cached",
    "find_local_python",
    "find_python",
    "imported_sources",
    "inspect",
    "interpreter_at",
    "list_distributions",
    "make_lock",
    "overlay",
    "read_lock_file",
]
