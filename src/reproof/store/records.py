"""The records of one project: written once, found by id, run id or place, and never changed.

Layout below the folder (``.reproof``)::

    records/ID.json              a record; ID is the sha256 of the file
    records/ID.mlflow.json       where it is in MLflow
    records/ID.verdict-N.json    a verdict on it; N counts up
    unfinished/NONCE.json        a record of a run that has not ended, or was killed
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.files import sync_directory, write_atomic
from reproof.errors import RecordError, StoreError
from reproof.model.codec import decode_record, decode_verdict, encode, record_id
from reproof.model.record import Record
from reproof.model.verdict import Verdict

_RECORD_FILE = re.compile(r"(?P<id>[0-9a-f]{64})\.json")
_RUN_ID = re.compile(r"[0-9a-f]{1,64}")
_SHORT = 12


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A record with its identity.

    Attributes:
        id: The sha256 of its exact bytes.
        record: The record.
        path: The file that it was read from.
        run_id: The MLflow run that it belongs to, where one is known.
    """

    id: str
    record: Record
    path: Path
    run_id: str | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of records shows of one; of a damaged file only what its name and times tell.

    Attributes:
        created: ISO 8601 in UTC.
        verdict: The word of its last verdict.
        trouble: Why the record cannot be used.
    """

    id: str
    path: Path
    created: str = ""
    state: str = ""
    project: str = ""
    entry_point: str | None = None
    run_id: str | None = None
    verdict: str | None = None
    trouble: str | None = None


class _ProjectHead(msgspec.Struct):
    name: str
    entry_point: str | None = None


class _RecordHead(msgspec.Struct):
    """The few fields that a list needs; the rest of the document is skipped."""

    created: str
    state: str
    project: _ProjectHead


class RecordStore:
    """The records below `folder`, which is made when the first one is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records = folder / "records"
        self._unfinished = folder / "unfinished"

    def begin(self, record: Record) -> Path:
        """Write the record of a run that has not ended; called again, it is replaced.

        Returns:
            Its file, which :meth:`write` removes.

        Raises:
            StoreError: It cannot be written.
        """
        place = self._unfinished / f"{_safe(record.nonce)}.json"
        self._write(place, encode(record))
        return place

    def write(self, record: Record) -> str:
        """Write a record for good, and remove the unfinished one of the same run.

        Returns:
            The record's id.

        Raises:
            StoreError: It cannot be written; nothing that was there is lost.
        """
        data = encode(record)
        identity = record_id(data)
        self._write(self._records / f"{identity}.json", data)
        (self._unfinished / f"{_safe(record.nonce)}.json").unlink(missing_ok=True)
        return identity

    def adopt(self, data: bytes) -> Found:
        """Keep a record that was written elsewhere, byte for byte.

        Raises:
            RecordError: It is damaged, or of another schema.
            StoreError: It cannot be written.
        """
        decode_record(data, where="the record")
        identity = record_id(data)
        self._write(self._records / f"{identity}.json", data)
        return self.read(identity)

    def read(self, identity: str) -> Found:
        """Read the record with this full id, and check that its bytes are those of the id.

        Raises:
            RecordError: It is not here, damaged, changed, or of another schema.
        """
        place = self._records / f"{identity}.json"
        if not _RECORD_FILE.fullmatch(place.name) or not place.is_file():
            raise self._unknown(identity)
        return self._read_file(place, identity)

    def find(self, text: str) -> Found:
        """Find a record by what a user typed.

        Args:
            text: ``last``, a record id or MLflow run id (or a unique beginning of one), or the path
                of a record file.

        Raises:
            RecordError: Nothing or more than one record fits, or the one that fits cannot be used.
        """
        if text == "last":
            return self._last()
        if "/" in text or text.endswith(".json"):
            return self._read_path(Path(text))
        wanted = text.lower().removeprefix("sha256:")
        if wanted and _RUN_ID.fullmatch(wanted):
            fitting = {identity: run for identity, run in self._index() if identity.startswith(wanted)}
            fitting |= {identity: run for identity, run in self._index() if run and run.startswith(wanted)}
            if len(fitting) == 1:
                return self.read(next(iter(fitting)))
            if fitting:
                raise self._ambiguous(text, fitting)
        raise self._unknown(text)

    def list(self) -> tuple[Summary, ...]:
        """All records, newest first; damaged ones are in the list, with their trouble."""
        every = [self._summarise(identity, run) for identity, run in self._index()]
        return tuple(sorted(every, key=_age, reverse=True))

    def unfinished(self) -> tuple[Path, ...]:
        """Files of records whose run goes on, or was killed; newest first."""
        places = self._unfinished.glob("*.json") if self._unfinished.is_dir() else ()
        return tuple(sorted(places, key=lambda place: place.stat().st_mtime_ns, reverse=True))

    def read_unfinished(self, place: Path) -> Record:
        """Read one of :meth:`unfinished`. Raises RecordError as :meth:`read` does."""
        return decode_record(_read_bytes(place), where=str(place))

    def write_tracking(self, identity: str, facts: dict[str, Any]) -> Path:
        """Keep where a record is in MLflow (`run_id` and whatever else); replaces what was kept.

        Raises:
            StoreError: It cannot be written.
        """
        place = self._records / f"{identity}.mlflow.json"
        self._write(place, msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
        return place

    def read_tracking(self, identity: str) -> dict[str, Any] | None:
        """What :meth:`write_tracking` kept; None where nothing usable is kept."""
        try:
            facts = msgspec.json.decode((self._records / f"{identity}.mlflow.json").read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return facts if isinstance(facts, dict) else None

    def add_verdict(self, identity: str, verdict: Verdict) -> Path:
        """Keep a verdict on a record beside the earlier ones, none of which is touched.

        Raises:
            StoreError: It cannot be written.
        """
        data = encode(verdict)
        number = 1 + max((count for count, _ in self._verdict_files(identity)), default=0)
        while True:
            place = self._records / f"{identity}.verdict-{number}.json"
            temporary = place.with_suffix(f".{os.getpid()}")
            self._write(temporary, data, shown=place)
            try:
                os.link(temporary, place)  # fails where another process was first
            except FileExistsError:
                number += 1
                continue
            finally:
                temporary.unlink()
            sync_directory(self._records)
            return place

    def verdicts(self, identity: str) -> tuple[Verdict, ...]:
        """The verdicts on a record, oldest first. Raises RecordError for a damaged one."""
        return tuple(
            decode_verdict(_read_bytes(place), where=str(place))
            for _, place in sorted(self._verdict_files(identity))
        )

    def _last(self) -> Found:
        newest = self.list()[:1]
        if newest:  # one that is damaged is an error, not a reason to take an older one silently
            return self.read(newest[0].id)
        waiting = self.unfinished()
        raise RecordError(
            "there is no finished record here",
            details=[
                ("searched", str(self._records)),
                *[("unfinished", str(place)) for place in waiting[:3]],
            ],
            hint="run `reproof run .`",
        )

    def _read_path(self, place: Path) -> Found:
        match = _RECORD_FILE.fullmatch(place.name)
        return self._read_file(place, match["id"] if match else None)

    def _read_file(self, place: Path, expected: str | None) -> Found:
        data = _read_bytes(place)
        record = decode_record(data, where=str(place))
        found = record_id(data)
        if expected is not None and found != expected:
            raise RecordError(
                f"the record `{place}` was changed after it was written",
                details=[("expected", f"sha256:{expected}"), ("found", f"sha256:{found}")],
                hint="`reproof list` shows the others",
            )
        return Found(id=found, record=record, path=place, run_id=self._run_of(found))

    def _summarise(self, identity: str, run: str | None) -> Summary:
        place = self._records / f"{identity}.json"
        try:
            data = place.read_bytes()
            head = msgspec.json.decode(data, type=_RecordHead)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return Summary(id=identity, path=place, created=_modified(place), run_id=run, trouble="damaged")
        return Summary(
            id=identity,
            path=place,
            created=head.created,
            state=head.state,
            project=head.project.name,
            entry_point=head.project.entry_point,
            run_id=run,
            verdict=self._last_word(identity),
            trouble=None if record_id(data) == identity else "changed after it was written",
        )

    def _last_word(self, identity: str) -> str | None:
        files = sorted(self._verdict_files(identity))
        try:
            return msgspec.json.decode(files[-1][1].read_bytes(), type=Verdict).word if files else None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _index(self) -> Iterator[tuple[str, str | None]]:
        """The id of each record, and its MLflow run where one is known."""
        if not self._records.is_dir():
            return
        names = {place.name for place in self._records.iterdir()}
        for name in names:
            if match := _RECORD_FILE.fullmatch(name):
                identity = match["id"]
                yield identity, self._run_of(identity) if f"{identity}.mlflow.json" in names else None

    def _run_of(self, identity: str) -> str | None:
        run = (self.read_tracking(identity) or {}).get("run_id")
        return run if isinstance(run, str) else None

    def _verdict_files(self, identity: str) -> Iterator[tuple[int, Path]]:
        for place in self._records.glob(f"{identity}.verdict-*.json"):
            number = place.name.removeprefix(f"{identity}.verdict-").removesuffix(".json")
            if number.isdigit():
                yield int(number), place

    def _ambiguous(self, text: str, fitting: dict[str, str | None]) -> RecordError:
        newest = [summary for summary in self.list() if summary.id in fitting]
        return RecordError(
            f"`{text}` is the beginning of {len(fitting)} records",
            details=[(summary.id[:_SHORT], _describe(summary)) for summary in newest[:10]],
            hint="give more characters",
        )

    def _unknown(self, text: str) -> RecordError:
        known = [name for identity, run in self._index() for name in (identity, run) if name]
        shortened = {name[: max(len(text), 4)]: name for name in known}
        close = difflib.get_close_matches(text.lower(), shortened, 1)
        meant = shortened[close[0]][: max(len(text), _SHORT)] if close else None
        return RecordError(
            f"no record or MLflow run `{text}` is known here",
            details=[("searched", str(self._records))],
            hint=f"did you mean `{meant}`? `reproof list` shows all" if meant else "`reproof list` shows all",
        )

    def _write(self, place: Path, data: bytes, shown: Path | None = None) -> None:
        try:
            write_atomic(place, data)
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            raise StoreError(
                f"cannot write `{shown or place}`",
                details=[("size", f"{len(data)} bytes"), ("reason", error.strerror or str(error))],
                hint=f"`df -h {self.folder.parent}` shows how full it is" if full else None,
            ) from error


def _describe(summary: Summary) -> str:
    run = f"MLflow run {summary.run_id[:_SHORT]}" if summary.run_id else ""
    return ", ".join(part for part in (summary.created, summary.project, summary.entry_point, run) if part)


def _age(summary: Summary) -> tuple[str, int]:
    """The order of records: by the second in which their runs began, then as they were written."""
    try:
        return summary.created, summary.path.stat().st_mtime_ns
    except OSError:
        return summary.created, 0


def _modified(place: Path) -> str:
    try:
        changed = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        return changed.isoformat(timespec="milliseconds").replace("+00:00", "Z")  # as records have it
    except OSError:
        return ""


def _read_bytes(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError as error:
        raise RecordError(
            f"cannot read the record `{place}`: {error.strerror}",
            hint="`reproof list` shows those of this project",
        ) from error


def _safe(nonce: str) -> str:
    if not re.fullmatch(r"[\w-]{1,128}", nonce):
        raise RecordError(f"the nonce `{nonce[:40]}` of a record is no file name")
    return nonce
