"""Every failure that a user can meet, one class for each thing that they can do about it.

ReproofError
├── UsageError              the command line or the call asks for something that makes no sense
├── ProjectError            a file of the project must be changed
├── RecordError             a record cannot be found, read or trusted
├── MaterialError           an input is missing or not what was recorded
├── EnvironmentBuildError   the environment cannot be made as recorded
├── ExecutionError          the command could not be started or watched
├── StoreError              content could not be kept or given back
├── TrackingError           the tracking server or store could not be used
├── MissingError            something that a re-creation needs is nowhere, and can be supplied
├── TrustError              a key, signature, log or bundle cannot be used or believed
└── InternalError           a defect of reproof itself
"""

from __future__ import annotations

from collections.abc import Sequence


class ReproofError(Exception):
    """Base of all failures that are reported without a traceback.

    Args:
        message: One line: what cannot be done, with literals in backticks and no final full stop.
        details: Facts as (label, text) pairs, shown aligned below the message.
        hint: One way out. A command that follows `run`, or words that follow `pass` or `add`, cure the
            error when they are pasted (words in capitals stand for what only the reader knows);
            everything else is advice.
    """

    def __init__(
        self,
        message: str,
        *,
        details: Sequence[tuple[str, str]] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.hint = hint


class UsageError(ReproofError):
    """What was asked for makes no sense; ask differently."""


class ProjectError(ReproofError):
    """A file of the project is missing or wrong; change the project."""


class RecordError(ReproofError):
    """A record cannot be found, is ambiguous, damaged or of a newer schema."""


class MaterialError(ReproofError):
    """An input of the run is missing or does not have its recorded content."""


class EnvironmentBuildError(ReproofError):
    """The environment cannot be created or does not equal its lock."""


class ExecutionError(ReproofError):
    """The command could not be started, or its isolation could not be had."""


class StoreError(ReproofError):
    """Content could not be written to, or read from, the store."""


class TrackingError(ReproofError):
    """The MLflow server or store could not be read or written."""


class MissingError(ReproofError):
    """A run cannot be re-created for want of one ingredient, which the reader may be able to supply.

    Args:
        ingredient: What is missing, in a word: ``code``, ``command``, ``data``.
    """

    def __init__(
        self,
        ingredient: str,
        message: str,
        *,
        details: Sequence[tuple[str, str]] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.ingredient = ingredient


class TrustError(ReproofError):
    """A key, a signature, the log or a bundle cannot be used, or not be believed."""


class InternalError(ReproofError):
    """A defect of reproof; worth a report."""
