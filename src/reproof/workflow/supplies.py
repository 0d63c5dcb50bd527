"""Places with data that the user names, and the inputs that they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from reproof.errors import UsageError


class Supplies:
    """Places that the user named with ``--data``.

    Args:
        words: ``PATH``, or ``NAME=PATH`` with the name of an input below the top of the repository.

    Raises:
        UsageError: A place is not there.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.named: dict[str, Path] = {}
        self.places: list[Path] = []
        for word in words:
            name, equals, place = word.partition("=")
            is_named = bool(equals) and not Path(word).exists()
            path = Path(place if is_named else word).absolute()
            if not path.exists():
                raise UsageError(f"there is no `{path}` to take data from", hint="pass `--data PATH`")
            if is_named:
                self.named[os.path.normpath(name)] = path
            else:
                self.places.append(path)

    def find(self, name: str) -> Path | None:
        """Where the input `name` is: the place with this name, else the one that ends like it."""
        for known, place in self.named.items():
            if name == known:
                return place
            if name.startswith(f"{known}/") and (place / name[len(known) + 1 :]).exists():
                return place / name[len(known) + 1 :]
        parts = PurePosixPath(name).parts
        for place in self.places:
            if place.is_file() and place.name == parts[-1]:
                return place
            for start in range(len(parts)) if place.is_dir() else ():
                found = place.joinpath(*parts[start:])
                if found.exists():
                    return found
        return None
