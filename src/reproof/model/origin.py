"""Where a model comes from: the run that made its files, and what verification said of that run."""

from __future__ import annotations

import msgspec

from reproof.model.verdict import Verdict


class OriginFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a model.

    Attributes:
        name: Path below the model.
        digest: ``blake3:...``.
        product: The product of the run with that content; None where it has none.
    """

    name: str
    digest: str
    product: str | None = None


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of where a model comes from.

    Attributes:
        subject: What was asked about.
        version: Version in the registry that it stands for.
        source: Where its files were read.
        files: All files, by content.
        record: Id of the record of the run that made them; None when no record has them all.
        run_id: The MLflow run of that record.
        claimed_run_id: The run that the registry names.
        project: Name of the project.
        created: When the run was made, ISO 8601 in UTC.
        commit: Its commit.
        verdict: The newest verdict on the record; None while it was never verified.
        searched: Where records were looked for.
    """

    subject: str
    version: str = ""
    source: str = ""
    files: tuple[OriginFile, ...] = ()
    record: str | None = None
    run_id: str | None = None
    claimed_run_id: str | None = None
    project: str = ""
    created: str = ""
    commit: str = ""
    verdict: Verdict | None = None
    searched: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 made by a run that was verified, 1 not, 3 made by a run that nobody verified yet."""
        if self.record is None:
            return 1
        if self.verdict is None:
            return 3
        return 0 if self.verdict.reproduced else 1
