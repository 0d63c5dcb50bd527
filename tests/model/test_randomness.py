"""Values about chance, as records of every age hold them."""

from __future__ import annotations

import msgspec

from reproof.model.randomness import EntropyDraw, RandomnessSection


def test_a_record_from_before_draws_were_told_apart() -> None:
    old = b'{"seed":42,"unseeded":[{"what":"numpy.random.default_rng()","where":"${PROJECT}/a.py:3"}]}'
    section = msgspec.json.decode(old, type=RandomnessSection)
    (draw,) = section.unseeded
    assert (draw.control, draw.by, section.entropy) == ("uncontrolled", "", "record")


def test_what_is_usual_is_not_written() -> None:
    section = RandomnessSection(unseeded=(EntropyDraw(what="os.urandom()", where="a.py:1"),))
    assert msgspec.json.encode(section) == b'{"unseeded":[{"what":"os.urandom()","where":"a.py:1"}]}'
