from __future__ import annotations

import os

import blake3

from reproof.execute.streams import Stream


def test_without_echo_the_child_writes_the_log_itself(tmp_path):
    stream = Stream(tmp_path / "log", None, terminal=False)
    assert stream.reads_from is None
    os.write(stream.child_end, b"data")
    stream.started()
    output = stream.close()
    assert (output.size, output.digest) == (4, blake3.blake3(b"data").hexdigest())


def test_a_terminal_changes_no_byte(tmp_path):
    reading, writing = os.pipe()
    stream = Stream(tmp_path / "log", writing, terminal=True)
    os.write(stream.child_end, b"a\nb\r\n\tc")
    stream.drain()
    assert os.read(reading, 100) == b"a\nb\r\n\tc"
    stream.started()
    assert not stream.pump()
    assert stream.close().size == 7
    assert (tmp_path / "log").read_bytes() == b"a\nb\r\n\tc"
    os.close(reading)
    os.close(writing)


def test_nothing_to_read_is_not_the_end():
    reading, writing = os.pipe()
    stream = Stream(None, writing, terminal=False)
    assert stream.pump()
    stream.started()
    assert not stream.pump()
    assert stream.close().path is None
    os.close(reading)
    os.close(writing)
