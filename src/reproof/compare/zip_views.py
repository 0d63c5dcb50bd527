"""Zip files as formats use them: members as checked views, and what of the container is no content."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from reproof.base.digesting import new_digester
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.zips import open_member, open_zip, read_zip
from reproof.model.difference import Difference, Outcome

_CHUNK = 1 << 24


class ZipViews:
    """The members of an open zip file as views that live as long as it is open.

    Attributes:
        source: The file.
        names: Names of the members in the order of the directory, folders left out.
    """

    def __init__(self, source: Source, archive: zipfile.ZipFile, context: Context, stack: ExitStack) -> None:
        """Read the directory.

        Raises:
            ContentError: Two members have one name, or the directory is damaged.
        """
        self.source = source
        self._archive = archive
        self._context = context
        self._stack = stack
        self._content = read_zip(source, archive, context)
        self._infos = {info.filename: info for info in archive.infolist()}
        if len(self._infos) != len(self._content.members):
            raise ContentError("two of its members have the same name")
        self.names = [member.name for member in self._content.members if member.kind == "file"]

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def view(self, name: str) -> memoryview:
        """The content of a member, its CRC checked.

        Raises:
            ContentError: There is no such member, or it is damaged.
            LimitError: It expands beyond the limits.
        """
        info = self._infos.get(name)
        if info is None:
            raise ContentError(f"its member `{name[:200]}` is missing")
        content = self._stack.enter_context(open_member(self.source, self._archive, info, self._context))
        view = self._stack.enter_context(content.view())
        crc = 0
        for start in range(0, len(view), _CHUNK):
            crc = zlib.crc32(view[start : start + _CHUNK], crc)
        if crc != info.CRC:
            raise ContentError(f"its member `{name[:200]}` is damaged")
        return view

    def noise(self) -> dict[str, Counter[str]]:
        """What the directory says of the members besides name and content, by what it is called."""
        found: dict[str, Counter[str]] = {}
        for member in self._content.members:
            for name, value in member.noise.items():
                found.setdefault(name, Counter())[repr(value)] += 1
        found["zip comments"] = found.get("zip comments", Counter()) + Counter([repr(self._content.comment)])
        return found

    def unowned(self) -> list[str]:
        """Digests of the stretches of bytes that belong to no member."""
        found = []
        for start, length in self._content.unowned:
            digester = new_digester("blake3")
            with self.source.part("", start, length).open() as file:
                while chunk := file.read(1 << 20):
                    digester.update(chunk)
            found.append(digester.hexdigest())
        return found


@contextmanager
def zip_views(source: Source, context: Context) -> Iterator[ZipViews]:
    """Open a zip file for the time of the block.

    Raises:
        ContentError: It is no zip file, or damaged.
        LimitError: It has too many members.
    """
    with open_zip(source) as archive, ExitStack() as stack:
        yield ZipViews(source, archive, context, stack)


def compare_containers(one: ZipViews, two: ZipViews) -> tuple[set[str], list[Difference]]:
    """What differs between two zip files apart from names and contents of their members.

    Returns:
        Names of what is set aside, and differences that are not.
    """
    before, after = one.noise(), two.noise()
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    if one.unowned() == two.unowned():
        return names, []
    summary = "bytes that belong to no member differ"
    hidden = Difference(subject="(between members)", outcome=Outcome.DIFFERENT, summary=summary, kind="zip")
    return names, [hidden]


def has_members(source: Source, *names: str) -> bool:
    """Whether the zip file `source` has a member for each of `names`; ``*x`` stands for any ending in x."""
    try:
        with open_zip(source) as archive:
            present = archive.namelist()
    except (ContentError, OSError):
        return False
    return all(
        any(each.endswith(name[1:]) for each in present) if name.startswith("*") else name in present
        for name in names
    )
