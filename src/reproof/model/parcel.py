"""What a re-run elsewhere is made from, by digest."""

from __future__ import annotations

import msgspec


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """Where the content of a re-run is, by BLAKE3, once no place of the first machine counts.

    Attributes:
        folder: Name of the repository's folder.
        code: A bundle of the commit, for Git.
        listings: DVC's lists of the files in a folder, by their MD5.
    """

    folder: str
    code: str
    listings: dict[str, str] = {}
