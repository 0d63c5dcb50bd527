"""What was asked of the switches of libraries, and what the libraries answered."""

from __future__ import annotations

from reproof.capture.observations import Observations
from reproof.model.observation import Answered, Switched
from reproof.model.randomness import Reading

_VALUES = 3  # different answers of one switch, from different processes, that are named


def readings(observations: Observations) -> tuple[Reading, ...]:
    """Each switch once, in the order of its first mention.

    What the user's code set last counts as asked, and where it did so; answers that differ between the
    processes of a run are joined by commas.
    """
    asked: dict[str, tuple[str, str]] = {}
    answers: dict[str, list[str]] = {}
    for line in observations.lines:
        if isinstance(line, Switched):
            if line.where or line.what not in asked:
                asked[line.what] = (line.value, _place(line))
        elif isinstance(line, Answered) and not line.where:
            answers.setdefault(line.what, []).append(line.value)
    return tuple(
        Reading(
            what=what,
            asked=asked[what][0] if what in asked else None,
            answer=_joined(answers.get(what, [])),
            where=asked[what][1] if what in asked else "",
        )
        for what in dict.fromkeys([*asked, *answers])
    )


def _place(line: Switched) -> str:
    if not line.inside or not line.where:
        return line.where
    return f"{line.where} (in {line.inside.rpartition('-packages/')[2]})"


def _joined(values: list[str]) -> str | None:
    known = list(dict.fromkeys(value for value in values if value))
    return ", ".join([*known[:_VALUES], *(["..."] if len(known) > _VALUES else [])]) or None
