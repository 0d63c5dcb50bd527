"""One thing that was examined: is it there, and what follows if not."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `reproof doctor`.

    Attributes:
        name: What was examined.
        ok: It is there and works.
        required: Without it nothing can be done.
        value: Version, place, or what went wrong.
        meaning: What its absence means.
    """

    name: str
    ok: bool
    required: bool = False
    value: str = ""
    meaning: str = ""
