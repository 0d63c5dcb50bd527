"""The pickle machine against Python's own, and against hostile pickles."""

from __future__ import annotations

import pickle
import pickletools
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import plain_tree

from reproof.compare import compare, new_context
from reproof.compare.pickles.machine import Machine
from reproof.compare.pickles.nodes import Call, Global, Mapping, Raw, Sequence, plain_bytes
from reproof.compare.protocol import ContentError, LimitError, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome

MILLION = 1_000_000


def machine(data: bytes) -> Machine:
    return Machine(memoryview(data), lambda: None)


def read(data: bytes) -> Any:
    return machine(data).read()[0]


def both(one: bytes, two: bytes) -> Difference:
    sides = Source(name="a.pkl", data=one), Source(name="a.pkl", data=two)
    return compare_sources(*sides, "a.pkl", new_context(*sides))


def rebuilt(node: Any) -> Any:
    """What Python would make of a tree of plain values."""
    if isinstance(node, Raw):
        data = bytes(node.data)
        return data.decode("utf-8", "surrogatepass") if node.kind == "text" else data
    if isinstance(node, Sequence):
        items = [rebuilt(item) for item in node.items]
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[node.kind](items)
    if isinstance(node, Mapping):
        return {rebuilt(key): rebuilt(value) for key, value in node.pairs}
    if isinstance(node, Call):
        data = plain_bytes(node)
        if data is not None:
            return bytes(data)
        assert isinstance(node.callee, Global)
        assert node.callee.path in ("builtins.set", "builtins.frozenset")
        return {"set": set, "frozenset": frozenset}[node.callee.name](rebuilt(node.arguments.items[0]))
    return node


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.sets(st.integers() | st.text()) | st.frozensets(st.binary()),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PLAIN, st.sampled_from(range(6)))
def test_reads_what_python_reads(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    reader = machine(data)
    root, end = reader.read()
    assert rebuilt(root) == pickle.loads(data)
    assert (end, reader.anomalies, reader.protocol) == (len(data), [], protocol if protocol > 1 else 0)


@pytest.mark.parametrize("protocol", range(6))
def test_optimised_pickles_are_read_too(protocol: int) -> None:
    data = pickletools.optimize(pickle.dumps([plain_tree()], protocol))
    reader = machine(data)
    reader.read()
    assert reader.anomalies == []


def test_pickles_of_python_2() -> None:
    assert bytes(read(b"S'caf\\xc3\\xa9'\np0\n.").data) == b"caf\xc3\xa9"
    assert bytes(read(b"\x80\x02U\x03abcq\x00.").data) == b"abc"
    assert bytes(read(b"T\x03\x00\x00\x00abc.").data) == b"abc"
    assert read(b"\x80\x02c__builtin__\nxrange\n.").path == "builtins.range"
    assert read(b"L123L\n.") == 123
    made = read(b"(i__main__\nOld\np0\n(dp1\nS'a'\nI1\nsb.")
    assert (made.kind, made.callee.path, len(made.states)) == ("new", "__main__.Old", 1)


EVERY_POSITION = pickle.dumps(plain_tree(), 5)


def test_a_pickle_cut_anywhere_is_unknown() -> None:
    for length in range(1, len(EVERY_POSITION)):
        with pytest.raises(ContentError):
            read(EVERY_POSITION[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b".",
        b"\x80\x06N.",
        b"\x80\x04",
        b"N\x80\x04.",
        b"(N.",
        b"NN.",
        b"0.",
        b"t.",
        b"a.",
        b"Na.",
        b"NNb.",
        b"N(Ne.",
        b"N(Nu.",
        b"}(Nu.",
        b"h\x01.",
        b"g7\n.",
        b"R.",
        b"NNR",
        b"\x85.",
        b"\x87.",
        b"N\x86.",
        b"I12 \n.",
        b"I1_0\n.",
        b"I" + b"9" * 5000 + b"\n.",
        b"F1.0 \n.",
        b"Fx\n.",
        b"S'abc\n.",
        b"Sabc\n.",
        b"T\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\xff.",
        b"\x8e" + b"\xff" * 8 + b".",
        b"X\xff\xff\xff\xff.",
        b"X\x02\x00\x00\x00\xff\xfe.",
        b"Vabc",
        b"cnumpy\n",
        b"c\xff\n\xff\n.",
        b"K\x01K\x02\x93.",
        b"(o.",
        b"o.",
        b"N\x98.",
        b"P\xff\n.",
        b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00\x95\x00\x00\x00\x00\x00\x00\x00\x00N.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
        b"\x80\x04\x95\x09\x00\x00\x00\x00\x00\x00\x00N.",
    ],
)
def test_what_is_no_pickle_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        read(data)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x80\x02]q\x05.", "memo number 5"),
        (b"\x80\x02\x8c\x01a.", "protocol 4 in protocol 2"),
        (b"\x80\x01N.", "no opcode to say so"),
        (b"\x80\x02\x8a\x02\x01\x00.", "more digits"),
        (b"\x80\x04\x95\x01\x00\x00\x00\x00\x00\x00\x00N0N0N.", "outside of frames"),
    ],
)
def test_what_no_pickler_writes_is_noted(data: bytes, word: str) -> None:
    reader = machine(data)
    reader.read()
    assert word in "; ".join(reader.anomalies)


