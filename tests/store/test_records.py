"""Records are written once, found by anything a user may type, and never trusted unread."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from reproof.errors import RecordError, StoreError
from reproof.model.codec import encode, record_id
from reproof.model.difference import Outcome
from reproof.model.record import CodeSection, ProjectSection, Record, Tool
from reproof.model.verdict import Verdict
from reproof.store.records import RecordStore


def make(nonce: str, *, created: str = "2025-01-01T00:00:00+00:00", state: str = "finished") -> Record:
    return Record(
        tool=Tool(version="0"),
        state=state,
        created=created,
        nonce=nonce,
        project=ProjectSection(name="bikes", command="python train.py", entry_point="main"),
        code=CodeSection(commit="a" * 40, tree="b" * 40),
    )


def verdict(identity: str, word: str = "reproduced") -> Verdict:
    return Verdict(
        record=identity, created="2025-01-02", outcome=Outcome.IDENTICAL, word=word, reproduced=True
    )


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / ".reproof")


def test_round_trip_by_id(store: RecordStore) -> None:
    record = make("n1")
    identity = store.write(record)
    found = store.read(identity)
    assert found.record == record
    assert found.id == identity == record_id(found.path.read_bytes())
    assert store.write(record) == identity


def test_unfinished_record_is_replaced_at_the_end(store: RecordStore) -> None:
    place = store.begin(make("n1", state="unfinished"))
    assert store.read_unfinished(place).state == "unfinished"
    assert store.begin(make("n1", state="interrupted")) == place
    assert store.unfinished() == (place,)
    store.write(make("n1"))
    assert store.unfinished() == ()


def test_hostile_nonce_is_no_path(store: RecordStore) -> None:
    with pytest.raises(RecordError):
        store.begin(make("../../x"))


def test_last_is_the_newest_by_its_own_date(store: RecordStore) -> None:
    newer = store.write(make("n1", created="2025-03-01T00:00:00+00:00"))
    store.write(make("n2", created="2025-02-01T00:00:00+00:00"))
    assert store.find("last").id == newer
    assert [summary.created[:7] for summary in store.list()] == ["2025-03", "2025-02"]


def test_no_record_at_all(store: RecordStore, golden) -> None:
    with pytest.raises(RecordError) as caught:
        store.find("last")
    golden("store/no_record", caught.value)
    assert store.list() == ()


def test_only_an_unfinished_record(store: RecordStore, golden) -> None:
    store.begin(make("n1", state="unfinished"))
    with pytest.raises(RecordError) as caught:
        store.find("last")
    golden("store/only_unfinished", caught.value)


def test_found_by_prefix_of_record_and_run(store: RecordStore) -> None:
    first, second = store.write(make("n1")), store.write(make("n2"))
    store.write_tracking(first, {"run_id": "df8805c0" + "0" * 24, "uri": "sqlite:///x"})
    for text in (first, first[:10], first[:10].upper(), f"sha256:{first}", "df8805", "df8805c0" + "0" * 24):
        assert store.find(text).id == first
    assert store.find(first).run_id == "df8805c0" + "0" * 24
    assert store.find(second[:10]).run_id is None


def test_prefix_that_is_both_a_record_and_its_own_run(store: RecordStore) -> None:
    identity = store.write(make("n1"))
    store.write_tracking(identity, {"run_id": identity[:32]})
    assert store.find(identity[:8]).id == identity


def test_found_by_path_wherever_it_is(store: RecordStore, tmp_path: Path) -> None:
    identity = store.write(make("n1"))
    elsewhere = tmp_path / "record.json"
    elsewhere.write_bytes(store.read(identity).path.read_bytes())
    assert store.find(str(elsewhere)).id == identity
    assert RecordStore(tmp_path / "other").find(str(elsewhere)).record == make("n1")


def test_ambiguous_lists_the_candidates(store: RecordStore) -> None:
    ids = [store.write(make(f"n{i}", created=f"2025-01-{i + 1:02}")) for i in range(20)]
    store.write_tracking(ids[0], {"run_id": "d" * 32})
    letter = next(c for c in "0123456789abcdef" if sum(i.startswith(c) for i in ids) > 1)
    with pytest.raises(RecordError) as caught:
        store.find(letter)
    fitting = sorted((i for i in ids if i.startswith(letter)), key=ids.index, reverse=True)
    assert caught.value.message == f"`{letter}` is the beginning of {len(fitting)} records"
    assert [label for label, _ in caught.value.details] == [i[:12] for i in fitting[:10]]
    assert caught.value.hint == "give more characters"
    assert {text.split(", ")[1] for _, text in caught.value.details} == {"bikes"}


@pytest.mark.parametrize("text", ["", "zzzz", "ffffffffffff", "last ", "..", "*"])
def test_unknown(store: RecordStore, text: str) -> None:
    store.write(make("n1"))
    with pytest.raises(RecordError):
        store.find(text)


def test_unknown_says_what_may_be_meant(store: RecordStore, golden) -> None:
    identity = store.write(make("n1"))
    run = "df8805c0" * 4
    store.write_tracking(identity, {"run_id": run})
    with pytest.raises(RecordError) as caught:
        store.find("df8085c0")
    golden("store/unknown_run", caught.value)
    assert store.find(caught.value.hint.split("`")[1]).id == identity
    with pytest.raises(RecordError) as caught:
        store.find("0000000000")
    golden("store/unknown_record", caught.value)


def test_missing_file(store: RecordStore, tmp_path: Path, golden) -> None:
    with pytest.raises(RecordError) as caught:
        store.find(str(tmp_path / "nothing.json"))
    golden("store/missing_record_file", caught.value)


def test_tampered_record_is_refused_everywhere(store: RecordStore, golden) -> None:
    identity = store.write(make("n1"))
    place = store.read(identity).path
    place.write_bytes(place.read_bytes().replace(b"bikes", b"bicks"))
    for text in ("last", identity[:8], str(place)):
        with pytest.raises(RecordError) as caught:
            store.find(text)
        golden("store/tampered_record", caught.value)
    assert store.list()[0].trouble == "changed after it was written"


def test_truncated_record_is_refused_and_listed(store: RecordStore, golden) -> None:
    store.write(make("n0", created="2024-01-01"))
    identity = store.write(make("n1"))
    place = store.read(identity).path
    place.write_bytes(place.read_bytes()[:100])
    with pytest.raises(RecordError) as caught:
        store.find("last")
    golden("store/truncated_record", caught.value)
    assert [summary.trouble for summary in store.list()] == ["damaged", None]


def test_newer_schema_is_named(store: RecordStore, tmp_path: Path, golden) -> None:
    data = encode(make("n1")).replace(b"reproof/record/1", b"reproof/record/7")
    place = tmp_path / "record.json"
    place.write_bytes(data)
    with pytest.raises(RecordError) as caught:
        store.find(str(place))
    golden("store/newer_schema", caught.value)


def test_verdicts_count_up_and_nothing_is_overwritten(store: RecordStore) -> None:
    identity = store.write(make("n1"))
    before = store.read(identity).path.read_bytes()
    first = store.add_verdict(identity, verdict(identity))
    kept = first.read_bytes()
    store.add_verdict(identity, verdict(identity, "not reproduced"))
    assert first.read_bytes() == kept
    assert [each.word for each in store.verdicts(identity)] == ["reproduced", "not reproduced"]
    assert store.list()[0].verdict == "not reproduced"
    assert store.read(identity).path.read_bytes() == before
    for _ in range(10):
        last = store.add_verdict(identity, verdict(identity))
    assert last.name.endswith("verdict-12.json")
    assert len(store.verdicts(identity)) == 12


def test_two_processes_add_verdicts_at_once(store: RecordStore, tmp_path: Path) -> None:
    identity = store.write(make("n1"))
    (tmp_path / "verdict.json").write_bytes(encode(verdict(identity)))
    text = f"""
        from pathlib import Path
        from reproof.model.codec import decode_verdict
        from reproof.store.records import RecordStore
        value = decode_verdict(Path({str(tmp_path / "verdict.json")!r}).read_bytes(), where="")
        for _ in range(15):
            RecordStore(Path({str(store.folder)!r})).add_verdict({identity!r}, value)
    """
    command = [sys.executable, "-c", textwrap.dedent(text)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.wait(), process.stderr.read()) for process in running] == [(0, b"")] * 2
    assert len(store.verdicts(identity)) == 30
    assert all(place.suffix == ".json" for place in (store.folder / "records").iterdir())


def test_damaged_sidecar_does_no_harm(store: RecordStore) -> None:
    identity = store.write(make("n1"))
    store.write_tracking(identity, {"run_id": "d" * 32})
    for garbage in (b"", b"{", b"[]", b'{"run_id": 3}', b"\xff"):
        (store.folder / f"records/{identity}.mlflow.json").write_bytes(garbage)
        assert store.find(identity).run_id is None
        assert len(store.list()) == 1


def test_full_disk_keeps_what_was_there(store: RecordStore, tmp_path: Path, golden) -> None:
    record = make("n1")
    identity = store.write(record)
    unfinished = store.begin(make("n2", state="unfinished"))
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    big = msgspec.structs.replace(
        make("n2"), nonce="n2", project=ProjectSection(name="x", command="y" * 90_000)
    )
    (tmp_path / "big").write_bytes(encode(big))
    text = f"""
        import resource
        from pathlib import Path
        from reproof.errors import StoreError
        from reproof.model.codec import decode_record
        from reproof.store.records import RecordStore
        record = decode_record(Path({str(tmp_path / "big")!r}).read_bytes(), where="")
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        store = RecordStore(Path({str(store.folder)!r}))
        for write in (store.begin, store.write):
            try:
                write(record)
            except StoreError as error:
                print(error.message, dict(error.details)["reason"], error.hint, sep="\\n")
    """
    command = [sys.executable, "-c", textwrap.dedent(text)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    golden("store/full_disk_record", done.stdout)
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before
    assert store.read(identity).record == record
    assert unfinished.exists()


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        RecordStore(tmp_path / "file/.reproof").write(make("n1"))


def test_tracking_is_replaced_as_a_whole(store: RecordStore) -> None:
    identity = store.write(make("n1"))
    assert store.read_tracking(identity) is None
    store.write_tracking(identity, {"state": "deferred"})
    assert store.find(identity).run_id is None
    store.write_tracking(identity, {"run_id": "e" * 32})
    assert store.read_tracking(identity) == {"run_id": "e" * 32}
