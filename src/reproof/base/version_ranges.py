"""Ranges of versions as Poetry writes them, brought into the form of PEP 440.

The form: https://python-poetry.org/docs/dependency-specification/#version-constraints
"""

from __future__ import annotations

import re

_PART = re.compile(
    r"(?P<operator>\^|~=|~|===?|=|!=|<=|>=|<|>)?\s*(?P<version>[vV]?\d[\w!+-]*(?:\.[\w!+-]+)*(?:\.\*)?|\*)"
)


def specifiers(text: str) -> tuple[str, ...]:
    """The alternatives of a range, each a specifier of PEP 440: ``^1.2 || 3.*`` is ``>=1.2,<2`` or ``==3.*``.

    An empty text among them accepts every version.

    Raises:
        ValueError: The text is no range.
    """
    return tuple(_alternative(each.strip()) for each in re.split(r"\|\|?", text))


def accepts(text: str, version: str) -> bool:
    """Whether a range accepts a version; pre-releases count as any other.

    Raises:
        ValueError: One of them is no range or no version.
    """
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    known = Version(version)
    return any(SpecifierSet(each).contains(known, prereleases=True) for each in specifiers(text))


def single(text: str) -> str | None:
    """A range as one specifier; None where it is none, has several alternatives, or accepts everything."""
    try:
        found = specifiers(text)
    except ValueError:
        return None
    return found[0] or None if len(found) == 1 else None


def _alternative(text: str) -> str:
    if text in ("", "*"):
        return ""
    parts, end = [], 0
    for match in _PART.finditer(text):
        if text[end : match.start()].strip(", \t"):
            break
        end = match.end()
        parts += _part(match["operator"] or "", match["version"].lower().removeprefix("v"))
    if text[end:].strip(", \t"):
        raise ValueError(f"`{text}` is no range of versions")
    return ",".join(parts)


def _part(operator: str, version: str) -> list[str]:
    if version == "*":
        return []
    if operator in ("^", "~"):
        return [f">={version}", f"<{_next(version, caret=operator == '^')}"]
    return [f"{'==' if operator in ('', '=') else operator}{version}"]


def _next(version: str, *, caret: bool) -> str:
    """The first version that a caret (next in its first number that is not 0) or a tilde no longer accepts."""
    numbers = [int(each) for each in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])] or [0]
    index = min(1, len(numbers) - 1)
    if caret:
        index = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(map(str, [*numbers[:index], numbers[index] + 1]))
