"""The log: one commit per entry in `refs/reproof/log`, which no checkout shows and no work tree holds.

Layout of the commit's tree::

    entries/0000/00000012.json   entry 12: a DSSE envelope, exactly the bytes of the leaf
    checkpoint                   origin, size and root, signed by whoever wrote the last entry
    state.json                   compact form of the tree, so that the log grows without being read

Everything is written by one `git fast-import`, which also refuses to lose what another process added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import msgspec

from reproof.attest import checkpoint as notes
from reproof.attest.keys import SigningKey
from reproof.attest.merkle import Frontier, leaf_hash
from reproof.base.files import locked, write_atomic
from reproof.base.git import git, git_bytes, git_text
from reproof.base.locations import config_directory
from reproof.errors import ProjectError, TrustError
from reproof.model.statement import Position

REF = "refs/reproof/log"
#: Given the position and the time of the entry before it, makes an entry and says its time.
Make = Callable[[Position, str], tuple[bytes, str]]

_FOLDER = 100  # entries in a folder
_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the next entry builds on.

    Attributes:
        origin: Name of the log: ``reproof/PROJECT/RANDOM``.
        frontier: Compact form of the tree.
        last: sha256 of the last entry.
        time: Its time by its signer's clock.
    """

    origin: str
    frontier: Frontier = Frontier()
    last: str = ""
    time: str = ""


class LogContent(msgspec.Struct, frozen=True, kw_only=True):
    """A whole log, as it was read.

    Attributes:
        entries: The bytes of each entry, in order.
        checkpoint: The text of the last checkpoint.
        missing: Numbers below the highest that have no entry.
        commit: The commit that was read.
    """

    entries: tuple[bytes, ...]
    checkpoint: bytes
    missing: tuple[int, ...] = ()
    commit: str = ""


