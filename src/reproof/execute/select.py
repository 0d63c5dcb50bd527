"""Choosing the runner for a level of isolation; `auto` takes the best there is, and says which and why."""

from __future__ import annotations

from typing import Literal

import msgspec

from reproof.errors import ExecutionError
from reproof.execute import bubblewrap
from reproof.execute.bubblewrap import BubblewrapRunner, Confinement
from reproof.execute.process import ProcessRunner
from reproof.execute.protocol import Level, Runner

Isolation = Literal["auto", "none", "process", "bubblewrap"]


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


def choose(isolation: Isolation = "auto", confinement: Confinement | None = None) -> Choice:
    """The runner for `isolation`, probed, not assumed.

    Args:
        isolation: What was asked for; ``auto`` never fails.
        confinement: What a confined run may touch.

    Raises:
        ExecutionError: It was asked for by name and cannot be had here.
    """
    if isolation in ("none", "process"):
        level: Level = "none" if isolation == "none" else "process"
        return Choice(runner=ProcessRunner(level), level=level, reason="asked for")
    problem = bubblewrap.probe()
    if problem is None:
        return Choice(runner=BubblewrapRunner(confinement or Confinement()), level="bubblewrap")
    if isolation == "bubblewrap":
        raise ExecutionError(
            "cannot isolate by bubblewrap here",
            details=[("reason", problem)],
            hint="pass `--isolation process`",
        )
    return Choice(runner=ProcessRunner(), level="process", reason=problem)
