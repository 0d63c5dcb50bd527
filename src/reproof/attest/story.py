"""What the entries of a log say about each other: starts without ends, results entered twice, copies, seeds left out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from reproof.attest.examine import Entry, dig
from reproof.model.audit import AuditFinding

#: Between the beginning of a record, or of its command, and the entry: what is read and written meanwhile.
_SLACK = dt.timedelta(minutes=1)


def check_story(entries: Sequence[Entry]) -> tuple[AuditFinding, ...]:
    """Everything that does not fit together among the readable entries of a log."""
    return (*_results(entries), *_unfinished(entries), *_copies(entries), *_seeds(entries))


def _results(entries: Sequence[Entry]) -> Iterator[AuditFinding]:
    """Each result has one start before it, and comes once."""
    started: dict[str, Entry] = {}
    finished: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind == "started":
            started.setdefault(entry.nonce, entry)
        if entry.kind != "finished":
            continue
        before = finished.get(entry.nonce) or finished.get(entry.record)
        if before is not None:
            yield _again(before, entry)
            continue
        finished[entry.nonce] = finished[entry.record] = entry
        start = started.get(entry.nonce)
        if start is None:
            yield AuditFinding(
                name="run-unstarted",
                subject=f"record {entry.record[:12]}",
                summary=f"entry {entry.sequence} is the result of a run whose start was not entered",
            )
        else:
            yield from _times(start, entry)


def _again(before: Entry, entry: Entry) -> AuditFinding:
    other = entry.signer.identity != before.signer.identity
    who = f" by `{before.signer.identity}`" if before.signer.identity else ""
    return AuditFinding(
        name="run-copied" if other else "run-repeated",
        subject=f"record {entry.record[:12]}",
        summary=f"entry {entry.sequence} enters the run that entry {before.sequence}{who} is about",
    )


def _times(start: Entry, entry: Entry) -> Iterator[AuditFinding]:
    began = str(dig(entry.facts, "runDetails", "metadata", "startedOn") or "")
    moments = [_moment(text) for text in (start.signer.time, began, entry.signer.time)]
    sound = [moment for moment in moments if moment is not None]
    if len(sound) < len(moments) or not sound[0] - _SLACK <= sound[1] <= sound[2] + _SLACK:
        yield AuditFinding(
            name="time-mismatch",
            subject=f"record {entry.record[:12]}",
            summary=f"it began at {began}; entered as started at {start.signer.time}, as finished at {entry.signer.time}",
        )


def _moment(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _unfinished(entries: Sequence[Entry]) -> Iterator[AuditFinding]:
    ended = {entry.nonce for entry in entries if entry.kind == "finished"}
    accounted = {entry.nonce: entry for entry in entries if entry.kind == "signature" and entry.nonce}
    for entry in entries:
        if entry.kind != "started" or entry.nonce in ended:
            continue
        parameters = entry.facts.get("parameters", {})
        what = str(parameters.get("command", "") if isinstance(parameters, dict) else "")[:80]
        account = accounted.get(entry.nonce)
        if account is None:
            summary = f"started at {entry.signer.time} (`{what}`), and never entered as ended"
        else:
            summary = f"started at {entry.signer.time}, no result; `{account.signer.identity or 'somebody'}` says: {account.facts.get('reason', '')}"
        yield AuditFinding(
            name="run-unfinished",
            severity="error" if account is None or not account.trusted else "warning",
            subject=f"run {entry.nonce[:12]}",
            summary=summary,
        )


def _copies(entries: Sequence[Entry]) -> Iterator[AuditFinding]:
    """The same products by another signer: an honest re-run looks the same, so it is told, not judged."""
    seen: dict[frozenset[tuple[str, str]], Entry] = {}
    for entry in entries:
        if entry.kind != "finished" or not entry.products:
            continue
        identity = frozenset(
            (name, digest.get("blake3") or digest.get("sha256", ""))
            for name, digest in entry.products.items()
        )
        before = seen.setdefault(identity, entry)
        if before.signer.identity != entry.signer.identity and before.nonce != entry.nonce:
            yield AuditFinding(
                name="run-copied",
                severity="warning",
                subject=f"record {entry.record[:12]}",
                summary=f"its products are, byte for byte, those of record {before.record[:12]} that `{before.signer.identity or 'somebody'}` entered earlier",
            )


def _seeds(entries: Sequence[Entry]) -> Iterator[AuditFinding]:
    """Each replication is planned before it is told, and told with all its seeds."""
    plans: dict[str, Entry] = {}
    told: set[str] = set()
    for entry in entries:
        plan = str(entry.facts.get("plan", ""))
        if entry.kind == "planned":
            plans.setdefault(plan, entry)
        elif entry.kind == "replicated":
            told.add(plan)
            yield from _told(plan, plans.get(plan), entry)
    for plan, entry in plans.items():
        if plan not in told:
            yield AuditFinding(
                name="replication-unfinished",
                subject=f"replication {plan[:12]}",
                summary=f"planned in entry {entry.sequence} at {entry.signer.time}, and never told",
            )


def _told(plan: str, planned: Entry | None, entry: Entry) -> Iterator[AuditFinding]:
    """Hold the results of a replication against its plan: each seed told, and none besides."""
    subject = f"replication {plan[:12]}"
    if planned is None:
        yield AuditFinding(
            name="replication-unplanned",
            subject=subject,
            summary=f"entry {entry.sequence} tells results of seeds that no entry before it plans",
        )
        return
    records, seeds = (planned.facts.get(name) for name in ("records", "seeds"))
    wanted = {
        (str(record), str(seed))
        for record in (records if isinstance(records, list) else ())
        for seed in (seeds if isinstance(seeds, list) else ())
    }
    runs = entry.facts.get("runs")
    found = {
        (str(each.get("record")), str(each.get("seed")))
        for each in (runs if isinstance(runs, list) else ())
        if isinstance(each, dict) and each.get("state") != "missing"
    }
    lacking = sorted({seed for _, seed in wanted - found}, key=lambda seed: (len(seed), seed))
    if lacking or found - wanted:
        some = ", ".join(lacking[:10]) or "none"
        yield AuditFinding(
            name="replication-incomplete",
            severity="error" if found - wanted else "warning",
            subject=subject,
            summary=f"of {len(wanted)} planned runs {len(wanted & found)} are told, {len(found - wanted)} are others; seeds that lack a run: {some}",
        )
