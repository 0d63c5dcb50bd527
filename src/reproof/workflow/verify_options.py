"""What `verify` may be told, whatever kind of run it is about."""

from __future__ import annotations

from pathlib import Path

import msgspec


class VerifyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` may be told.

    Attributes:
        accept: The worst outcome that passes: ``identical``, ``equivalent``, ``close``.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        repeat: Number of re-runs that must all agree with the record.
        by_itself: Re-run once more without reproof's seed, to say whether the code repeats without it.
        keep: Leave the room in place.
        isolation: ``auto``, ``none``, ``process``, ``bubblewrap`` or ``docker``.
        timeout: Seconds for one re-run.
        offline: Take packages from the cache alone.
        stores: Further folders to look for content in.
        log: Write the verdict to the MLflow run.
        tracking_uri: MLflow store to look for runs in that are not of this project; MLFLOW_TRACKING_URI when None.
        trust: Treat a record that was not made by this user on this host as if it were.
        allow_python: Versions of Python, ``3.11.*``, that may stand in for the recorded one.
        wheels: A folder of wheels (of a bundle); packages come from there alone.
        stage: Of a pipeline: only this stage, on the recorded inputs.
        code: A commit whose code takes the place of the recorded one. The verdict then says whether that
            alters the result; it is not kept, since it is none on the record. Of a run that reproof did not
            record also: a repository that has the commit.
        data: Places (``PATH``, or ``NAME=PATH``) whose files take the place of recorded inputs, or are the
            inputs that neither Git nor DVC has.
        env: A lock file, or the folder of a project, whose packages take the place of the recorded ones.
        entry_point: Of a run that reproof did not record: the entry point or script.
        command: The same: its whole command.
    """

    accept: str | None = None
    rtol: float | None = None
    atol: float | None = None
    repeat: int = 1
    by_itself: bool = False
    keep: bool = False
    isolation: str = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    log: bool = True
    tracking_uri: str | None = None
    trust: bool = False
    allow_python: str | None = None
    wheels: Path | None = None
    stage: str | None = None
    code: str | None = None
    data: tuple[str, ...] = ()
    env: str | None = None
    entry_point: str | None = None
    command: tuple[str, ...] = ()
