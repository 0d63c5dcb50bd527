"""Text: which lines differ, with line endings, the final newline and the encoding named as such."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from reproof.base.digesting import new_digester
from reproof.compare.bytewise import describe_bytes
from reproof.compare.protocol import Context, Source
from reproof.model.difference import Difference, Outcome

_HEAD = 8192
_WHOLE = 8 << 20  # longer texts are streamed: a list of short lines takes many times their bytes
_LINES_FOR_DIFF = 5000  # difflib is quadratic: beyond it only the differing middle is counted
_EXCERPT_LINES = 40
_LINE_WIDTH = 200
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b\b")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class Text:
    """Decoded text with what decoding and splitting set aside.

    Attributes:
        encoding: ``utf-8``, ``utf-8-sig``, ``utf-16`` or ``latin-1`` (each byte one character).
        lines: Lines without their endings.
        endings: Names of the line endings used: ``LF``, ``CRLF``, ``CR``.
        final_newline: Whether the last line ends with one; True for empty text.
    """

    encoding: str
    lines: list[str]
    endings: tuple[str, ...]
    final_newline: bool


class TextComparator:
    """Text in UTF-8, UTF-16 with a mark, or any 8-bit encoding without control characters."""

    name = "text"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Whether the beginnings of both look like text."""
        return looks_like_text(expected.head(_HEAD)) and looks_like_text(actual.head(_HEAD))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """DIFFERENT, saying where and how much; texts above 8 MiB are streamed and told in less detail."""
        del context
        if max(expected.size, actual.size) > _WHOLE:
            return compare_long_text(expected, actual, subject)
        return compare_text(expected.read(_WHOLE), actual.read(_WHOLE), subject)


def looks_like_text(head: bytes) -> bool:
    """Whether `head`, the beginning of a file, is text: no NUL and no control characters."""
    if head.startswith(tuple(mark for mark, _ in _BOMS)):
        return True
    return not _CONTROL.intersection(head)


def decode(data: bytes) -> Text:
    """Decode and split `data`; any bytes can be decoded (at worst as latin-1)."""
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding, text = "latin-1", data.decode("latin-1")
    crlf = text.count("\r\n")
    found = {"CRLF": crlf, "LF": text.count("\n") - crlf, "CR": text.count("\r") - crlf}
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = unified.split("\n")
    final = not unified or unified.endswith("\n")
    if final:
        lines.pop()
    return Text(encoding, lines, tuple(name for name, count in found.items() if count), final)


def compare_text(expected: bytes, actual: bytes, subject: str, kind: str = "text") -> Difference:
    """How two texts with different bytes differ.

    Evidence: ``line`` and ``column`` (from 1, in characters) of the first difference, ``added`` and
    ``removed`` lines, ``excerpt`` (unified), and ``line_endings``, ``final_newline``, ``encoding``
    as [expected, actual] where they differ.
    """
    if expected == actual:
        return Difference(subject=subject, outcome=Outcome.IDENTICAL, summary="identical bytes", kind=kind)
    if max(len(expected), len(actual)) > _WHOLE:
        return compare_long_text(
            Source(name=subject, data=expected), Source(name=subject, data=actual), subject, kind
        )
    one, two = decode(expected), decode(actual)
    evidence, words = _set_aside(one, two)
    if one.lines != two.lines:
        facts = _lines(one.lines, two.lines)
        evidence = {**facts, **evidence}
        words = [_line_words(facts), *words]
    else:
        words = [f"only the {' and the '.join(words)}" if words else "only the mix of line endings differs"]
    offset = next(
        (i for i, pair in enumerate(zip(expected, actual, strict=False)) if pair[0] != pair[1]), None
    )
    evidence["offset"] = min(len(expected), len(actual)) if offset is None else offset
    evidence["sizes"] = [len(expected), len(actual)]
    return Difference(
        subject=subject, outcome=Outcome.DIFFERENT, summary="; ".join(words), kind=kind, evidence=evidence
    )


def compare_long_text(expected: Source, actual: Source, subject: str, kind: str = "text") -> Difference:
    """As :func:`compare_text` in constant memory: the first difference and the numbers of lines.

    Evidence: ``offset``, ``line`` and ``column`` (from 1, in bytes) of the first difference, ``lines``
    and ``sizes`` as [expected, actual], and the two lines there.
    """
    facts = describe_bytes(expected, actual, subject)
    if facts.outcome is Outcome.IDENTICAL:
        return facts
    offset = facts.evidence["offset"]
    before, column = _lines_before(expected, offset)
    counts = [_lines_before(side, side.size)[0] for side in (expected, actual)]
    shown = [_line_at(side, offset - column) for side in (expected, actual)]
    words = f"first difference at line {before + 1:,}, column {column + 1:,}"
    if counts[0] != counts[1]:
        words += f" ({counts[0]:,} -> {counts[1]:,} lines)"
    if _without_returns(expected) == _without_returns(actual):
        words = "only the carriage returns differ"
    evidence = {
        "offset": offset,
        "line": before + 1,
        "column": column + 1,
        "lines": counts,
        "sizes": facts.evidence["sizes"],
        "excerpt": [f"@@ line {before + 1} @@", f"-{shown[0]}", f"+{shown[1]}"],
    }
    return Difference(subject=subject, outcome=Outcome.DIFFERENT, summary=words, kind=kind, evidence=evidence)


