"""Running other programs and keeping what they said."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.errors import ExecutionError


class Completed(msgspec.Struct, frozen=True):
    """A program that has ended: exit status (negative: the signal), and its two outputs."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.status == 0

    @property
    def text(self) -> str:
        """Standard output as text; undecodable bytes survive as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape")

    @property
    def complaint(self) -> str:
        """The last lines of standard error, for a message."""
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return "\n".join(lines[-12:])


def call(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a program to its end, without a shell and without a terminal.

    Args:
        argv: Program and arguments.
        cwd: Working directory; ours by default.
        env: The whole environment; ours by default.
        stdin: What it reads; nothing by default.
        timeout: Seconds after which it is killed.

    Raises:
        ExecutionError: The program does not exist, may not be executed, or ran out of time.
    """
    words = tuple(str(word) for word in argv)
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=None if env is None else dict(env),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExecutionError(f"`{words[0]}` did not end within {timeout:g} s") from error
    except OSError as error:
        raise ExecutionError(f"cannot start `{words[0]}`: {error.strerror or error}") from error
    return Completed(words, done.returncode, done.stdout, done.stderr)


def pasteable(command: str, folder: Path) -> str:
    """`command` for a hint: as a user can paste it where they are, although it is for `folder`."""
    try:
        here = folder.samefile(Path.cwd())
    except OSError:
        here = False
    return command if here else f"(cd {shlex.quote(str(folder))} && {command})"


def find(name: str) -> Path | None:
    """The program `name` on PATH, resolved to an absolute path, or None."""
    found = shutil.which(name)
    return Path(found).absolute() if found else None
