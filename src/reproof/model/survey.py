"""What came of verifying all runs of an experiment: a row for each run, and what they say together."""

from __future__ import annotations

from typing import Literal

import msgspec

from reproof.model.verdict import SAME, Stability, Word

SCHEMA = "reproof/survey/1"

#: `recorded`: reproof recorded the run; `reconstructed`: MLflow alone did; `unknown`: it was not looked at.
Kind = Literal["recorded", "reconstructed", "unknown"]


class SurveyRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one run.

    Attributes:
        run_id: MLflow's id.
        name: Its name in MLflow.
        started: ISO 8601 in UTC.
        kind: Who recorded it.
        word: The verdict's; None where there is none.
        stability: Whether the re-run agrees with itself, where something differs.
        detail: What differs, or could not be compared, in a line.
        missing: The ingredient that is missing, in a word: ``code``, ``data``, ``environment`` ...
        reason: What is missing, in a line.
        hint: What would supply it.
        commit: The commit, where one is known.
        seconds: What verifying took.
        verified: When, ISO 8601 in UTC.
    """

    run_id: str
    name: str = ""
    started: str = ""
    kind: Kind = "unknown"
    word: Word | None = None
    stability: Stability = "not tried"
    detail: str = ""
    missing: str | None = None
    reason: str = ""
    hint: str | None = None
    commit: str = ""
    seconds: float = 0.0
    verified: str = ""

    @property
    def same(self) -> bool:
        """Whether the run came out the same."""
        return self.word in SAME

    @property
    def decided(self) -> bool:
        """Whether there is a verdict that says yes or no."""
        return self.word is not None and self.word != "inconclusive"


class Survey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA):
    """All runs of an experiment.

    Attributes:
        experiment: Its name.
        store: Address of the store, without secrets.
        since: Only runs that started then or later, ISO 8601; empty for all.
        created: When, ISO 8601 in UTC.
        rows: In the order in which the runs started.
        kept: How many rows are from an earlier call.
        nested: How many runs are part of another, and were compared with that.
    """

    experiment: str
    store: str
    since: str = ""
    created: str = ""
    rows: tuple[SurveyRow, ...] = ()
    kept: int = 0
    nested: int = 0

    def counts(self) -> dict[str, int]:
        """How many runs came out how: words of verdicts, then ``missing: ...``."""
        found: dict[str, int] = {}
        for row in self.rows:
            name = row.word or f"missing: {row.missing}"
            found[name] = found.get(name, 0) + 1
        return dict(
            sorted(found.items(), key=lambda item: (item[0].startswith("missing"), -item[1], item[0]))
        )


def exit_status_of(survey: Survey) -> int:
    """0 every run came out the same; 1 one did not; 3 none of this, or nothing could be compared."""
    if any(row.decided and not row.same for row in survey.rows):
        return 1
    return 0 if survey.rows and all(row.same for row in survey.rows) else 3
