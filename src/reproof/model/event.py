"""What a workflow tells while it works; who shows it, and how, is not its concern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing worth telling.

    Attributes:
        kind: ``start``, ``advance`` and ``finish`` bracket a stretch of work named by
            `subject`; ``note`` informs; ``warning`` is something that the user can act on.
        subject: Name of the work: ``environment``, ``training``, ``compare``.
        message: A line for people.
        done: Units done so far (``advance``).
        total: Units in all, where known.
        hint: What to do about a warning; can be pasted.
    """

    kind: Literal["start", "advance", "finish", "note", "warning"]
    subject: str
    message: str = ""
    done: int = 0
    total: int | None = None
    hint: str | None = None


Emit = Callable[[Event], None]


def silent(event: Event) -> None:
    """The receiver that shows nothing."""
