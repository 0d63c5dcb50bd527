"""Content identity: a digest names bytes, whatever they are called and wherever they lie."""

from __future__ import annotations

import re

import msgspec

#: Digits of each algorithm that a record may hold, as hexadecimal characters.
LENGTHS = {"blake3": 64, "sha256": 64, "sha1": 40, "md5": 32, "md5-dos2unix": 32}

_FORM = re.compile(r"(?P<algorithm>[a-z0-9-]+):(?P<value>[0-9a-f]+)(?P<directory>\.dir)?")


class Digest(msgspec.Struct, frozen=True, order=True):
    """A named digest, written as ``algorithm:value``.

    Attributes:
        algorithm: A key of :data:`LENGTHS`.
        value: Lower-case hexadecimal digits; a DVC directory id keeps its ``.dir`` ending.
    """

    algorithm: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``algorithm:value``.

        Raises:
            ValueError: The text has another form, or not the length of its algorithm.
        """
        match = _FORM.fullmatch(text)
        if match is None or LENGTHS.get(match["algorithm"]) != len(match["value"]):
            msg = f"not a digest: {text!r}"
            raise ValueError(msg)
        return cls(match["algorithm"], match["value"] + (match["directory"] or ""))

    @property
    def short(self) -> str:
        """The form for people: algorithm and the first eight digits."""
        return f"{self.algorithm}:{self.value[:8]}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"
