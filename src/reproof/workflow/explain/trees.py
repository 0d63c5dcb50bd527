"""Trees of files between those of two runs, made in a repository of our own: the user's is only read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.errors import InternalError
from reproof.model.artifact import Artifact
from reproof.model.record import CodeSection
from reproof.store.directory import DirectoryStore


class Entry(msgspec.Struct, frozen=True):
    """A file of a tree: Git's mode, and the id of its content."""

    mode: str
    oid: str


#: What a path is on either side; None where it is absent.
Change = tuple[Entry | None, Entry | None]

_REMEMBERED = 4  # contents of files
_NEUTRAL = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}


class Trees:
    """Makes trees in a repository at `folder`, which borrows the objects of `sources`."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        self.folder = folder
        places = []
        for source in dict.fromkeys(sources):
            path = Path(git.git_text(source, "rev-parse", "--git-path", "objects"))
            places.append(source / path)
        folder.mkdir(parents=True)
        form = git.git_text(sources[0], "rev-parse", "--show-object-format")
        git.git_bytes(folder, "init", "--quiet", "--bare", f"--object-format={form}", ".")
        text = "".join(f"{place.resolve()}\n" for place in places)
        (folder / "objects/info/alternates").write_text(text, "utf-8")
        self._index = folder / "mixing-index"
        self._contents: dict[str, bytes] = {}

    def has(self, commit: str) -> bool:
        """Whether there is this commit."""
        return git.has_commit(self.folder, commit)

    def of_commit(self, commit: str) -> str:
        """The tree of a commit."""
        return git.git_text(self.folder, "rev-parse", f"{commit}^{{tree}}")

    def of_code(self, code: CodeSection, store: DirectoryStore) -> str:
        """The tree that a run saw: its commit with its patch and its untracked files."""
        tree = self.of_commit(code.commit)
        if code.patch is None and not code.untracked:
            return tree
        env = self._read(tree)
        if code.patch is not None:
            words = ("apply", "--cached", "--whitespace=nowarn", "-p1", "-")
            git.git_bytes(self.folder, *words, stdin=_content(code.patch, store), env=env)
        added = {each.name: self._untracked(each, store) for each in code.untracked}
        return self._written(added, env)

    def _untracked(self, artifact: Artifact, store: DirectoryStore) -> Entry:
        if artifact.kind == "symlink":
            return Entry("120000", self.put((artifact.target or "").encode()))
        mode = "100755" if (artifact.mode or 0) & 0o111 else "100644"
        return Entry(mode, self.put(_content(artifact, store)))

    def changes(self, one: str, two: str) -> dict[str, Change]:
        """Every path that differs between two trees, in order."""
        words = git.git_names(self.folder, "diff-tree", "-r", "-z", "--no-renames", one, two)
        found: dict[str, Change] = {}
        for facts, path in zip(words[::2], words[1::2], strict=True):
            mode, other_mode, oid, other_oid, _ = facts.removeprefix(":").split()
            found[path] = (
                Entry(mode, oid) if mode != "000000" else None,
                Entry(other_mode, other_oid) if other_mode != "000000" else None,
            )
        return found

    def mixed(self, tree: str, changes: Mapping[str, Entry | None]) -> str:
        """The tree with some paths replaced, or removed where they are None."""
        return self._written(changes, self._read(tree)) if changes else tree

    def patch(self, commit: str, tree: str) -> bytes:
        """What turns a checkout of `commit` into `tree`, as ``git apply`` takes it."""
        words = (
            "diff",
            "--binary",
            "--full-index",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
        )
        return git.git_bytes(self.folder, *words, commit, tree, env=_NEUTRAL)

    def diff(self, one: Entry, two: Entry) -> bytes:
        """The difference of two contents, without context."""
        words = (
            "diff",
            "--unified=0",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--no-indent-heuristic",
        )
        return git.git_bytes(self.folder, *words, one.oid, two.oid, env=_NEUTRAL)

    def content(self, entry: Entry) -> bytes:
        """The bytes of a file; the last few are remembered."""
        found = self._contents.pop(entry.oid, None)
        if found is None:
            found = git.git_bytes(self.folder, "cat-file", "blob", entry.oid)
        self._contents[entry.oid] = found
        while len(self._contents) > _REMEMBERED:
            self._contents.pop(next(iter(self._contents)))
        return found

    def entry(self, tree: str, path: str) -> Entry | None:
        """What a tree has at a path; None where it has nothing."""
        found = git.git_names(self.folder, "ls-tree", "-z", "--full-tree", tree, "--", path)
        if not found:
            return None
        mode, _, oid = found[0].partition("\t")[0].split()
        return Entry(mode, oid)

    def put(self, data: bytes) -> str:
        """Keep bytes; their id."""
        words = ("hash-object", "-w", "--stdin")
        return os.fsdecode(git.git_bytes(self.folder, *words, stdin=data)).strip()

    def first_parents(self, old: str, new: str) -> list[str]:
        """The commits after `old` up to `new` along first parents, oldest first; empty where `old` is not on that line."""
        words = ("rev-list", "--first-parent", "--reverse", f"{old}..{new}")
        commits = git.git_text(self.folder, *words).split()
        if not commits:
            return []
        parent = git.git(self.folder, "rev-parse", "--quiet", "--verify", f"{commits[0]}^")
        return commits if parent.ok and parent.text.strip() == old else []

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        return git.git_text(self.folder, "log", "-1", "--format=%s", commit)

    def _read(self, tree: str) -> dict[str, str]:
        self._index.unlink(missing_ok=True)
        env = {**_NEUTRAL, "GIT_INDEX_FILE": str(self._index)}
        git.git_bytes(self.folder, "read-tree", tree, env=env)
        return env

    def _written(self, changes: Mapping[str, Entry | None], env: dict[str, str]) -> str:
        nothing = "0" * len(git.git_text(self.folder, "hash-object", "-t", "blob", os.devnull))
        lines = []
        # removals first: a folder may take the place of a file
        for path, entry in sorted(changes.items(), key=lambda item: item[1] is not None):
            facts = f"{entry.mode} {entry.oid}" if entry is not None else f"0 {nothing}"
            lines.append(os.fsencode(f"{facts}\t{path}\0"))
        git.git_bytes(self.folder, "update-index", "-z", "--index-info", stdin=b"".join(lines), env=env)
        return os.fsdecode(git.git_bytes(self.folder, "write-tree", env=env)).strip()


def _content(artifact: Artifact, store: DirectoryStore) -> bytes:
    if artifact.digest is None:
        raise InternalError(f"the recorded `{artifact.name}` has no digest")
    return store.get_bytes(artifact.digest)
