"""How much may be re-run: a number of runs, or until a moment."""

from __future__ import annotations

import re
import time

import msgspec

from reproof.errors import UsageError

_TIME = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<unit>[smh])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class SpentError(Exception):
    """The budget does not allow another run."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed; None for as much as it takes.

    Attributes:
        runs: Re-runs at most.
        until: Seconds since the epoch, after which none begins.
        text: As it was given.
    """

    runs: int | None = None
    until: float | None = None
    text: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """Read ``--budget``: ``20`` runs, or a time from now on such as ``10m``, ``90s``, ``1.5h``.

        Raises:
            UsageError: It is neither, or less than the two controls.
        """
        if text is None:
            return cls()
        words = text.strip()
        if re.fullmatch(r"[0-9]{1,6}", words) and int(words) >= 2:
            return cls(runs=int(words), text=words)
        found = _TIME.fullmatch(words)
        if found is None or float(found["number"]) == 0:
            raise UsageError(
                f"`{text}` is no budget: a number of re-runs (two at least), or a time",
                hint="pass `--budget 20`, or `--budget 10m`",
            )
        return cls(until=time.time() + float(found["number"]) * _SECONDS[found["unit"]], text=words)

    def require(self, made: int, kept: float = 0.0) -> None:
        """Make sure that one more re-run may begin after `made`, when so many seconds of a time have to be left.

        Raises:
            SpentError: It may not.
        """
        if (self.runs is not None and made >= self.runs) or (
            self.until is not None and time.time() + kept >= self.until
        ):
            raise SpentError

    def share(self, parts: int) -> Budget:
        """The part of each of those that work at the same time: the runs are divided, the time is not."""
        if self.runs is None:
            return self
        return msgspec.structs.replace(self, runs=max(self.runs // parts, 2))
