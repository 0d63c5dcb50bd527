"""The base of all parts of a record."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all parts of a record: immutable, defaults left out when written."""
