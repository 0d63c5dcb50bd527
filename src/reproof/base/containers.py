"""The container engine of this machine, used through its own command: docker or podman.

https://docs.docker.com/reference/cli/docker/ ; podman takes the same words.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.programs import Completed, call, find
from reproof.errors import ExecutionError

#: The command to use; without it the first of `_COMMANDS` that answers.
VARIABLE = "REPROOF_CONTAINER_ENGINE"

_COMMANDS = ("docker", "podman")
_PATIENCE = 30  # seconds for a question


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that the engine has.

    Attributes:
        reference: The name that it was asked for by.
        id: Digest of its configuration, which names all of its layers: ``sha256:...``.
        digest: Digest of its manifest in a registry, ``sha256:...``; None where it came from none.
        user: The user that it runs as, empty for root.
        path: Value of PATH that it sets, None where it sets none.
        variables: Every variable that it sets.
    """

    reference: str
    id: str
    digest: str | None = None
    user: str = ""
    path: str | None = None
    variables: dict[str, str] = {}


class Engine(msgspec.Struct, frozen=True):
    """A container engine; `program` is the absolute path of its command."""

    program: Path

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""
        return self.program.name

    def ask(self, *words: str | Path, stdin: bytes | None = None, timeout: float | None = None) -> Completed:
        """Run the command to its end; a failure is not raised.

        Raises:
            ExecutionError: It could not be started, or ran out of time (seconds).
        """
        return call([self.program, *words], stdin=stdin, timeout=timeout)

    def find_image(self, reference: str) -> Image | None:
        """The image `reference` (a name, an id, or ``name@sha256:...``), if the engine has it.

        Raises:
            ExecutionError: The engine cannot be started, or answers in an unknown form.
        """
        done = self.ask("image", "inspect", reference, timeout=_PATIENCE)
        if not done.ok:
            return None
        try:
            return _read_image(reference, msgspec.json.decode(done.stdout)[0])
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
            raise ExecutionError(
                f"`{self.name} image inspect {reference}` answers in an unknown form"
            ) from error

    def remove_container(self, name: str) -> None:
        """Kill and remove a container; one that is gone is fine."""
        self.ask("rm", "--force", "--volumes", name, timeout=_PATIENCE)


def find_engine() -> Engine:
    """The engine to use: what REPROOF_CONTAINER_ENGINE names, else docker, else podman.

    Raises:
        ExecutionError: None is installed, or none answers.
    """
    problems: list[tuple[str, str]] = []
    for command in _commands():
        engine, problem = _try(command)
        if problem is None and engine is not None:
            return engine
        problems.append((command, problem or ""))
    running = any(problem != "not installed" for _, problem in problems)
    raise ExecutionError(
        "no container engine answers" if running else "no container engine is installed",
        details=problems,
        hint="start it, as with `systemctl start docker`" if running else "apt-get install docker.io",
    )


def forget() -> None:
    """Ask again whether an engine answers: it may have been started since."""
    _try.cache_clear()


@functools.lru_cache(maxsize=4)
def _try(command: str) -> tuple[Engine | None, str | None]:
    """The engine behind a command, and why it cannot be used; tried once for each process."""
    program = find(command)
    if program is None:
        return None, "not installed"
    engine = Engine(program)
    try:
        done = engine.ask("version", "--format", "{{.Server.Version}}", timeout=_PATIENCE)
        if not done.ok and engine.name == "podman":  # works without a server
            done = engine.ask("info", "--format", "{{.Version.Version}}", timeout=_PATIENCE)
    except ExecutionError as error:
        return engine, error.message
    return engine, None if done.ok else done.complaint.splitlines()[-1] if done.complaint else "no answer"


def _commands() -> Sequence[str]:
    named = os.environ.get(VARIABLE)
    return (named,) if named else _COMMANDS


def _read_image(reference: str, facts: dict[str, Any]) -> Image:
    identity = str(facts["Id"])
    config = facts.get("Config") or {}
    variables = dict(item.split("=", 1) for item in config.get("Env") or [] if "=" in item)
    digests = [item.rpartition("@")[2] for item in facts.get("RepoDigests") or []]
    return Image(
        reference=reference,
        id=identity if identity.startswith("sha256:") else f"sha256:{identity}",
        digest=digests[0] if digests else None,
        user=str(config.get("User") or ""),
        path=variables.get("PATH"),
        variables=variables,
    )
