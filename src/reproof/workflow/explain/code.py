"""The files of the repository: what differs between two runs, and trees with some of it swapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from reproof.model.artifact import Artifact
from reproof.model.record import CodeSection, Record
from reproof.store.directory import DirectoryStore
from reproof.workflow.explain.atoms import Atom, is_data
from reproof.workflow.explain.blocks import (
    Block,
    hunks,
    line_blocks,
    mix_lines,
    mix_tables,
    place,
    show,
    table_blocks,
)
from reproof.workflow.explain.trees import Change, Entry, Trees

_PART = "part:"
_TABLES = (".parquet", ".pq")
_TEXT = ("100644", "100755")
_LARGEST = 256 << 20  # bytes of a file that is divided


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is divided.

    Attributes:
        blocks: What can be taken from either side.
        mix: Makes the content from both sides, the blocks, and the indexes of those that are B's.
    """

    blocks: tuple[Block, ...]
    mix: Callable[[bytes, bytes, Sequence[Block], AbstractSet[int]], bytes]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step along the history from A to B.

    Attributes:
        name: ``commit 1234567890ab Subject``, for people.
        before: The commit that the step starts from, short.
        after: The one that it leads to.
        tree: The tree that it leads to.
    """

    name: str
    before: str
    after: str
    tree: str


class CodeMix:
    """The files of the repository in two runs, and everything in between.

    Args:
        trees: Where trees are made.
        sides: A and B.
        store: Has their patches and untracked files; gets those of what is mixed.
        tied: Files that are swapped together with something else, and its id.

    Attributes:
        steps: The history from A to B, where it is searched commit by commit.
    """

    def __init__(
        self, trees: Trees, sides: tuple[Record, Record], store: DirectoryStore, tied: Mapping[str, str]
    ) -> None:
        self._trees = trees
        self._sides = sides
        self._store = store
        self.ends = tuple(trees.of_code(side.code, store) for side in sides)
        self.changes = trees.changes(*self.ends)
        self._read = {each.name for side in sides for each in side.materials}
        self._parts: dict[str, Part] = {}
        self._within_step: dict[str, tuple[Change, Part | None]] = {}
        self._tied = {
            each.source: f"dvc:{each.source}"
            for side in sides
            for each in side.materials
            if each.origin == "dvc" and each.source
        }
        self._tied.update(tied)
        self.steps = self._history()

    def atoms(self) -> Iterator[Atom]:
        """What differs: commits where the history leads from one to the other, else hunks; data by its blocks."""
        for index, step in enumerate(self.steps, 1):
            yield Atom(
                id=f"commit:{index:05}",
                kind="code",
                name=step.name,
                group="code",
                before=step.before,
                after=step.after,
                seen=any(self._is_seen(path) for path in self._touched(index)),
            )
        for path, change in self.changes.items():
            data = self._is_data(path)
            if path in self._tied or (self.steps and not data):
                continue
            yield from self._of_file(path, change, data=data)

    def parts_of_step(self, index: int) -> dict[str, str]:
        """What step `index`, counted from 1, changed in files that the run reads: ids of the hunks, and where each is.

        They can be swapped on top of the steps before it.
        """
        found = {}
        for path, change in self._touched(index).items():
            if not self._is_seen(path):
                continue
            part = self._divide(path, change, data=False)
            self._within_step[path] = (change, part)
            blocks = part.blocks if part is not None else ()
            found.update(
                {f"{_PART}{path}#{n:05}": f"{path}:{block.other_start + 1}" for n, block in enumerate(blocks)}
                or {f"{_PART}{path}#00000": path}
            )
        return found

    def _touched(self, index: int) -> dict[str, Change]:
        """The files of code that a step touches."""
        changes = self._trees.changes(self._tree_at(index - 1), self._tree_at(index))
        return {path: change for path, change in changes.items() if not self._is_data(path)}

    def _is_seen(self, path: str) -> bool:
        return path in self._read or path.rpartition("/")[2] == "MLproject"

    def tree(self, swapped: AbstractSet[str]) -> str:
        """The tree with the files of A but for what is swapped."""
        walked = sum(name.startswith("commit:") for name in swapped)
        base = self._tree_at(walked)
        changes: dict[str, Entry | None] = {}
        if walked:
            for path, (mine, _) in self._trees.changes(self.ends[0], base).items():
                if self._is_data(path) or path in self._tied:
                    changes[path] = mine
        for path, change in self.changes.items():
            entry = self._entry(path, change, swapped)
            if not (self.steps and not self._is_data(path)) or path in self._tied:
                changes[path] = entry
        changes.update(self._of_step(swapped))
        return self._trees.mixed(base, changes)

    def _of_step(self, swapped: AbstractSet[str]) -> dict[str, Entry | None]:
        """Files with parts of one step, as :meth:`parts_of_step` named them."""
        chosen: dict[str, set[int]] = {}
        for name in swapped:
            if name.startswith(_PART):
                path, _, number = name.removeprefix(_PART).rpartition("#")
                chosen.setdefault(path, set()).add(int(number))
        found: dict[str, Entry | None] = {}
        for path, numbers in chosen.items():
            (one, two), part = self._within_step[path]
            if part is None or len(numbers) == len(part.blocks) or one is None or two is None:
                found[path] = two
                continue
            mixed = part.mix(self._trees.content(one), self._trees.content(two), part.blocks, numbers)
            found[path] = Entry(two.mode, self._trees.put(mixed))
        return found

    def section(self, swapped: AbstractSet[str]) -> CodeSection:
        """The code of a mixed record: a commit where one has this tree, else that of A with a patch."""
        tree = self.tree(swapped)
        one, two = (side.code for side in self._sides)
        if tree == self.ends[0]:
            return one
        if tree == self.ends[1] and self._trees.has(two.commit):
            return two
        if tree in self._commits:
            return self._plain(self._commits[tree], tree, None)
        data = self._trees.patch(one.commit, tree)
        digest = self._store.put_bytes(data)
        patch = Artifact(
            name="patch",
            digests={digest.algorithm: digest.value},
            size=len(data),
            origin="captured",
            kept=True,
        )
        return self._plain(one.commit, one.tree, patch)

    def text(self, swapped: AbstractSet[str], path: str) -> str | None:
        """The text of a file in the mixed tree; None where there is none."""
        found = self._trees.entry(self.tree(swapped), path)
        return self._trees.content(found).decode("utf-8", "replace") if found is not None else None

    def _plain(self, commit: str, tree: str, patch: Artifact | None) -> CodeSection:
        one = self._sides[0].code
        return CodeSection(
            commit=commit,
            tree=tree,
            remote=one.remote,
            checkout=one.checkout,
            submodules=one.submodules,
            dirty=patch is not None,
            patch=patch,
        )

    def _tree_at(self, index: int) -> str:
        return self.steps[index - 1].tree if index else self.ends[0]

    def _is_data(self, path: str) -> bool:
        return is_data(path, path in self._read)

    def _history(self) -> tuple[Step, ...]:
        """The commits between the two, where they are two or more that touch code."""
        one, two = (side.code for side in self._sides)
        self._commits: dict[str, str] = {}
        if not self._trees.has(two.commit):
            return ()
        forward = self._trees.first_parents(one.commit, two.commit)
        backward = [] if forward else self._trees.first_parents(two.commit, one.commit)
        line = [one.commit, *forward] if forward else [*reversed(backward), two.commit] if backward else []
        if len(line) < 3:
            return ()
        steps, last = [], self.ends[0]
        for index, commit in enumerate(line):
            tree = self._trees.of_commit(commit)
            self._commits[tree] = commit
            guilty = commit if forward else line[max(index - 1, 0)]
            name = self._named(guilty) if index else "uncommitted changes of A"
            if self._touches_code(last, tree):
                steps.append(
                    Step(name=name, before=line[max(index - 1, 0)][:12], after=commit[:12], tree=tree)
                )
                last = tree
        if self._touches_code(last, self.ends[1]):
            name = "uncommitted changes of B"
            steps.append(Step(name=name, before=line[-1][:12], after="uncommitted", tree=self.ends[1]))
        elif steps:
            steps[-1] = msgspec.structs.replace(steps[-1], tree=self.ends[1])
        return tuple(steps) if len(steps) > 1 else ()

    def _named(self, commit: str) -> str:
        return f"commit {commit[:12]} {self._trees.subject(commit)}".strip()

    def _touches_code(self, one: str, two: str) -> bool:
        return one != two and any(not self._is_data(path) for path in self._trees.changes(one, two))

    def _of_file(self, path: str, change: Change, *, data: bool) -> Iterator[Atom]:
        part = self._divide(path, change, data=data)
        count = len(part.blocks) if part is not None else 0
        if part is not None and count > 1:
            self._parts[path] = part
        blocks = part.blocks if part is not None and count else (None,)
        for index, block in enumerate(blocks):
            suffix = f"#{index:05}" if len(blocks) > 1 else ""
            yield Atom(
                id=f"file:{path}{suffix}",
                kind="data" if data else "code",
                name=path,
                group="data" if data else "code",
                before=self._shown(change, 0, block),
                after=self._shown(change, 1, block),
                where=self._place(path, block, data=data) if block is not None else None,
                seen=self._is_seen(path),
            )

    def _divide(self, path: str, change: Change, *, data: bool) -> Part | None:
        """How a file can be divided; None where it cannot."""
        one, two = change
        if one is None or two is None or one.mode not in _TEXT or two.mode not in _TEXT or one.oid == two.oid:
            return None
        before, after = self._trees.content(one), self._trees.content(two)
        if len(before) + len(after) > _LARGEST:
            return None
        if path.endswith(_TABLES):
            blocks = table_blocks(before, after)
            return Part(blocks=tuple(blocks), mix=mix_tables) if blocks else None
        if b"\0" in before[:8192] or b"\0" in after[:8192]:
            return None
        lines = line_blocks(before, after) if data else None
        return Part(blocks=tuple(lines or hunks(self._trees.diff(one, two))), mix=mix_lines)

    def _shown(self, change: Change, side: int, block: Block | None) -> str | None:
        entry = change[side]
        if entry is None:
            return None
        if block is None:
            return f"{entry.oid[:12]}"
        start, end = (block.other_start, block.other_end) if side else (block.start, block.end)
        lines = None if self._is_table(change) else self._trees.content(entry).splitlines()
        return show(start, end, lines)

    def _place(self, path: str, block: Block, *, data: bool) -> str:
        """Where a block is in B; of code its first line."""
        end = block.other_end if data else block.other_start + 1
        return place(path, block.other_start, end)

    def _is_table(self, change: Change) -> bool:
        return any(entry is not None and self._trees.content(entry)[:4] == b"PAR1" for entry in change)

    def _entry(self, path: str, change: Change, swapped: AbstractSet[str]) -> Entry | None:
        one, two = change
        if path in self._tied:
            return two if self._tied[path] in swapped else one
        part = self._parts.get(path)
        if part is None:
            return two if f"file:{path}" in swapped else one
        names = [f"file:{path}#{index:05}" for index in range(len(part.blocks))]
        chosen = {index for index, name in enumerate(names) if name in swapped}
        if not chosen or len(chosen) == len(names):
            return two if chosen else one
        assert one is not None
        assert two is not None
        mixed = part.mix(self._trees.content(one), self._trees.content(two), part.blocks, chosen)
        return Entry(two.mode, self._trees.put(mixed))
