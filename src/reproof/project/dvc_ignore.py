"""Which files DVC does not see: the patterns of ``.dvcignore``, which are those of gitignore(5)."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

NAME = ".dvcignore"

#: What DVC never looks at, whatever the files say.
_ALWAYS = (".git/", ".hg/", ".dvc/", ".git", ".dvcignore")


class _Rule(msgspec.Struct, frozen=True):
    """A pattern: where it holds, what it matches, whether it takes back what others left out."""

    folder: str
    pattern: re.Pattern[str]
    only_folders: bool
    keeps: bool


class Ignored:
    """The rules of all ``.dvcignore`` files of a DVC repository.

    Args:
        top: Top of the Git repository.
        root: The folder of the DVC repository, below the top.
    """

    def __init__(self, top: Path, root: str = "") -> None:
        self._top = top
        self._root = root
        self._read: dict[str, tuple[_Rule, ...]] = {}

    def __call__(self, place: str) -> bool:
        """Whether DVC leaves out the file at `place`, below the top of the repository."""
        parts = place.split("/")
        return any(
            self._matches("/".join(parts[:end]), is_folder=end < len(parts))
            for end in range(1, len(parts) + 1)
        )

    def _matches(self, place: str, *, is_folder: bool) -> bool:
        left_out = False
        folder = place.rpartition("/")[0]
        for rule in self._rules(folder):
            inside = place[len(rule.folder) + 1 :] if rule.folder else place
            if (is_folder or not rule.only_folders) and rule.pattern.fullmatch(inside):
                left_out = not rule.keeps
        return left_out

    def _rules(self, folder: str) -> tuple[_Rule, ...]:
        """The rules that hold within a folder: those of the folders around it first."""
        if folder not in self._read:
            is_top = folder in ("", self._root)
            above = self._defaults() if is_top else self._rules(folder.rpartition("/")[0])
            self._read[folder] = (*above, *self._own(folder))
        return self._read[folder]

    def _defaults(self) -> tuple[_Rule, ...]:
        return tuple(rule for line in _ALWAYS if (rule := _parse(line, "")) is not None)

    def _own(self, folder: str) -> tuple[_Rule, ...]:
        try:
            lines = (self._top / folder / NAME).read_text("utf-8", "replace").splitlines()
        except OSError:
            return ()
        return tuple(rule for line in lines if (rule := _parse(line, folder)) is not None)


def _parse(line: str, folder: str) -> _Rule | None:
    text = line.rstrip("\r\n")
    if not text.endswith("\\ "):
        text = text.rstrip(" ")
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text[1:] if keeps else text.removeprefix("\\") if text[:2] in ("\\!", "\\#") else text
    only_folders = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    expression = _translate(text.lstrip("/"))
    if not anchored:
        expression = f"(?:.*/)?{expression}"
    return _Rule(folder, re.compile(expression, re.DOTALL), only_folders, keeps)


def _translate(pattern: str) -> str:
    """A pattern of gitignore(5) as a regular expression for whole paths."""
    expression, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            expression, at = expression + "(?:.*/)?", at + 3
        elif pattern.startswith("/**", at) and at + 3 == len(pattern):
            expression, at = expression + "/.*", at + 3
        elif pattern[at] == "*":
            expression, at = expression + "[^/]*", at + 1
        elif pattern[at] == "?":
            expression, at = expression + "[^/]", at + 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\")
            inside = f"^{inside[1:]}" if inside[0] in "!^" else inside
            expression, at = f"{expression}[{inside}]", end + 1
        else:
            at += pattern[at] == "\\" and at + 1 < len(pattern)
            expression, at = expression + re.escape(pattern[at]), at + 1
    return expression
