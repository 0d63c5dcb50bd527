"""Inputs that Git does not have: what differs between two runs, and inputs with some of it swapped."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from msgspec.structs import replace

from reproof.base.digesting import digest_file
from reproof.base.naming import Naming
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore
from reproof.workflow.explain.atoms import Atom
from reproof.workflow.explain.blocks import (
    Block,
    line_blocks,
    mix_lines,
    mix_tables,
    place,
    show,
    table_blocks,
)

_TABLES = (".parquet", ".pq")
_LARGEST = 256 << 20  # bytes of a file that is divided


class DataMix:
    """The inputs of two runs that are not files of the repository."""

    def __init__(self, sides: tuple[Record, Record], store: DirectoryStore, naming: Naming) -> None:
        self._store = store
        self._naming = naming
        self._one, self._two = ({each.name: each for each in _kept(side)} for side in sides)
        self._blocks: dict[str, tuple[Block, ...]] = {}

    def atoms(self) -> Iterator[Atom]:
        """What differs: files that DVC names, by what names them; others by name, and by their blocks."""
        named: dict[str, list[str]] = {}
        for name in sorted({*self._one, *self._two}):
            left, right = self._one.get(name), self._two.get(name)
            if _same(left, right):
                continue
            source = next(
                (each.source for each in (left, right) if each is not None and each.origin == "dvc"), None
            )
            if source:
                named.setdefault(source, []).append(name)
            else:
                yield from self._of_file(name, left, right)
        for source, names in named.items():
            left, right = self._one.get(names[0]), self._two.get(names[0])
            label = names[0] if len(names) == 1 else source.removesuffix(".dvc")
            yield Atom(
                id=f"dvc:{source}",
                kind="data",
                name=label,
                group="data",
                before=_digest(left),
                after=_digest(right),
            )

    def materials(self, swapped: AbstractSet[str]) -> tuple[Artifact, ...]:
        """The inputs of A with what is swapped as in B."""
        found = []
        for name in dict.fromkeys((*self._one, *self._two)):
            left, right = self._one.get(name), self._two.get(name)
            source = next((f"dvc:{each.source}" for each in (left, right) if each is not None), "")
            blocks = self._blocks.get(name, ())
            chosen = {index for index in range(len(blocks)) if f"data:{name}#{index:05}" in swapped}
            if f"data:{name}" in swapped or source in swapped or (blocks and len(chosen) == len(blocks)):
                found.append(right)
            elif chosen and left is not None and right is not None:
                found.append(self._mixed(left, right, blocks, chosen))
            else:
                found.append(left)
        return tuple(each for each in found if each is not None)

    def _of_file(self, name: str, left: Artifact | None, right: Artifact | None) -> Iterator[Atom]:
        obstacle = next(
            (
                text
                for each in (left, right)
                if each is not None and (text := self._obstacle(each)) is not None
            ),
            None,
        )
        blocks = self._divide(name, left, right) if obstacle is None else ()
        if len(blocks) > 1:
            self._blocks[name] = blocks
        contents = [self._lines(each) if blocks else None for each in (left, right)]
        for index, block in enumerate(blocks or (None,)):
            sides = _digest(left), _digest(right)
            if block is not None:
                sides = show(block.start, block.end, contents[0]), show(block.start, block.end, contents[1])
            yield Atom(
                id=f"data:{name}" + (f"#{index:05}" if len(blocks) > 1 else ""),
                kind="data",
                name=name,
                group="data",
                before=sides[0],
                after=sides[1],
                where=place(name, block.start, block.end) if block is not None else None,
                obstacle=obstacle,
            )

    def _lines(self, artifact: Artifact | None) -> list[bytes] | None:
        """The lines of a text that is divided; None for a table."""
        if artifact is None or artifact.name.endswith(_TABLES):
            return None
        return self._content(artifact).splitlines()

    def _obstacle(self, artifact: Artifact) -> str | None:
        """Why this content cannot be put into a room."""
        if artifact.is_web:
            return "it was read from the web"
        if artifact.name.startswith("/"):
            return "it lies outside the project and HOME, and is read where it is"
        if artifact.digest is not None and artifact.digest in self._store:
            return None
        found = self._naming.find_file(artifact.name)
        if found.is_file() and digest_file(found)["blake3"] == artifact.digests.get("blake3"):
            self._store.put(found)
            return None
        return f"its content in one of the runs ({_digest(artifact)}) is not kept"

    def _divide(self, name: str, left: Artifact | None, right: Artifact | None) -> tuple[Block, ...]:
        if left is None or right is None or left.kind != "file" or left.size + right.size > _LARGEST:
            return ()
        before, after = self._content(left), self._content(right)
        if name.endswith(_TABLES):
            return tuple(table_blocks(before, after) or ())
        binary = b"\0" in before[:8192] or b"\0" in after[:8192]
        return () if binary else tuple(line_blocks(before, after) or ())

    def _mixed(
        self, left: Artifact, right: Artifact, blocks: tuple[Block, ...], chosen: set[int]
    ) -> Artifact:
        mix = mix_tables if left.name.endswith(_TABLES) else mix_lines
        data = mix(self._content(left), self._content(right), blocks, chosen)
        digest = self._store.put_bytes(data)
        return replace(left, digests={digest.algorithm: digest.value}, size=len(data), table=None, kept=True)

    def _content(self, artifact: Artifact) -> bytes:
        assert artifact.digest is not None
        return self._store.get_bytes(artifact.digest)


def naming_of(top: Path) -> Naming:
    """Finds inputs in the user's own places."""
    return Naming(top=str(top), home=str(Path.home()))


def _kept(record: Record) -> Iterator[Artifact]:
    captured = {each.name for each in record.code.untracked}
    return (each for each in record.materials if each.origin != "git" and each.name not in captured)


def _same(left: Artifact | None, right: Artifact | None) -> bool:
    if left is None or right is None:
        return False
    return (left.digests, left.kind, left.target) == (right.digests, right.kind, right.target)


def _digest(artifact: Artifact | None) -> str | None:
    return artifact.digest.short if artifact is not None and artifact.digest is not None else None
