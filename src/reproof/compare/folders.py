"""Folders: what was added, removed or renamed, links, executable bits, then each file by its kind."""

from __future__ import annotations

import os
import stat
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path, PurePath

from reproof.base.digesting import digest_file
from reproof.compare.collecting import Collector
from reproof.compare.protocol import Context, Source
from reproof.compare.registry import recognized, unreadable
from reproof.compare.special import kind_of_mode, shown
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.policy import Rule

_SMALL = 1 << 20  # files up to here are read at once


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a folder.

    Attributes:
        place: Where it is.
        kind: ``a file``, ``a folder``, ``a symlink`` or the kind of special file.
        size: Bytes of a file.
        executable: Whether the owner may execute the file.
        target: Of a symlink.
        trouble: Why it cannot be looked into.
    """

    place: str
    kind: str
    size: int = 0
    executable: bool = False
    target: str | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class _Tree:
    """Everything below a folder, by its path there, sorted.

    Attributes:
        items: Files, links, special files, and folders that are empty or cannot be looked into.
        folders: The paths of all folders.
    """

    items: dict[str, Item]
    folders: set[str]


class FolderComparator:
    """Folders, with everything below; symlinks are not followed, special files are not opened."""

    name = "folder"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both are folders."""
        return expected.is_folder and actual.is_folder

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are the members that are not identical, by their path below the folder."""
        before, after = _scan(expected, context), _scan(actual, context)
        parts = Collector(context)
        for name, reason in _set_unreadable_aside(before, after).items():
            parts.add(unreadable(shown(name), f"cannot be read: {reason}"))
        for name in _claimed((expected, actual), (before, after)):
            one, two = (Source.of(Path(_place(side), name)) for side in (expected, actual))
            parts.add(context.compare(one, two, shown(name)))
        for name, item in before.items.items():
            if name in after.items:
                _compare_both(name, item, after.items[name], context, parts)
        _compare_rest(before, after, context, parts)
        return parts.difference(subject, kind=self.name)


def _scan(source: Source, context: Context) -> _Tree:
    root = _place(source)
    items: dict[str, Item] = {}
    folders: set[str] = set()
    pending = [""]
    while pending:
        context.spending.check_time()
        folder = pending.pop()
        place = f"{root}/{folder}" if folder else root
        try:
            with os.scandir(place) as entries:
                found = {
                    f"{folder}/{entry.name}" if folder else entry.name: _item(entry) for entry in entries
                }
        except OSError as error:
            items[folder or "."] = Item(place, "a folder", trouble=_reason(error))
            continue
        if folder and not found:
            items[folder] = Item(place, "a folder")
        for name, item in found.items():
            if item.kind == "a folder" and item.trouble is None:
                folders.add(name)
                pending.append(name)
            else:
                items[name] = item
    return _Tree(dict(sorted(items.items())), folders)


def _item(entry: os.DirEntry[str]) -> Item:
    try:
        facts = entry.stat(follow_symlinks=False)
        kind = kind_of_mode(facts.st_mode)
        target = str(Path(entry.path).readlink()) if stat.S_ISLNK(facts.st_mode) else None
    except OSError as error:
        return Item(entry.path, "a file", trouble=_reason(error))
    executable = stat.S_ISREG(facts.st_mode) and bool(facts.st_mode & stat.S_IXUSR)
    return Item(entry.path, kind, facts.st_size, executable, target)


def _set_unreadable_aside(before: _Tree, after: _Tree) -> dict[str, str]:
    """What cannot be looked into on one side, with the reason; taken out of both, with all below it."""
    trouble = {
        name: item.trouble for tree in (before, after) for name, item in tree.items.items() if item.trouble
    }
    if trouble:
        for tree in (before, after):
            for name in [name for name in tree.items if _is_below(name, trouble)]:
                del tree.items[name]
            tree.folders.difference_update([name for name in tree.folders if _is_below(name, trouble)])
    return trouble


def _is_below(name: str, folders: Container[str]) -> bool:
    """Whether `name` is one of `folders`, or in one of them."""
    return (
        "." in folders or name in folders or any(str(parent) in folders for parent in PurePath(name).parents)
    )


def _claimed(sides: tuple[Source, Source], trees: tuple[_Tree, _Tree]) -> list[str]:
    """Sub-folders that a comparator for folders of their kind takes as a whole; taken out of the trees."""
    claimed: list[str] = []
    for name in sorted(trees[0].folders & trees[1].folders):
        if not _is_below(name, claimed):
            one, two = (Source.of(Path(_place(side), name)) for side in sides)
            if recognized(one, two).name != FolderComparator.name:
                claimed.append(name)
    if claimed:
        for tree in trees:
            for key in [key for key in tree.items if _is_below(key, claimed)]:
                del tree.items[key]
    return claimed


def _compare_both(name: str, one: Item, two: Item, context: Context, parts: Collector) -> None:
    """Compare what both sides have under one name."""
    subject = shown(name)
    rule = context.policy.rule_for(name)
    if one.kind != two.kind:
        parts.add(_changed(subject, f"was {one.kind}, is {two.kind}"))
    elif rule.ignore is not None or rule.stable == "name":
        parts.add(_by_name(subject, rule))
    elif one.kind == "a symlink":
        if one.target != two.target:
            parts.add(
                _changed(subject, f"link to `{shown(one.target or '')}` -> `{shown(two.target or '')}`")
            )
        else:
            parts.count(Outcome.IDENTICAL)
    elif one.kind == "a file":
        _compare_files(subject, one, two, context.within(rule.tolerance), parts)
    elif one.kind == "a folder":
        parts.count(Outcome.IDENTICAL)
    else:
        parts.add(unreadable(subject, f"is {one.kind}, which is not read"))


def _compare_files(subject: str, one: Item, two: Item, context: Context, parts: Collector) -> None:
    context.spending.allow(one.size + two.size)
    if one.executable is two.executable and _same_small(one, two):
        parts.count(Outcome.IDENTICAL)
        return
    content = context.compare(Source.of(Path(one.place)), Source.of(Path(two.place)), subject)
    if one.executable is two.executable:
        parts.add(content)
        return
    mode = _changed("mode", "no longer executable" if one.executable else "now executable")
    words = f"{mode.summary}; {content.summary}"
    parts.add(combine(subject, (mode, content.named("content")), kind="file", summary=words))


def _same_small(one: Item, two: Item) -> bool:
    """Cheap for the many small files that are equal; False leaves the answer to the registry."""
    if one.size != two.size or one.size > _SMALL:
        return False
    try:
        data = [_read(item) for item in (one, two)]
    except OSError:
        return False
    return data[0] == data[1] and len(data[0]) == one.size


def _read(item: Item) -> bytes:
    handle = os.open(item.place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.read(handle, item.size + 1)
    finally:
        os.close(handle)


def _compare_rest(before: _Tree, after: _Tree, context: Context, parts: Collector) -> None:
    """What only one side has, with files that only have another name paired."""
    gone = {name: item for name, item in before.items.items() if name not in after.items}
    new = {name: item for name, item in after.items.items() if name not in before.items}
    renamed = _renamed(gone, new)
    for name, item in gone.items():
        if name in renamed:
            other = renamed[name]
            mode = (
                "" if item.executable is new[other].executable else ", and its permission to execute differs"
            )
            parts.add(_changed(shown(name), f"renamed to `{shown(other)}`, same bytes{mode}"))
        elif not _is_implied(name, item, after):
            parts.add(_of_one_side(name, item, context, gone=True))
    taken = set(renamed.values())
    for name, item in new.items():
        if name not in taken and not _is_implied(name, item, before):
            parts.add(_of_one_side(name, item, context, gone=False))


def _is_implied(name: str, item: Item, other: _Tree) -> bool:
    """An empty folder that is there, but not empty, on the other side: its members say so already."""
    return item.kind == "a folder" and name in other.folders


def _renamed(gone: dict[str, Item], new: dict[str, Item]) -> dict[str, str]:
    """Old to new names of files with the same bytes; each new name is used once."""
    sizes = {item.size for item in gone.values() if item.kind == "a file" and item.size}
    by_digest: dict[tuple[int, str], list[str]] = {}
    for name in sorted(new, reverse=True):
        if new[name].kind == "a file" and new[name].size in sizes:
            by_digest.setdefault(_digest(new[name]), []).append(name)
    wanted = {size for size, _ in by_digest}
    found = {}
    for name, item in gone.items():
        if item.kind == "a file" and item.size in wanted and (names := by_digest.get(_digest(item))):
            found[name] = names.pop()
    return found


def _digest(item: Item) -> tuple[int, str]:
    try:
        return item.size, digest_file(Path(item.place))["blake3"]
    except OSError:
        return item.size, item.place  # equal to nothing else


def _of_one_side(name: str, item: Item, context: Context, *, gone: bool) -> Difference:
    rule = context.policy.rule_for(name)
    if rule.ignore is not None:
        return _by_name(shown(name), rule)
    what = item.kind + (f" of {item.size:,} bytes" if item.kind == "a file" else "")
    return _changed(shown(name), f"is gone; it was {what}" if gone else f"is new: {what}")


def _by_name(subject: str, rule: Rule) -> Difference:
    if rule.ignore is not None:
        name, summary = f"content ignored by rule `{rule.pattern}`", f"not compared: {rule.ignore}"
    else:
        name, summary = "content (declared stable by name only)", "present on both sides"
    return Difference(
        subject=subject, outcome=Outcome.EQUIVALENT, summary=summary, kind="name", canonicalised=(name,)
    )


def _changed(subject: str, summary: str) -> Difference:
    return Difference(subject=subject, outcome=Outcome.DIFFERENT, summary=summary, kind="file")


def _place(source: Source) -> str:
    return os.fspath(source.path or "")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