class GitLog:
    """The log of the repository at `top`."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._known: tuple[State, str] | None = None

    def state(self) -> State | None:
        """What the next entry builds on; None where no log was set up.

        Raises:
            TrustError: State and checkpoint do not agree, or cannot be read.
        """
        return self._read_state()[0]

    def _read_state(self) -> tuple[State | None, str]:
        """The state, and the commit that it stands in."""
        request = f"{REF}\n{REF}:state.json\n{REF}:checkpoint\n".encode()
        done = git(self._top, "cat-file", "--batch", stdin=request)
        commit, *parts = _objects(done.stdout) or [None]
        if not done.ok or commit is None:
            return None, ""
        try:
            assert parts[0] is not None
            state = msgspec.json.decode(parts[0], type=State)
            note = notes.read(parts[1] or b"", where=f"{REF}:checkpoint")
        except (msgspec.DecodeError, TrustError, IndexError) as error:
            raise _damaged() from error
        frontier = state.frontier
        if not frontier.is_sound or (note.origin, note.size, note.root) != (
            state.origin,
            frontier.size,
            frontier.root,
        ):
            raise _damaged()
        self._known = (state, done.stdout.split(b" ", 1)[0].decode())
        return self._known

    def append(self, make: Make, key: SigningKey | None, *, origin: str = "") -> tuple[int, bytes]:
        """Add one entry.

        Args:
            make: Given the position and the time of the entry before it, returns the entry's bytes
                and its time.
            key: Signs the checkpoint.
            origin: Sets up a log of this name; without it the log must be there.

        Returns:
            The entry's number, and its bytes.

        Raises:
            TrustError: There is no log, or it is damaged.
            ProjectError: Git refused to write.
        """
        if origin:
            if (state := self.state()) is not None:
                raise TrustError("this project has a log already", details=[("origin", state.origin)])
            return self._add(make, key, State(origin=origin), "")
        with locked(self._lock):
            if self._known is not None:
                # Most often nobody was faster; where somebody was, Git refuses to lose their entry.
                with suppress(ProjectError):
                    return self._add(make, key, *self._known)
            known, commit = self._read_state()
            if known is None:
                raise no_log()
            return self._add(make, key, known, commit)

    def _add(self, make: Make, key: SigningKey | None, state: State, commit: str) -> tuple[int, bytes]:
        self._known = None
        number = state.frontier.size
        entry, time = make(Position(origin=state.origin, sequence=number, previous=state.last), state.time)
        self.write([entry], msgspec.structs.replace(state, time=time), key, commit)
        return number, entry

    def write(
        self, entries: Iterable[bytes], state: State, key: SigningKey | None, commit: str = REF
    ) -> None:
        """Add entries after `state`, whose time is already that of the last of them.

        Git refuses where the log is no longer at `commit` (empty: where there is none yet).

        Raises:
            ProjectError: Git refused.
        """
        frontier, last = state.frontier, state.last
        blobs, changes = [], []
        for mark, entry in enumerate(entries, 1):
            blobs.append(b"blob\nmark :%d\ndata %d\n%s\n" % (mark, len(entry), entry))
            changes.append(f"M 100644 :{mark} {entry_path(frontier.size)}\n".encode())
            frontier, last = frontier.grown(leaf_hash(entry)), hashlib.sha256(entry).hexdigest()
        note = notes.write(state.origin, frontier.size, frontier.root, key)
        grown = msgspec.structs.replace(state, frontier=frontier, last=last)
        files = {"checkpoint": note, "state.json": msgspec.json.encode(grown) + b"\n"}
        inline = [b"M 100644 inline %s\ndata %d\n%s\n" % (n.encode(), len(d), d) for n, d in files.items()]
        message = f"entry {frontier.size - 1}".encode()
        head = b"feature done\n" + b"".join(blobs)
        head += b"commit %s\ncommitter reproof <> %d +0000\ndata %d\n%s\n" % (
            REF.encode(),
            _seconds(state.time),
            len(message),
            message,
        )
        head += b"from %s^0\n" % commit.encode() if state.frontier.size else b""
        stream = head + b"".join(changes) + b"".join(inline) + b"\ndone\n"
        git_bytes(self._top, *_QUIET, "fast-import", "--quiet", stdin=stream)
        remember(state.origin, note)

    def read(self) -> LogContent | None:
        """Everything in the log; None where there is none. Nothing is believed here."""
        done = git(self._top, "rev-parse", "--quiet", "--verify", f"{REF}^{{commit}}")
        if not done.ok:
            return None
        commit = done.text.strip()
        listing = git_bytes(self._top, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        names = {
            name.decode("utf-8", "replace"): facts.split()[2]
            for facts, _, name in (row.partition(b"\t") for row in listing)
            if name
        }
        numbers = sorted(
            int(name[-13:-5]) for name in names if name.startswith("entries/") and name[-13:-5].isdigit()
        )
        wanted = [entry_path(number) for number in numbers if entry_path(number) in names]
        request = b"".join(
            names[name] + b"\n" for name in [*wanted, *(["checkpoint"] if "checkpoint" in names else [])]
        )
        blobs = _objects(git_bytes(self._top, "cat-file", "--batch", "--buffer", stdin=request))
        entries = [blob if blob is not None else b"" for blob in blobs]
        note = entries.pop() if "checkpoint" in names else b""
        every = range(numbers[-1] + 1) if numbers else range(0)
        missing = sorted(set(every) - set(numbers))
        return LogContent(entries=tuple(entries), checkpoint=note, missing=tuple(missing), commit=commit)

    @cached_property
    def _lock(self) -> Path:
        if (self._top / ".git").is_dir():
            return self._top / ".git" / "reproof-log.lock"
        return self._top / git_text(self._top, "rev-parse", "--git-path", "reproof-log.lock")


def entry_path(number: int) -> str:
    """Where entry `number` is in the tree of the log."""
    return f"entries/{number // _FOLDER:04d}/{number:08d}.json"


def remember(origin: str, note: bytes) -> None:
    """Keep the newest checkpoint of a log outside the repository: a witness against taking entries back."""
    write_atomic(witness_path(origin), note, durable=False)


def witness_path(origin: str) -> Path:
    """Where the newest checkpoint of a log that this user has seen is kept."""
    return config_directory() / "logs" / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"


def remembered(origin: str) -> bytes | None:
    """The newest checkpoint of a log that this user has seen."""
    try:
        return witness_path(origin).read_bytes()
    except OSError:
        return None


def no_log() -> TrustError:
    """The error for a project without a log."""
    return TrustError("this project has no log", details=[("searched", REF)], hint="run `reproof audit init`")


def _damaged() -> TrustError:
    return TrustError(
        "the log is damaged: its state and its checkpoint do not agree",
        details=[("ref", REF)],
        hint="`reproof audit` says what is wrong with it",
    )


def _objects(data: bytes) -> list[bytes | None]:
    """What ``git cat-file --batch`` printed: contents in order, None for what is missing."""
    found: list[bytes | None] = []
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].split()
        at = end + 1
        if len(words) != 3 or not words[2].isdigit():
            found.append(None)
            continue
        size = int(words[2])
        found.append(data[at : at + size])
        at += size + 1
    return found


def _seconds(time: str) -> int:
    import datetime as dt

    try:
        return max(0, int(dt.datetime.fromisoformat(time).timestamp()))
    except ValueError as error:
        raise ProjectError(f"`{time}` is not a time") from error
