"""What came of verifying the runs of experiments, kept run by run: an interrupted survey goes on where it was.

Layout below the folder (``.reproof``)::

    experiments/KEY/RUN.json     what came of a run; KEY stands for the store, and for what passes
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.errors import StoreError
from reproof.model.survey import SurveyRow

_RUN = re.compile(r"[\w-]{1,256}")


class SurveyStore:
    """Rows below `folder`.

    Args:
        folder: ``.reproof``, or a folder like it.
        words: What decides a verdict besides the run: the store, the accepted outcome, tolerances, supplies.
    """

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        key = hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:20]
        self._folder = folder / "experiments" / key

    def read(self, run_id: str) -> SurveyRow | None:
        """The row of a run; None where there is none that can be used."""
        if not _RUN.fullmatch(run_id):
            return None
        try:
            return msgspec.json.decode((self._folder / f"{run_id}.json").read_bytes(), type=SurveyRow)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def write(self, row: SurveyRow) -> None:
        """Keep a row, in place of an earlier one of its run.

        Raises:
            StoreError: It cannot be written.
        """
        if not _RUN.fullmatch(row.run_id):
            return
        try:
            write_atomic(self._folder / f"{row.run_id}.json", msgspec.json.encode(row) + b"\n", durable=False)
        except OSError as error:
            raise StoreError(
                f"cannot write `{self._folder}`", details=[("reason", error.strerror or str(error))]
            ) from error
