"""Conformance suites for parts that other distributions add; ours pass them too.

A comparator of your own::

    from reproof.testing import check_comparator

    def test_it(tmp_path):
        check_comparator(MyComparator(), [make_one(tmp_path), make_another(tmp_path)])
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import msgspec

from reproof.compare import new_context
from reproof.compare.protocol import Comparator, ContentError, Context, Limits, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

#: From strict to anything goes; outcomes may only get better along it.
_TOLERANCES = (
    EXACT,
    Tolerance(ulp=1),
    Tolerance(rtol=1e-9, ulp=4),
    Tolerance(rtol=0.1, atol=0.1, ulp=1 << 20),
    Tolerance(rtol=float("inf"), atol=float("inf"), ulp=1 << 62),
)
_CUTS = 12
_FLIPS = 24


def check_comparator(comparator: Comparator, samples: Sequence[Path]) -> None:
    """Check that `comparator` keeps the promises of its protocol.

    Each sample equals itself; outcomes are symmetric, honest about bytes and values of JSON; a
    wider tolerance never worsens; damaged, foreign, empty and missing content raises nothing but
    ContentError (OSError where there is nothing to open); limits are kept.

    Args:
        comparator: An instance.
        samples: Valid files (or folders) of its kind, the more different the better.

    Raises:
        AssertionError: A promise is broken; the message says which, and for which sample.
    """
    _require(bool(samples), "there are no samples")
    name = comparator.name
    _require(bool(name) and name == name.strip().lower(), f"the name is one lower-case word, not {name!r}")
    with tempfile.TemporaryDirectory(prefix="reproof-check-") as folder:
        check = _Check(comparator, Path(folder))
        for sample in samples:
            check.itself(sample)
            check.nothing_there(sample)
            if sample.is_file():
                check.damage(sample)
        for one, two in permutations(samples, 2):
            check.pair(one, two)


@dataclass(frozen=True)
class _Check:
    comparator: Comparator
    folder: Path

    def itself(self, sample: Path) -> None:
        """A copy is recognised, and the same."""
        copy = self.folder / "copy" / sample.name
        copy.parent.mkdir(exist_ok=True)
        if sample.is_dir():
            shutil.copytree(sample, copy, symlinks=True)
        else:
            shutil.copyfile(sample, copy)
        one, two = Source.of(sample), Source.of(copy)
        _require(self.comparator.recognizes(one, two), f"`{sample.name}` is not recognised")
        whole = compare_sources(one, two, "it", new_context(one, two))
        _require(whole.outcome is Outcome.IDENTICAL, f"`{sample.name}` is not identical to its copy: {whole}")
        found = self._compare(one, two)
        _require(
            found is not None and found.outcome <= Outcome.EQUIVALENT,
            f"`{sample.name}` is not equivalent to its copy: {found}",
        )
        shutil.rmtree(copy.parent)

    def pair(self, one: Path, two: Path) -> None:
        """Two samples come out alike both ways round, and not identical unless their bytes are."""
        sides = Source.of(one), Source.of(two)
        if not self.comparator.recognizes(*sides):
            return
        turned = sides[1], sides[0]
        _require(self.comparator.recognizes(*turned), f"recognised only as {one.name}, {two.name}")
        there, back = self._compare(*sides), self._compare(*turned)
        if there is None or back is None:
            _require(there is back, f"unreadable only one way round: {one.name}, {two.name}")
            return
        _require(
            there.outcome is back.outcome,
            f"not symmetric: {one.name}, {two.name}: {there.outcome.word}, back {back.outcome.word}",
        )
        if one.is_file() and two.is_file() and one.read_bytes() != two.read_bytes():
            whole = compare_sources(*sides, "it", new_context(*sides))
            _require(
                whole.outcome is not Outcome.IDENTICAL, f"other bytes are identical: {one.name}, {two.name}"
            )
        self._tolerances(*sides)

    def damage(self, sample: Path) -> None:
        """Damaged copies get an answer, and are never identical to the sample."""
        whole = Source.of(sample)
        for number, data in enumerate(_damaged(sample.read_bytes())):
            path = self.folder / f"{number}-{sample.name}"
            path.write_bytes(data)
            damaged = Source.of(path)
            memory = Source(name=path.name, data=data)
            for sides in ((whole, damaged), (damaged, whole), (damaged, memory)):
                self._answers(sides, "recognizes")
                found = self._compare(*sides)
                same = damaged in sides and whole not in sides
                if found is not None and not same and data != sample.read_bytes():
                    checked = compare_sources(*sides, "it", new_context(*sides))
                    _require(checked.outcome is not Outcome.IDENTICAL, f"damage is identical: {path.name}")
            path.unlink()

    def nothing_there(self, sample: Path) -> None:
        """A file that is gone gets an answer, or an OSError."""
        gone = Source(name=sample.name, path=self.folder / "gone" / sample.name)
        for sides in ((Source.of(sample), gone), (gone, Source.of(sample))):
            self._answers(sides, "recognizes")
            self._answers(sides, "compare")

    def _answers(self, sides: tuple[Source, Source], what: str) -> None:
        """It answers, or says that there is nothing to read."""
        try:
            if what == "recognizes":
                self.comparator.recognizes(*sides)
            else:
                self.comparator.compare(*sides, "it", _context(*sides))
        except (ContentError, OSError):
            pass
        except Exception as error:
            raise AssertionError(
                f"`{what}` raises {error!r} for `{sides[0].name}`, `{sides[1].name}`"
            ) from error

    def _compare(self, one: Source, two: Source, tolerance: Tolerance = EXACT) -> Difference | None:
        """The comparator's own answer, checked for form; None when it says that it cannot read."""
        context = new_context(one, two, tolerance=tolerance)
        try:
            found = self.comparator.compare(one, two, "it", context)
        except ContentError:
            return None
        except Exception as error:
            raise AssertionError(f"`compare` raises {error!r} for `{one.name}`, `{two.name}`") from error
        _require(found.subject == "it", f"the subject became {found.subject!r}")
        for node in found.walk():
            worst = Outcome.worst(child.outcome for child in node.children)
            _require(node.outcome >= worst, f"`{node.subject}` is better than its parts: {node.summary}")
            _require(
                bool(node.summary) and "\n" not in node.summary, f"`{node.subject}` has no one-line summary"
            )
        if found.outcome is Outcome.EQUIVALENT:
            _require(
                bool(found.canonicalisations), f"equivalent without a name for what was set aside: {found}"
            )
        try:
            msgspec.json.encode(found)
        except (msgspec.EncodeError, TypeError, UnicodeEncodeError) as error:
            raise AssertionError(f"evidence is not made of JSON values: {error}") from error
        return found

    def _tolerances(self, one: Source, two: Source) -> None:
        best = Outcome.DIFFERENT
        for tolerance in _TOLERANCES:
            found = self._compare(one, two, tolerance)
            if found is None:
                return
            _require(
                found.outcome <= best, f"a wider tolerance made it worse: {one.name}, {two.name}, {tolerance}"
            )
            best = found.outcome
        small = new_context(
            one, two, limits=Limits(max_bytes_in_memory=64, max_expanded_bytes=64, max_values=8)
        )
        try:
            self.comparator.compare(one, two, "it", small)
        except ContentError:
            pass


def _context(one: Source, two: Source) -> Context:
    """A context for two sides of which one may be missing."""
    there = one if one.path is not None and one.path.exists() else two
    return new_context(there, there)


def _damaged(data: bytes) -> Iterator[bytes]:
    """Versions of a file as they are met: cut off, empty, of another kind, with single bits flipped."""
    size = len(data)
    yield b""
    for number in range(_CUTS):
        yield data[: size * number // _CUTS]
    yield from (data[: size - 1], data + b"\0", data + data, b"\0" * size, data[::-1], b"\xff\xfe" + data)
    for number in range(_FLIPS):
        place = (number * 2654435761 + 7) % max(size, 1)  # spread, and the same each time
        yield (
            data[:place]
            + bytes(byte ^ (1 << number % 8) for byte in data[place : place + 1])
            + data[place + 1 :]
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
