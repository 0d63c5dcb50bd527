"""Work for the tests of many at once; in a module that workers can import, however the tests were started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec

from reproof.errors import MaterialError


class Chore(msgspec.Struct):
    """What a worker of these tests does: notes that it began, then answers, fails or dies."""

    folder: str
    name: str
    kind: str = "answer"


def work(chore: Chore) -> tuple[str, int]:
    place = Path(chore.folder)
    begun = len(list(place.glob(f"{chore.name}.begun-*")))
    (place / f"{chore.name}.begun-{begun}").touch()
    if chore.kind == "fail":
        raise MaterialError("no data", hint="keep it")
    while chore.kind == "waits" and not (place / "go").exists():
        time.sleep(0.05)
    if chore.kind == "always dies" or (chore.kind == "dies once" and begun == 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return chore.name, os.getpid()
