"""Zip and tar archives: members by name, with what is not content set aside by name."""

from __future__ import annotations

from dataclasses import dataclass

from reproof.compare.members import Special, compare_members
from reproof.compare.protocol import Context, Source
from reproof.compare.tars import read_tar
from reproof.compare.zips import open_zip, read_zip
from reproof.model.difference import Difference, Outcome


class ZipComparator:
    """Zip: dates, order, compression, permissions other than to execute, generator fields set aside."""

    name = "zip"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin like a zip file, or (self-extracting ones) are called so."""
        return all(
            side.head(4) in (b"PK\x03\x04", b"PK\x05\x06") or side.name.lower().endswith((".zip", ".pyz"))
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are the members that are not identical."""
        return compare_zips(expected, actual, subject, context)


class TarComparator:
    """Tar (ustar, pax, GNU): dates, order, owners, permissions other than to execute set aside."""

    name = "tar"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both have the mark of tar, or are called so."""
        return all(
            side.head(262)[257:262] == b"ustar" or side.name.lower().endswith(".tar")
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are the members that are not identical."""
        sides = tuple(read_tar(side, context) for side in (expected, actual))
        parts, names = compare_members(sides[0].members, sides[1].members, "tar", context)
        if sides[0].facts != sides[1].facts:
            parts.add(_hidden("(archive)", "attributes of the archive differ"))
        stretches = [
            _stretches(side, tar.unowned) for side, tar in zip((expected, actual), sides, strict=True)
        ]
        if stretches[0] != stretches[1]:
            parts.add(_hidden("(between members)", "bytes that belong to no member differ"))
        if sides[0].format != sides[1].format:
            names.add("tar format")
        if sides[0].zeros != sides[1].zeros:
            names.add("tar padding")
        return parts.difference(
            subject,
            kind=self.name,
            summary=_summary(parts.words(), names),
            canonicalised=tuple(sorted(names)),
        )


@dataclass(frozen=True)
class ZipStyle:
    """How a format that is a zip file is compared.

    Attributes:
        kind: What the difference is called.
        special: Asked first for each pair of contents; None leaves a pair to the registry.
    """

    kind: str = "zip"
    special: Special | None = None


def compare_zips(
    expected: Source, actual: Source, subject: str, context: Context, style: ZipStyle | None = None
) -> Difference:
    """Compare two zip files member by member.

    Args:
        expected: The recorded side.
        actual: The other side.
        subject: What the difference is about.
        context: Tolerance and limits.
        style: What is special about a format that is a zip file.

    Raises:
        ContentError: One of them is no zip file, or beyond the limits.
    """
    how = style or ZipStyle()
    with open_zip(expected) as one, open_zip(actual) as two:
        before, after = read_zip(expected, one, context), read_zip(actual, two, context)
        parts, names = compare_members(before.members, after.members, "zip", context, how.special)
    if before.comment != after.comment:
        names.add("zip comments")
    if _stretches(expected, before.unowned) != _stretches(actual, after.unowned):
        parts.add(_hidden("(between members)", "bytes that belong to no member differ"))
    return parts.difference(
        subject, kind=how.kind, summary=_summary(parts.words(), names), canonicalised=tuple(sorted(names))
    )


def _summary(words: str, names: set[str]) -> str:
    return f"members: {words}" + (f"; other {', '.join(sorted(names))}" if names else "")


def _hidden(subject: str, summary: str) -> Difference:
    return Difference(subject=subject, outcome=Outcome.DIFFERENT, summary=summary, kind="member")


def _stretches(source: Source, stretches: list[tuple[int, int]]) -> list[str]:
    """Digests of the bytes that belong to no member."""
    from reproof.base.digesting import new_digester

    found = []
    for start, length in stretches:
        digester = new_digester("blake3")
        with source.part("", start, length).open() as file:
            while chunk := file.read(1 << 20):
                digester.update(chunk)
        found.append(digester.hexdigest())
    return found
