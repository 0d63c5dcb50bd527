"""A cluster's workers: who may take part, what they offer, and results that are believed by their digest alone."""

from __future__ import annotations

import platform
import threading
from concurrent.futures import BrokenExecutor
from pathlib import Path

import msgspec
import pytest

from reproof.base.digesting import digest_bytes
from reproof.errors import ExecutionError, MaterialError, StoreError
from reproof.model.digest import Digest
from reproof.model.event import Event
from reproof.workflow.cluster import (
    Sealed,
    _Slots,
    _translated,
    require_offered,
    require_same_version,
    seal,
    unpack,
    unseal,
)
from reproof.workflow.leftovers import luggage_store
from reproof.workflow.needs import Needs


def test_a_result_comes_back_as_it_was() -> None:
    assert unseal(seal({"loss": 0.1})) == {"loss": 0.1}


def test_a_result_that_was_changed_on_its_way_is_refused() -> None:
    sent = seal({"loss": 0.1})
    changed = msgspec.structs.replace(sent, content=sent.content.replace(b"loss", b"gain"))
    with pytest.raises(ExecutionError, match="arrived damaged"):
        unseal(changed)
    with pytest.raises(ExecutionError, match="arrived damaged"):
        unseal(Sealed(sent.content[:-1], sent.digest))


def test_luggage_is_kept_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path))
    value = digest_bytes(b"rows")["blake3"]
    unpack({value: b"rows"})
    assert luggage_store().get_bytes(Digest("blake3", value)) == b"rows"


def test_luggage_that_was_changed_on_its_way_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path))
    with pytest.raises(StoreError, match="arrived damaged"):
        unpack({digest_bytes(b"rows")["blake3"]: b"rowz"})


PYTHON = platform.python_version()


@pytest.mark.parametrize(
    ("said", "shown"),
    [((PYTHON, ["0.9"]), "0.9"), ((PYTHON, []), "none"), (ImportError("no module"), "ImportError")],
)
def test_workers_with_another_version_are_refused(said: object, shown: str) -> None:
    with pytest.raises(ExecutionError, match="another version of reproof, or none") as caught:
        require_same_version({"tcp://a": (PYTHON, ["1.0"]), "tcp://b": said}, "1.0", print)
    details = dict(caught.value.details)
    assert details["here"] == "1.0"
    assert shown in details["tcp://b"]
    assert "tcp://a" not in details
    assert caught.value.hint == "run `pip install reproof==1.0` where they run"


def test_workers_with_another_python_are_named() -> None:
    events: list[Event] = []
    require_same_version({"tcp://a": ("2.7.18", ["1.0"]), "tcp://b": (PYTHON, ["1.0"])}, "1.0", events.append)
    assert [(event.kind, event.message) for event in events] == [
        ("warning", f"1 of 2 processes of the cluster run Python 2.7.18, here it is {PYTHON}")
    ]


def test_what_no_worker_offers_is_not_waited_for() -> None:
    wanted = Needs(others={"GPU": 2.0, "FPGA": 1.0})
    require_offered({"a": {}, "b": {"GPU": 2, "FPGA": 1}}, wanted)
    require_offered({"a": {}}, Needs(cpus=64))
    with pytest.raises(ExecutionError, match="no worker of the cluster offers `GPU=2,FPGA=1`") as caught:
        require_offered({"a": {"GPU": 2.0}, "b": {"FPGA": 1}, "c": {}}, wanted)
    assert dict(caught.value.details) == {"a": "GPU=2", "b": "FPGA=1", "c": "offers nothing"}
    assert "GPU=2 FPGA=1" in (caught.value.hint or "")


def killed(name: str, module: str) -> Exception:
    return type(name, (Exception,), {"__module__": module})("it was marked as failed")


def test_errors_of_dask_and_of_tasks_are_told_apart() -> None:
    own = MaterialError("no data")
    assert _translated(own) is own
    assert isinstance(_translated(None), BrokenExecutor)
    assert isinstance(_translated(killed("FutureCancelledError", "distributed.client")), BrokenExecutor)
    died = _translated(killed("KilledWorker", "distributed.scheduler"))
    assert isinstance(died, ExecutionError)
    assert "died" in died.message


def test_re_runs_of_one_worker_occupy_no_more_cpus_than_it_has() -> None:
    slots, taken, peaks = _Slots(), [0], []
    guard = threading.Lock()

    def occupy(wanted: int) -> None:
        with slots.held(wanted, 4):
            with guard:
                taken[0] += min(wanted, 4)
                peaks.append(taken[0])
            with guard:
                taken[0] -= min(wanted, 4)

    threads = [threading.Thread(target=occupy, args=(wanted,)) for wanted in (1, 2, 3, 9) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(peaks) == 32  # also those that want more than there is get their turn
    assert max(peaks) <= 4
