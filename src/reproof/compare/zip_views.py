"""Zip files as formats use them: members as checked views, and what of the container is no content."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from reproof.base.digesting import new_digester
from reproof.compare.paging import forget
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.zips import open_member, open_zip, read_zip
from reproof.model.difference import Difference, Outcome

_CHUNK = 1 << 24
_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_WIDE = 0xFFFFFFFF  # stands for a size that is in an extra field
_PADDING = 0x4246  # "FB", before the filler that aligns PyTorch's storages


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

    def size(self, name: str) -> int:
        """Bytes of a member as the directory says, which is no less than can be read; 0 for none."""
        info = self._infos.get(name)
        return 0 if info is None else info.file_size

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
            forget(view, start, start + _CHUNK)
        if crc != info.CRC:
            raise ContentError(f"its member `{name[:200]}` is damaged")
        return view

    def noise(self) -> dict[str, Counter[str]]:
        """What the directory says of the members besides name and content, by what it is called."""
        found: dict[str, Counter[str]] = {}
        for member in self._content.members:
            for name, value in member.noise.items():
                stored = name == "zip compression" and value[0] == zipfile.ZIP_STORED
                told = value[::2] if stored else value  # without the size, which is that of the content
                found.setdefault(name, Counter())[repr(told)] += 1
        found["zip comments"] = found.get("zip comments", Counter()) + Counter([repr(self._content.comment)])
        return found

    def oddities(self) -> list[str]:
        """Where the header before a member, or what follows it, contradicts the directory.

        Readers do not care, so that it is no content; but no writer does it either.
        """
        found = [] if self._ends_well() else ["the end of the directory"]
        with self.source.open() as file:
            for info in self._infos.values():
                file.seek(info.header_offset)
                head = file.read(_LOCAL.size)
                fields = _LOCAL.unpack(head) if len(head) == _LOCAL.size else None
                if fields is None or not _agrees(fields, info):
                    found.append(f"the header of `{info.filename[:80]}`")
                    continue
                file.seek(fields[9], 1)
                if not _is_filler(file.read(fields[10]), info.extra):
                    found.append(f"the extra field of `{info.filename[:80]}`")
                file.seek(info.compress_size, 1)
                if info.flag_bits & 8 and not _is_descriptor(file.read(24), info):
                    found.append(f"what follows `{info.filename[:80]}`")
        return found

    def _ends_well(self) -> bool:
        """Whether the record at the very end says what the directory is."""
        comment = self._archive.comment
        with self.source.open() as file:
            file.seek(self.source.size - 22 - len(comment))
            _, disk, first, here, count, size, start, length = _END.unpack(file.read(22))
        members, begin = len(self._infos), self._archive.start_dir
        whole = (disk, first, here, count, start, length) == (0, 0, members, members, begin, len(comment))
        wide = _WIDE in (size, start) or 0xFFFF in (here, count)
        return wide or (whole and begin + size + 22 + len(comment) <= self.source.size)

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
    hidden = []
    if one.unowned() != two.unowned():
        summary = "bytes that belong to no member differ"
        hidden.append(
            Difference(subject="(between members)", outcome=Outcome.DIFFERENT, summary=summary, kind="zip")
        )
    odd = [side.oddities() for side in (one, two)]
    if odd[0] != odd[1]:
        reason = f"damaged: {', '.join([*odd[0], *odd[1]][:3])} contradicts the directory"
        hidden.append(
            Difference(
                subject="(directory)",
                outcome=Outcome.UNKNOWN,
                summary=reason,
                kind="zip",
                evidence={"reason": reason},
            )
        )
    return names, hidden


def _agrees(fields: tuple[Any, ...], info: zipfile.ZipInfo) -> bool:
    """Whether a local header says the same as the directory, as far as it says anything."""
    _, needed, flags, method, time, date, crc, packed, plain, _, _ = fields
    year, month, day, hour, minute, second = info.date_time
    stamp = (hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day)
    sums = (info.CRC, info.compress_size, info.file_size)
    told = (crc, packed, plain)
    later = bool(info.flag_bits & 8) and told in ((0, 0, 0), (0, _WIDE, _WIDE))
    wide = (crc, packed, plain) == (info.CRC, _WIDE, _WIDE)
    version = info.extract_version | info.reserved << 8
    listed = (version, info.flag_bits, info.compress_type, 0)
    same_head = (needed, flags, method, info.volume) == listed
    return same_head and (time, date) == stamp and (told == sums or later or wide)


def _is_filler(extra: bytes, listed: bytes) -> bool:
    """Whether an extra field is what the directory has, sizes of large members, or PyTorch's padding."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        body = extra[position + 4 : position + 4 + length]
        known = kind == 1 or extra[position : position + 4 + length] in listed
        if not known and not (kind == _PADDING and not body.strip(b"Z")):
            return False
        position += 4 + length
    return position == len(extra)


def _is_descriptor(data: bytes, info: zipfile.ZipInfo) -> bool:
    """Whether `data` begins with the sums of a member, as streaming writers put them behind it."""
    sums = (info.CRC, info.compress_size, info.file_size)
    forms = [struct.pack("<3I", *sums) if max(sums) < _WIDE else b"", struct.pack("<IQQ", *sums)]
    return any(form and data.startswith((form, b"PK\x07\x08" + form)) for form in forms)


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
