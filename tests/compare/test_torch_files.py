"""PyTorch files, read without PyTorch: tensors, storages, both formats."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_samples import FILES

from reproof.compare import compare
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Tolerance


def subjects(found: Difference) -> list[str]:
    return [part.subject for part in found.children]


def members_of(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(FILES / name) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.mark.parametrize(
    "kind", ["state_{}.pt", "full_{}.ckpt", "script_{}.pt", "old_{}.pt", "module_{}.pkl"]
)
def test_one_seed_twice_and_another_seed(kind: str) -> None:
    one, two, other = (FILES / kind.format(name) for name in "abc")
    assert compare(one, two).outcome is Outcome.EQUIVALENT
    found = compare(one, other)
    assert found.outcome is Outcome.DIFFERENT
    assert any("weight" in subject for subject in subjects(found))


def test_the_name_of_the_file_is_set_aside_by_name() -> None:
    found = compare(FILES / "state_a.pt", FILES / "state_b.pt")
    assert found.canonicalisations == ("name of the torch archive",)


def test_tensors_of_a_checkpoint_are_named() -> None:
    names = subjects(compare(FILES / "full_a.ckpt", FILES / "full_c.ckpt"))
    assert "['model']['0.weight']" in names
    assert "['optimizer']['state'][0]['exp_avg']" in names


def test_numbers_within_a_tolerance_are_close(tmp_path: Path) -> None:
    members = members_of("state_a.pt")
    name = "state_a/data/0"
    values = np.frombuffer(members[name], "<f4").copy()
    values[0] = np.nextafter(values[0], np.float32(9))
    other = packed(tmp_path / "x.pt", {**members, name: values.tobytes()})
    found = compare(FILES / "state_a.pt", other)
    assert (found.outcome, subjects(found)) == (Outcome.DIFFERENT, ["['0.weight']"])
    assert found.children[0].evidence["max_ulp"] == 1
    assert compare(FILES / "state_a.pt", other, tolerance=Tolerance(ulp=1)).outcome is Outcome.CLOSE


@pytest.mark.parametrize(
    ("name", "aside"),
    [
        (".data/serialization_id", "torch serialization id"),
        ("version", "version of the torch archive"),
        (".format_version", "version of the torch archive"),
    ],
)
def test_housekeeping_is_set_aside_by_name(tmp_path: Path, name: str, aside: str) -> None:
    members = members_of("state_a.pt")
    other = packed(tmp_path / "x.pt", {**members, f"state_a/{name}": b"9"})
    found = compare(packed(tmp_path / "y.pt", members), other)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, (aside,))


def test_a_member_of_the_same_name_elsewhere_is_content(tmp_path: Path) -> None:
    members = members_of("state_a.pt")
    one = packed(tmp_path / "x.pt", {**members, "state_a/extra/version": b"1"})
    two = packed(tmp_path / "y.pt", {**members, "state_a/extra/version": b"2"})
    found = compare(one, two)
    assert (found.outcome, subjects(found)) == (Outcome.DIFFERENT, ["extra/version"])
    assert compare(one, packed(tmp_path / "z.pt", members)).outcome is Outcome.DIFFERENT


def test_byte_order_is_set_aside_by_name(tmp_path: Path) -> None:
    members = members_of("state_a.pt")
    turned = {
        name: np.frombuffer(data, "<f4").astype(">f4").tobytes()
        if "/data/" in name and ".data" not in name
        else data
        for name, data in members.items()
    }
    turned["state_a/byteorder"] = b"big"
    found = compare(packed(tmp_path / "x.pt", members), packed(tmp_path / "y.pt", turned))
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("byte order of arrays",))


def tensor_file(
    path: Path, storages: dict[str, bytes], tensors: list[tuple[Any, ...]], root: str = "a"
) -> Path:
    """A file with a list of float32 tensors, each (storage, offset, shape, strides)."""
    body = b"\x80\x02("
    for key, offset, shape, strides in tensors:
        count = len(storages[key]) // 4
        body += b"ctorch._utils\n_rebuild_tensor_v2\n((" + _text("storage") + b"ctorch\nFloatStorage\n"
        body += _text(key) + _text("cpu") + _number(count) + b"tQ" + _number(offset)
        body += b"(" + b"".join(map(_number, shape)) + b"t(" + b"".join(map(_number, strides)) + b"t"
        body += b"\x89ccollections\nOrderedDict\n)RtR"
    members = {f"{root}/data.pkl": body + b"l.", f"{root}/byteorder": b"little"}
    return packed(path, {**members, **{f"{root}/data/{key}": data for key, data in storages.items()}})


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


GRID = np.arange(6, dtype="<f4")


def test_strides_are_how_and_not_what(tmp_path: Path) -> None:
    straight = tensor_file(tmp_path / "x.pt", {"0": GRID.tobytes()}, [("0", 0, (2, 3), (3, 1))])
    turned = GRID.reshape(2, 3).T.copy().tobytes()
    other = tensor_file(tmp_path / "y.pt", {"0": turned}, [("0", 0, (2, 3), (1, 2))])
    found = compare(straight, other)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("encoding of arrays",))
    wrong = tensor_file(tmp_path / "z.pt", {"0": GRID.tobytes()}, [("0", 0, (2, 3), (1, 2))])
    assert compare(straight, wrong).outcome is Outcome.DIFFERENT


def test_what_no_tensor_shows_is_content_of_the_file(tmp_path: Path) -> None:
    one = tensor_file(tmp_path / "x.pt", {"0": GRID.tobytes()}, [("0", 1, (2,), (1,))])
    hidden = GRID.copy()
    hidden[5] = 9
    two = tensor_file(tmp_path / "y.pt", {"0": hidden.tobytes()}, [("0", 1, (2,), (1,))])
    found = compare(one, two)
    assert (found.outcome, subjects(found)) == (Outcome.DIFFERENT, ["[0].storage"])


def test_shared_storages_are_not_equal_copies(tmp_path: Path) -> None:
    data = GRID.tobytes()
    shared = tensor_file(tmp_path / "x.pt", {"0": data}, [("0", 0, (6,), (1,))] * 2)
    apart = tensor_file(
        tmp_path / "y.pt", {"0": data, "1": data}, [("0", 0, (6,), (1,)), ("1", 0, (6,), (1,))]
    )
    found = compare(shared, apart)
    assert found.outcome is Outcome.DIFFERENT
    assert "shared" in found.summary


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (5, (2,), (1,)),
        (0, (7,), (1,)),
        (0, (2, 2), (4, 4)),
        (0, (1 << 30, 1 << 30), (0, 0)),
        (0, (2,), (1, 1)),
    ],
)
def test_tensors_beyond_their_storage(tmp_path: Path, offset: int, shape: Any, strides: Any) -> None:
    good = tensor_file(tmp_path / "x.pt", {"0": GRID.tobytes()}, [("0", 0, (6,), (1,))])
    bad = tensor_file(tmp_path / "y.pt", {"0": GRID.tobytes()}, [("0", offset, shape, strides)])
    assert compare(good, bad).outcome in (Outcome.UNKNOWN, Outcome.DIFFERENT)


def test_missing_and_short_storages_are_unknown(tmp_path: Path) -> None:
    members = members_of("state_a.pt")
    short = packed(tmp_path / "x.pt", {**members, "state_a/data/0": members["state_a/data/0"][:-4]})
    assert compare(FILES / "state_a.pt", short).outcome is Outcome.UNKNOWN
    gone = {name: data for name, data in members.items() if name != "state_a/data/0"}
    assert compare(FILES / "state_a.pt", packed(tmp_path / "y.pt", gone)).outcome is Outcome.UNKNOWN


def test_a_damaged_storage_is_seen_by_its_sum(tmp_path: Path) -> None:
    data = bytearray((FILES / "state_a.pt").read_bytes())
    data[data.index(members_of("state_a.pt")["state_a/data/0"])] ^= 1
    (tmp_path / "x.pt").write_bytes(data)
    found = compare(FILES / "state_a.pt", tmp_path / "x.pt")
    assert found.outcome is Outcome.UNKNOWN
    assert "damaged" in found.summary


def test_keys_of_the_old_format_are_set_aside() -> None:
    found = compare(FILES / "old_a.pt", FILES / "old_b.pt")
    assert found.canonicalisations == ("torch storage keys",)


@pytest.mark.parametrize("cut", [1, 100, 300, 500, 700, 873])
def test_old_files_that_are_cut_are_unknown(tmp_path: Path, cut: int) -> None:
    (tmp_path / "x.pt").write_bytes((FILES / "old_a.pt").read_bytes()[:cut])
    assert compare(FILES / "old_a.pt", tmp_path / "x.pt").outcome in (Outcome.UNKNOWN, Outcome.DIFFERENT)


def test_script_code_is_compared_as_text(tmp_path: Path) -> None:
    members = members_of("script_a.pt")
    name = next(name for name in members if name.endswith("linear.py"))
    changed = {**members, name: members[name].replace(b"weight", b"height")}
    found = compare(packed(tmp_path / "x.pt", members), packed(tmp_path / "y.pt", changed))
    assert (found.outcome, [part.kind for part in found.children]) == (Outcome.DIFFERENT, ["text"])


def test_types_of_all_kinds_are_read(tmp_path: Path) -> None:
    members = members_of("types_a.pt")
    again = packed(tmp_path / "x.pt", members)
    assert compare(FILES / "types_a.pt", again).outcome is Outcome.EQUIVALENT
    for name, data in members.items():
        if "/data/" in name and data and ".data" not in name:
            flipped = bytes([data[0] ^ 1]) + data[1:]
            found = compare(FILES / "types_a.pt", packed(tmp_path / "y.pt", {**members, name: flipped}))
            assert found.outcome is Outcome.DIFFERENT, name


def test_a_gadget_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    command = f"touch {bait}".encode()
    members = {
        "a/data.pkl": b"\x80\x02cos\nsystem\nX" + struct.pack("<I", len(command)) + command + b"\x85R."
    }
    one = packed(tmp_path / "x.pt", members)
    two = packed(tmp_path / "y.pt", {"a/data.pkl": members["a/data.pkl"].replace(b"touch", b"xouch")})
    assert compare(one, two).outcome is Outcome.DIFFERENT
    assert not bait.exists()


TRAIN = """\
import sys
import torch
name, seed = sys.argv[1], int(sys.argv[2])
torch.manual_seed(seed)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(3):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).pow(2).mean().backward()
    optimizer.step()
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, name)
"""


@pytest.mark.frameworks
@pytest.mark.needs("torch")
def test_trainings_in_two_processes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.pt" for name in ("one", "two", "three")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        subprocess.run([sys.executable, "-c", TRAIN, str(path), str(seed)], check=True)
    assert compare(paths[0], paths[1]).outcome is Outcome.EQUIVALENT
    assert "['model']['0.weight']" in subjects(compare(paths[0], paths[2]))
