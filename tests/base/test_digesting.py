"""Digests against hashlib and blake3 themselves, for every size at which the way of reading changes."""

from __future__ import annotations

import hashlib
import os
import threading
from itertools import count, islice
from pathlib import Path

import blake3
import pytest

from reproof.base.digesting import digest_bytes, digest_file, digest_files, in_pool

SIZES = (
    0,
    1,
    511,
    513,
    (1 << 15) - 1,
    1 << 15,
    (1 << 15) + 1,
    (1 << 20) - 1,
    1 << 20,
    (1 << 22) - 1,
    1 << 22,
    (1 << 22) + 1,
)


@pytest.mark.parametrize("size", SIZES)
def test_every_way_of_reading_gives_the_same_digests(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    place = tmp_path / "file"
    place.write_bytes(data)
    expected = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "blake3": blake3.blake3(data).hexdigest(),
        "md5": hashlib.md5(data).hexdigest(),
    }
    assert digest_file(place, expected) == expected
    assert digest_bytes(data, expected) == expected
    assert digest_file(str(place)) == {"blake3": expected["blake3"]}


def test_line_ends_count_as_dvc_2_counts_them(tmp_path: Path) -> None:
    text, binary = tmp_path / "text", tmp_path / "binary"
    text.write_bytes(b"a\r\nb\r\n")
    binary.write_bytes(b"\0a\r\nb\r\n")
    assert digest_file(text, ["md5-dos2unix"])["md5-dos2unix"] == hashlib.md5(b"a\nb\n").hexdigest()
    assert (
        digest_file(binary, ["md5-dos2unix"])["md5-dos2unix"] == hashlib.md5(binary.read_bytes()).hexdigest()
    )
    long = tmp_path / "long"
    long.write_bytes(b"line\r\n" * 400_000)
    # DVC 2 reads in pieces of 1 MiB, and so leaves a line end that lies across two of them as it is
    pieces = b"".join(
        long.read_bytes()[at : at + (1 << 20)].replace(b"\r\n", b"\n") for at in range(0, 2_400_000, 1 << 20)
    )
    assert digest_file(long, ["md5-dos2unix"])["md5-dos2unix"] == hashlib.md5(pieces).hexdigest()


def test_files_that_say_they_are_empty_are_read_to_their_end() -> None:
    assert digest_file("/proc/self/cmdline")["blake3"] != blake3.blake3(b"").hexdigest()


def test_many_files_come_in_order_and_a_bad_one_stops_nothing(tmp_path: Path) -> None:
    paths = []
    for number in range(300):
        place = tmp_path / str(number)
        place.write_bytes(str(number).encode())
        paths.append(str(place))
    paths.insert(150, str(tmp_path / "absent"))
    paths.insert(200, str(tmp_path))
    found = list(digest_files(paths))
    assert isinstance(found[150], FileNotFoundError)
    assert isinstance(found[200], IsADirectoryError)
    numbers = [each["blake3"] for each in found if isinstance(each, dict)]
    assert numbers == [blake3.blake3(str(number).encode()).hexdigest() for number in range(300)]


def test_the_pool_is_never_far_ahead_and_can_be_left() -> None:
    taken = []
    lock = threading.Lock()

    def take(number: int) -> int:
        with lock:
            taken.append(number)
        return number

    endless = in_pool(take, count())
    assert list(islice(endless, 10)) == list(range(10))
    endless.close()
    assert len(taken) < 5_000


def test_what_the_function_raises_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_pool(lambda number: 1 // (number - 500), range(1000)))
