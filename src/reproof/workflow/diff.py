"""`diff`: how two records, runs, files or folders differ; nothing is run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from reproof.compare import compare
from reproof.compare.records import compare_set_ups
from reproof.compare.registry import broken_entry_points
from reproof.errors import RecordError, UsageError
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.event import Emit, Event, silent
from reproof.model.policy import Policy, Tolerance
from reproof.project.settings import read_settings
from reproof.store.records import Found
from reproof.workflow.judge import Side, judge
from reproof.workflow.lookup import find_record, place_of
from reproof.workflow.verdicts import make_policy, rejected


class DiffOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What passes: see :class:`reproof.workflow.verify.VerifyOptions`."""

    accept: str | None = None
    rtol: float | None = None
    atol: float | None = None

    def policy(self, base: Policy | None = None) -> Policy:
        """The policy that the options ask for, on top of that of the settings."""
        return make_policy(base or Policy(), self.accept, self.rtol, self.atol)


def diff(a: str, b: str, options: DiffOptions | None = None, emit: Emit = silent) -> Difference:
    """Compare A with B: paths if both exist as such, records otherwise.

    Raises:
        UsageError: One is a file or folder and the other names nothing.
        RecordError: A record cannot be found or read.
    """
    chosen = options or DiffOptions()
    for trouble in broken_entry_points():
        emit(Event(kind="warning", subject="compare", message=f"comparator not used: {trouble}"))
    emit(Event(kind="start", subject="compare", message="comparing"))
    try:
        if _is_content(a) or _is_content(b):
            return _diff_paths(a, b, chosen.policy().tolerance)
        return _diff_records(find_record(a), find_record(b), chosen)
    finally:
        emit(Event(kind="finish", subject="compare"))


def exit_status_of(difference: Difference, options: DiffOptions) -> int:
    """0 within what is accepted, 3 if all that is not could not be compared, else 1.

    Of two records, their rules have been asked already.
    """
    limit = options.policy().accept
    if difference.outcome <= limit or difference.evidence.get("accepted") is True:
        return 0
    return 3 if difference.outcome is Outcome.UNKNOWN else 1


def _is_content(text: str) -> bool:
    """Whether `text` is a file or folder to compare as such (a record file is a record)."""
    path = Path(text)
    if not (path.exists() or path.is_symlink()):
        return False
    return not (path.suffix == ".json" and path.parent.name == "records" and path.is_file())


def _diff_paths(a: str, b: str, tolerance: Tolerance) -> Difference:
    for text in (a, b):
        if not (Path(text).exists() or Path(text).is_symlink()):
            raise UsageError(
                f"there is no file or folder `{text}`", hint="`reproof list` shows the recorded runs"
            )
    subject = a if Path(a).name != Path(b).name else Path(a).name
    return compare(Path(a), Path(b), subject=subject, tolerance=tolerance)


def _diff_records(a: Found, b: Found, options: DiffOptions) -> Difference:
    """Set-ups and results of two records, as one tree with a branch for each.

    Rules and tolerances of the settings of A's project count, as they do for `verify`.
    """
    if a.record.state == "unfinished" or b.record.state == "unfinished":
        raise RecordError(
            "cannot compare a run that has not ended", hint="`reproof list` shows those that have"
        )
    top = place_of(a).top
    policy = options.policy(read_settings(top / a.record.project.subdirectory, top).policy)
    with tempfile.TemporaryDirectory(prefix="reproof-diff-") as folder:
        scratch = Path(folder)
        judgement = judge(
            Side(a.record, place_of(a).store), Side(b.record, place_of(b).store), policy, scratch
        )
    parts = [combine("results", judgement.differences, kind="results")]
    factors = compare_set_ups(a.record, b.record)
    if factors:
        names = ", ".join(factor.subject for factor in factors)
        parts.insert(0, combine("set-up", factors, kind="set-up", summary=f"{names} differ"))
    return combine(
        f"{a.id[:12]} -> {b.id[:12]}",
        parts,
        kind="records",
        summary=parts[-1].summary,
        evidence={"accepted": not factors and not rejected(judgement.differences, policy)},
    )
