"""How to run something: an immutable value that variations and isolation rewrite."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A command with everything that decides what it does.

    Attributes:
        argv: Program and arguments.
        env: The whole environment of the process; nothing is inherited.
        cwd: Absolute working directory.
        umask: Permission bits that its new files do not get; ours by default.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    umask: int | None = None

    def with_env(self, changes: Mapping[str, str | None]) -> Recipe:
        """The recipe with variables set, or removed where the value is None."""
        env = {name: value for name, value in self.env.items() if name not in changes}
        env.update({name: value for name, value in changes.items() if value is not None})
        return msgspec.structs.replace(self, env=env)

    def wrapped(self, *prefix: str) -> Recipe:
        """The recipe run by another program: `prefix` before the arguments."""
        return msgspec.structs.replace(self, argv=(*prefix, *self.argv))
