"""Choosing the runner for a level of isolation; `auto` takes the best there is, and says which and why."""

from __future__ import annotations

from typing import Literal

import msgspec

from reproof.errors import ExecutionError
from reproof.execute import bubblewrap, docker
from reproof.execute.bubblewrap import BubblewrapRunner
from reproof.execute.docker import Container, DockerRunner
from reproof.execute.process import ProcessRunner
from reproof.execute.protocol import Confinement, Level, Runner

Isolation = Literal["auto", "none", "process", "bubblewrap", "docker"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The runner that was chosen.

    Attributes:
        runner: Runs recipes.
        level: The isolation that it really gives.
        reason: Why it is not a better one; empty for the best.
    """

    runner: Runner
    level: Level
    reason: str = ""


def choose(
    isolation: Isolation = "auto", confinement: Confinement | None = None, container: Container | None = None
) -> Choice:
    """The runner for `isolation`, probed, not assumed.

    Args:
        isolation: What was asked for; ``auto`` takes bubblewrap, else the process level. Where a
            container is given, it takes docker and nothing else.
        confinement: What a confined run may touch.
        container: The image that the run needs; None for one that needs none.

    Raises:
        ExecutionError: It was asked for by name, or is needed, and cannot be had here.
    """
    limits = confinement or Confinement()
    if container is not None and isolation in ("auto", "docker"):
        return _docker(limits, container, "it was recorded in an image")
    if container is not None:
        raise ExecutionError(
            f"cannot isolate by {isolation}: the run was recorded in a container image",
            hint="pass `--isolation docker`",
        )
    if isolation == "docker":
        return _docker(limits, None, "asked for")
    if isolation in ("none", "process"):
        level: Level = "none" if isolation == "none" else "process"
        return Choice(runner=ProcessRunner(level), level=level, reason="asked for")
    problem = bubblewrap.probe()
    if problem is None:
        return Choice(runner=BubblewrapRunner(limits), level="bubblewrap")
    if isolation == "bubblewrap":
        raise ExecutionError(
            "cannot isolate by bubblewrap here",
            details=[("reason", problem)],
            hint="pass `--isolation process`",
        )
    return Choice(runner=ProcessRunner(), level="process", reason=problem)


def sandbox(confinement: Confinement) -> Choice:
    """A runner that prevents, for code that is not trusted: bubblewrap, else docker.

    Raises:
        ExecutionError: Neither can be had here.
    """
    problem = bubblewrap.probe()
    if problem is None:
        return Choice(runner=BubblewrapRunner(confinement), level="bubblewrap")
    trouble = docker.probe()
    if trouble is None:
        return Choice(runner=DockerRunner(confinement), level="docker", reason=problem)
    raise ExecutionError(
        "there is no sandbox here for code that is not trusted",
        details=[("bubblewrap", problem), ("docker", trouble)],
        hint="apt-get install bubblewrap",
    )


def _docker(confinement: Confinement, container: Container | None, reason: str) -> Choice:
    problem = docker.probe()
    if problem is not None:
        raise ExecutionError(
            "cannot isolate by docker here", details=[("reason", problem)], hint="pass `--isolation auto`"
        )
    return Choice(runner=DockerRunner(confinement, container), level="docker", reason=reason)
