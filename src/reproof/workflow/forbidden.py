"""Draws of entropy that a run must not make."""

from __future__ import annotations

from reproof.errors import ExecutionError
from reproof.model.record import Record
from reproof.report.chance import call_of, place_of


def require_none_forbidden(record: Record, identity: str) -> None:
    """Refuse a run that drew entropy that nothing controls, where that is forbidden; its record is kept.

    Raises:
        ExecutionError: It did; names the first place.
    """
    chance = record.randomness
    loose = [draw for draw in chance.unseeded if draw.control == "uncontrolled"]
    if chance.entropy != "forbid" or not loose:
        return
    raise ExecutionError(
        f"the run drew entropy that nothing controls: {call_of(loose[0])} at {place_of(loose[0])}",
        details=[("asked for", "`--entropy forbid`"), ("record", identity[:12])],
        hint="seed it there, or pass `--entropy control`",
    )