GADGET = """\
import sys
from pathlib import Path
from reproof.compare import compare
one, two, bait = map(Path, sys.argv[1:])
before = set(sys.modules)
print(compare(one, two).outcome.word)
assert not bait.exists()
assert "antigravity" not in sys.modules
assert "this" not in sys.modules
"""


def test_nothing_is_imported_and_nothing_is_called(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    command = f"touch {bait}".encode()
    call = b"cos\nsystem\n(X" + struct.pack("<I", len(command)) + command + b"tR"
    imports = b"cantigravity\nfly\n0cthis\ns\n0"
    one, two = tmp_path / "one.pkl", tmp_path / "two.pkl"
    one.write_bytes(b"\x80\x02" + imports + call + b".")
    two.write_bytes(b"\x80\x02" + imports + call + b"0" + call + b".")
    done = subprocess.run(
        [sys.executable, "-c", GADGET, str(one), str(two), str(bait)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "different\n", "")


def test_calls_whose_result_is_thrown_away_are_content() -> None:
    one, two = (
        b"\x80\x02cos\nremove\nX\x01\x00\x00\x00a\x85R0N.",
        b"\x80\x02cos\nremove\nX\x01\x00\x00\x00b\x85R0N.",
    )
    found = both(one, two)
    assert (found.outcome, found.children[0].subject) == (Outcome.DIFFERENT, "(effect 0)(0)")
    assert both(one, b"\x80\x02N.").outcome is Outcome.DIFFERENT


DEEP = {
    "tuples": (b")" + b"\x85" * MILLION, b"]" + b"\x85" * MILLION, Outcome.DIFFERENT),
    "lists": (
        b"]" * MILLION + b"a" * (MILLION - 1),
        b"]" * MILLION + b"a" * (MILLION - 1),
        Outcome.EQUIVALENT,
    ),
    "dicts": (b"}" + b"K\x01}" * 100_000 + b"s" * 100_000,) * 2 + (Outcome.EQUIVALENT,),
    "calls": (b"cos\nsystem\n" + b")R" * 100_000,) * 2 + (Outcome.EQUIVALENT,),
    "ids": (b"K\x01" + b"Q" * 100_000, b"K\x02" + b"Q" * 100_000, Outcome.DIFFERENT),
    "marks": (b"(" * MILLION, b"(" * MILLION, Outcome.UNKNOWN),
    "sets": (b"\x8f(" + b"(K\x01" * 700_000 + b"\x91" * 700_000 + b"\x90",) * 2 + (Outcome.UNKNOWN,),
    "copies": (b"(K\x01" + b"2" * MILLION + b"l", b"(K\x02" + b"2" * MILLION + b"l", Outcome.DIFFERENT),
    "many": (b"N." * MILLION + b"N", b"N." * MILLION + b"K\x01", Outcome.UNKNOWN),
    "wide": (b"(" + b"]" * 5 * MILLION + b"l", b"(" + b"]" * 5 * MILLION + b"l", Outcome.UNKNOWN),
}

MEASURED = """\
import sys
from pathlib import Path
from reproof.compare import compare
found = compare(*map(Path, sys.argv[1:]))
# not ru_maxrss: that is inherited from the process that started this one
facts = dict(line.split(":") for line in open("/proc/self/status"))
print(found.outcome.word, int(facts["VmHWM"].split()[0]) // 1024)
"""


@pytest.mark.parametrize("name", DEEP)
def test_bombs_cost_no_more_than_the_limits(name: str, tmp_path: Path) -> None:
    one, two, outcome = DEEP[name]
    (tmp_path / "one.pkl").write_bytes(b"\x80\x04" + one + b".")
    (tmp_path / "two.pkl").write_bytes(b"\x80\x05" + two + b".")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "one.pkl"), str(tmp_path / "two.pkl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    word, memory = done.stdout.split()
    assert (word, int(memory) < 1024) == (outcome.word, True)


def test_references_to_references_are_compared_once() -> None:
    # each list holds the one before twice: 2 ** 200 paths lead to the first
    levels = b"".join(b"(h" + bytes([level]) + b"h" + bytes([level]) + b"l\x94" for level in range(200))
    body = b"(]\x94" + levels + b"1h\xc8."
    found = both(b"\x80\x04" + body, b"\x80\x05" + body)
    assert found.outcome is Outcome.EQUIVALENT


def test_memory_of_one_tree_is_limited() -> None:
    with pytest.raises(LimitError, match="more objects"):
        read(b"\x80\x04(" + b"]" * 3 * MILLION + b"l.")


def test_time_is_limited() -> None:
    def late() -> None:
        raise LimitError("the comparison takes longer than its time limit")

    with pytest.raises(LimitError):
        Machine(memoryview(b"\x80\x04" + b"N0" * 100_000 + b"N."), late).read()


def test_an_empty_and_a_foreign_file(tmp_path: Path) -> None:
    for name, data in {"empty.pkl": b"", "text.pkl": b"just text", "zip.pkl": b"PK\x03\x04"}.items():
        (tmp_path / name).write_bytes(data)
        (tmp_path / "good.pkl").write_bytes(pickle.dumps([1], 4))
        for sides in ((tmp_path / name, tmp_path / "good.pkl"), (tmp_path / "good.pkl", tmp_path / name)):
            assert compare(*sides).outcome in (Outcome.DIFFERENT, Outcome.UNKNOWN)
