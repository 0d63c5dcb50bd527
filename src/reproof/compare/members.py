"""Members of archives: kept within limits while they are compared, and matched by name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from reproof.compare.collecting import Collector
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.special import shown
from reproof.model.difference import Difference, Outcome, combine

_CHUNK = 1 << 20
_DEEPEST = 256  # folders within folders in names that are taken apart


@contextmanager
def held(stream: BinaryIO, name: str, context: Context) -> Iterator[Source]:
    """What can be read from `stream` (until its end) as a source, for the time of the block.

    In memory while it is small, else in a temporary file.

    Raises:
        LimitError: Decompression yields more than the limits allow.
    """
    context.spending.expand(0)  # one bomb was enough
    head = bytearray()
    while len(head) <= context.limits.max_bytes_held:
        chunk = stream.read(_CHUNK)
        if not chunk:
            yield Source(name=name, data=bytes(head))
            return
        context.spending.expand(len(chunk))
        head += chunk
    with tempfile.NamedTemporaryFile(prefix="reproof-member-") as file:
        file.write(head)
        del head
        while chunk := stream.read(_CHUNK):
            context.spending.expand(len(chunk))
            file.write(chunk)
        file.flush()
        yield Source(name=name, path=Path(file.name))


@dataclass(frozen=True)
class Member:
    """One member of an archive, as far as it is content.

    Attributes:
        name: Path within the archive, as it stands there; never used as a path here.
        kind: ``file``, ``folder``, ``symlink`` or what else the format knows.
        target: Of links, where they point to; of devices, their numbers.
        executable: Whether somebody may execute it.
        noise: What is not content, by the name under which it is set aside.
        facts: What else is content, by name: extended attributes and the like.
        crc: The sum that readers check the content against, where there is one.
        open: Gives the content for the time of a block.
        locked: Why the content cannot be read (``is encrypted``).
    """

    name: str
    kind: str = "file"
    target: str | None = None
    executable: bool = False
    noise: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    crc: int | None = None
    open: Callable[[], Any] | None = None
    locked: str | None = None


#: Compares the contents of two members instead of the registry; None leaves it to the registry.
Special = Callable[[Source, Source, str, Context], Difference | None]


def compare_members(
    expected: Sequence[Member],
    actual: Sequence[Member],
    kind: str,
    context: Context,
    special: Special | None = None,
) -> tuple[Collector, set[str]]:
    """Compare the members of two archives by name, with those of one name in their order.

    Args:
        expected: Members in the order of the archive.
        actual: Those of the other side.
        kind: ``zip`` or ``tar``, for the names of what is set aside.
        context: Where the contents are compared.
        special: Asked first for each pair of contents.

    Returns:
        The parts, and the names of what was set aside.
    """
    before, after = _keyed(expected), _keyed(actual)
    names = set()
    for one, two in ((before, after), (after, before)):
        for key in _implied_folders(one) - two.keys():
            del one[key]
            names.add(f"{kind} folder entries")
    common = [key for key in before if key in after]
    if common != [key for key in after if key in before]:
        names.add(f"{kind} member order")
    parts = Collector(context)
    for key, member in before.items():
        other = after.get(key)
        if other is None:
            parts.add(_one_sided(key, member, gone=True))
            continue
        names.update(
            name for name in {*member.noise, *other.noise} if member.noise.get(name) != other.noise.get(name)
        )
        parts.add(_compare_pair(_label(key), member, other, context, special))
    parts.extend(_one_sided(key, member, gone=False) for key, member in after.items() if key not in before)
    return parts, names


Key = tuple[str, int]


def _keyed(members: Sequence[Member]) -> dict[Key, Member]:
    """Members by name and number among those of the same name."""
    counts: dict[str, int] = {}
    found: dict[Key, Member] = {}
    for member in members:
        name = member.name.rstrip("/") or member.name
        counts[name] = counts.get(name, 0) + 1
        found[name, counts[name]] = member
    return found


def _implied_folders(members: dict[Key, Member]) -> set[Key]:
    """Entries of folders that hold other members: those would be there without them."""
    parents: set[str] = set()
    for name, _ in members:
        parent = name.rpartition("/")[0] if name.count("/") <= _DEEPEST else ""
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition("/")[0]
    return {key for key, member in members.items() if member.kind == "folder" and key[0] in parents}


def _label(key: Key) -> str:
    name, number = key
    return shown(name) if number == 1 else f"{shown(name)} #{number}"


def _compare_pair(
    subject: str, one: Member, two: Member, context: Context, special: Special | None
) -> Difference:
    if (one.kind, one.target) != (two.kind, two.target):
        was, now = (_words(member) for member in (one, two))
        return _changed(subject, f"was {was}, is {now}")
    content = _compare_content(subject, one, two, context, special)
    further = []
    for name in sorted({*one.facts, *two.facts}):
        was, now = one.facts.get(name, "absent"), two.facts.get(name, "absent")
        if was != now:
            further.append(_changed(shown(name), f"`{shown(was)[:80]}` -> `{shown(now)[:80]}`"))
    if content.outcome is Outcome.IDENTICAL and one.crc != two.crc:
        further.append(_changed("CRC-32", "of the same content; one side is damaged"))
    if one.executable is not two.executable:
        further.append(_changed("mode", "no longer executable" if one.executable else "now executable"))
    if not further:
        return content
    if content.outcome is not Outcome.IDENTICAL:
        further.append(content.named("content"))
    words = "; ".join(f"{part.subject}: {part.summary}" for part in further)
    return combine(subject, further, kind="member", summary=words)


def _compare_content(
    subject: str, one: Member, two: Member, context: Context, special: Special | None
) -> Difference:
    reason = one.locked or two.locked
    if reason:
        return _unknown(subject, reason)
    if one.open is None or two.open is None:
        return Difference(
            subject=subject, outcome=Outcome.IDENTICAL, summary=f"the same {one.kind}", kind="member"
        )
    with ExitStack() as stack:
        try:
            left, right = stack.enter_context(one.open()), stack.enter_context(two.open())
        except ContentError as error:
            return _unknown(subject, str(error))
        found = special(left, right, subject, context) if special else None
        return found or context.compare(left, right, subject)


def _words(member: Member) -> str:
    article = "an" if member.kind[:1] in "aeiou" else "a"
    return f"{article} {member.kind}" + (f" to `{shown(member.target)}`" if member.target else "")


def _one_sided(key: Key, member: Member, *, gone: bool) -> Difference:
    return _changed(_label(key), f"is gone; it was {_words(member)}" if gone else f"is new: {_words(member)}")


def _changed(subject: str, summary: str) -> Difference:
    return Difference(subject=subject, outcome=Outcome.DIFFERENT, summary=summary, kind="member")


def _unknown(subject: str, reason: str) -> Difference:
    return Difference(
        subject=subject,
        outcome=Outcome.UNKNOWN,
        summary=f"cannot be compared: {reason}",
        kind="member",
        evidence={"reason": reason},
    )
