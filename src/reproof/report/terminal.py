"""Plain text with optional ANSI colour: styles, display width, wrapping."""

from __future__ import annotations

import textwrap
import unicodedata

from reproof.model.difference import Outcome
from reproof.model.verdict import Word

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
    "bold red": "1;31",
    "bold green": "1;32",
    "bold yellow": "1;33",
    "bold cyan": "1;36",
}
_OUTCOME_STYLES = {
    Outcome.IDENTICAL: "green",
    Outcome.EQUIVALENT: "green",
    Outcome.CLOSE: "yellow",
    Outcome.UNKNOWN: "magenta",
    Outcome.DIFFERENT: "red",
}
_WORD_STYLES: dict[Word, str] = {
    "reproduced": "bold green",
    "repeated": "bold green",
    "reconstructed": "bold green",
    "not reproduced": "bold red",
    "inconclusive": "bold yellow",
    "same result": "bold green",
    "other result": "bold red",
}
#: Columns of the longest outcome's name.
OUTCOME_WIDTH = max(len(outcome.word) for outcome in Outcome)


class Paint:
    """Puts text into colours, or leaves it as it is where `color` is false."""

    def __init__(self, *, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, style: str) -> str:
        """`text` in `style` (a key of the table above)."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and text else text

    def outcome(self, outcome: Outcome) -> str:
        """The outcome's name, padded to one column."""
        return self(outcome.word, _OUTCOME_STYLES[outcome]) + " " * (OUTCOME_WIDTH - len(outcome.word))

    def verdict(self, word: Word) -> str:
        """The word of a verdict."""
        return self(word, _WORD_STYLES[word])


def columns(text: str) -> int:
    """How many columns a terminal gives to `text`: wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def pad(text: str, width: int) -> str:
    """`text` filled with spaces to `width` columns; longer text stays."""
    return text + " " * (width - columns(text))


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """`text` in lines of at most `width` columns, each indented; long words stay whole."""
    space = " " * indent
    return textwrap.wrap(
        text,
        max(width, indent + 20),
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )


def flow(head: str, taken: int, rest: str, width: int) -> list[str]:
    """`head`, then `rest` on the same line where it fits, else below it, indented and wrapped.

    Args:
        head: Start of the line, perhaps with colours.
        taken: Columns that `head` takes.
        rest: Text without colours; may be empty.
        width: Columns of a line.
    """
    if not rest:
        return [head.rstrip()]
    if taken + columns(rest) <= width:
        return [head + rest]
    indent = min(taken, OUTCOME_WIDTH + 6)
    return [head.rstrip(), *wrapped(rest, width, indent)]


def pairs(items: list[tuple[str, str]], width: int, indent: int = 2) -> list[str]:
    """(label, text) pairs as two aligned columns; texts wrap within theirs."""
    if not items:
        return []
    gutter = min(max(columns(label) for label, _ in items), 44) + 2
    result: list[str] = []
    for label, text in items:
        head = " " * indent + pad(label, gutter)
        space = " " * columns(head)
        room = max(width - indent - gutter, 30)
        body = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        fits = columns(label) <= gutter - 2
        first = [head + body[0]] if fits else [" " * indent + label, " " * (indent + gutter) + body[0]]
        rest = [(space if fits else " " * (indent + gutter)) + line for line in body[1:]]
        result.extend(line.rstrip() for line in (*first, *rest))
    return result