def _chunks(source: Source) -> Iterator[bytes]:
    with source.open() as file:
        while chunk := file.read(1 << 20):
            yield chunk


def _lines_before(source: Source, offset: int) -> tuple[int, int]:
    """How many lines end before `offset`, and how many bytes of the line there come before it."""
    position = count = start = 0
    for chunk in _chunks(source):
        part = chunk[: offset - position]
        count += part.count(b"\n")
        last = part.rfind(b"\n")
        start = position + last + 1 if last >= 0 else start
        position += len(part)
        if position >= offset:
            break
    return count, position - start


def _line_at(source: Source, start: int) -> str:
    with source.open() as file:
        file.seek(start)
        line = file.read(_LINE_WIDTH).split(b"\n")[0]
    return line.decode("utf-8", "backslashreplace")


def _without_returns(source: Source) -> str:
    digester = new_digester("blake3")
    for chunk in _chunks(source):
        digester.update(chunk.replace(b"\r", b""))
    return str(digester.hexdigest())


def _set_aside(one: Text, two: Text) -> tuple[dict[str, object], list[str]]:
    evidence: dict[str, object] = {}
    words = []
    if one.endings != two.endings and one.endings and two.endings:
        evidence["line_endings"] = [list(one.endings), list(two.endings)]
        words.append(f"line endings differ ({'+'.join(one.endings)} -> {'+'.join(two.endings)})")
    if one.final_newline is not two.final_newline:
        evidence["final_newline"] = [one.final_newline, two.final_newline]
        words.append("final newline is " + ("gone" if one.final_newline else "new"))
    if one.encoding != two.encoding:
        evidence["encoding"] = [one.encoding, two.encoding]
        words.append(f"encoding differs ({one.encoding} -> {two.encoding})")
    return evidence, words


def _line_words(facts: dict[str, object]) -> str:
    counts = ", ".join(
        f"{facts[name]:,} {noun}"
        for name, noun in (("removed", "removed"), ("added", "added"))
        if facts[name]
    )
    return (
        f"first difference at line {facts['line']:,}, column {facts['column']:,} ({counts or 'lines moved'})"
    )


def _lines(one: list[str], two: list[str]) -> dict[str, object]:
    """Counts, place and excerpt of the lines between the common beginning and the common end."""
    start = _common(one, two)
    end = _common(one[start:][::-1], two[start:][::-1])
    left, right = one[start : len(one) - end], two[start : len(two) - end]
    first = left[0] if left else "", right[0] if right else ""
    column = _common(*first) + 1 if left and right else 1
    exact = len(left) + len(right) <= _LINES_FOR_DIFF
    facts: dict[str, object] = {"line": start + 1, "column": column}
    if exact:
        changes = list(difflib.unified_diff(left, right, lineterm="", n=0))[2:]
        facts["removed"] = sum(line.startswith("-") for line in changes)
        facts["added"] = sum(line.startswith("+") for line in changes)
    else:
        facts["removed"], facts["added"] = len(left), len(right)
        facts["counts"] = "upper bounds: the stretch between the first and the last difference"
    facts["excerpt"] = _excerpt(one, two, start, (len(left), len(right)))
    return facts


def _excerpt(one: list[str], two: list[str], start: int, lengths: tuple[int, int]) -> list[str]:
    reach = min(max(lengths), _EXCERPT_LINES)
    before = max(0, start - 2)
    left, right = (
        lines[before : start + min(length, reach) + 2]
        for lines, length in ((one, lengths[0]), (two, lengths[1]))
    )
    diff = list(difflib.unified_diff(left, right, lineterm="", n=2))[3:]
    header = f"@@ line {before + 1} @@"
    return [header, *(_short(line) for line in diff if not line.startswith("@@"))][:_EXCERPT_LINES]


def _common(one: object, two: object) -> int:
    """Length of the common beginning of two sequences."""
    count = 0
    for left, right in zip(one, two, strict=False):  # type: ignore[call-overload]
        if left != right:
            return count
        count += 1
    return count


def _short(line: str) -> str:
    return line if len(line) <= _LINE_WIDTH else line[: _LINE_WIDTH - 1] + "…"
