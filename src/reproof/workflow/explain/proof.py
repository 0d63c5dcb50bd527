"""From the two controls to a proof: which groups, which factors within them, and both directions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from reproof.model.explanation import Came, Factor
from reproof.workflow.budget import SpentError
from reproof.workflow.explain.atoms import Atom, as_factors, likelihood
from reproof.workflow.explain.bench import Bench
from reproof.workflow.explain.search import Order, change_points, smallest

_CHAIN = "commit:"
_FAR = (1 << 30, True)  # the distance of atoms that are not parts of the same file
_PROOF = 2  # re-runs that a proof takes: the cause once more, and everything else without it
_BACK = 1  # of these, the second

#: What a mixture came out as, for people.
_WORDS = {
    "A": "gives the result of A",
    "B": "reproduces B",
    "other": "gives a third result",
    "unresolved": "does not run",
}


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown.

    Attributes:
        causes: The smallest set of factors; empty where nothing is proven.
        narrowed: What is left in question, where nothing is proven.
        evidence: What was shown, a line each.
        reason: Why nothing is proven.
    """

    causes: tuple[Factor, ...] = ()
    narrowed: tuple[Atom, ...] = ()
    evidence: tuple[str, ...] = ()
    reason: str = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the cause: all that has to be swapped for it, in either direction.

    Along a history these are more than the commits that are guilty: all up to the last of them, and all from
    the first of them on.

    Attributes:
        guilty: Ids of what is guilty.
        taken: Ids that are B's where A is turned into B.
        given: Ids that are A's where B is turned back into A.
    """

    guilty: frozenset[str]
    taken: frozenset[str]
    given: frozenset[str]


class Prover:
    """Searches for the cause with the re-runs of a bench, where A and B are known to come out as they did.

    Attributes:
        narrowed: The smallest mixture so far that has the result of B.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._every = bench.mixer.swappable
        self._atoms = sorted((each for each in bench.mixer.atoms if each.obstacle is None), key=likelihood)
        self.narrowed: frozenset[str] = self._every
        self._reserve = _PROOF  # re-runs that a search within files leaves for the proof of whole ones
        self._places: dict[str, tuple[str, ...]] = {}  # of guilty commits

    def prove(self) -> Proof:
        """Find the cause, and show it in both directions and once more.

        Raises:
            SpentError: The budget was spent; `narrowed` is what is left in question.
        """
        groups = self._groups()
        count = len(groups)
        self._reserve = _PROOF + (1 + count if count > 1 else 0)
        whole = [self._within(group, others) for group, others in groups]
        causes = self._divided(whole, [others for _, others in groups])
        if causes is None:
            causes = self._restoring(self._confirmed(whole))
        taken = _union(each.taken for each in causes)
        self._bench.ask([(taken, 0), (taken, 1), (self._without(causes), 0)])
        guilty = _union(each.guilty for each in causes)
        factors = self._factors(guilty)
        forth = [self._bench.came(taken, again) for again in (0, 1)]
        back = self._bench.came(self._without(causes))
        if forth != ["B", "B"] or back != "A":
            return self._unproven(factors, forth, back)
        return Proof(causes=factors, evidence=tuple(self._evidence(causes, factors)))

    def _groups(self) -> list[tuple[str, frozenset[str]]]:
        """The smallest set of groups that turns A into B, each with what of the others it is to be seen with."""
        members: dict[str, frozenset[str]] = {}  # in the order of the likeliest atom of each
        for each in self._atoms:
            members[each.group] = members.get(each.group, frozenset()) | {each.id}
        found = smallest(
            tuple(members),
            lambda tries: self._hold([_of(members, each) for each in tries]),
            self._bench.width,
        )
        self.narrowed = _of(members, found)
        return [(group, _of(members, [each for each in found if each != group])) for group in found]

    def _within(self, group: str, others: frozenset[str]) -> Cause:
        """The smallest part of a group that does what the whole group does, with the others there; files as wholes."""
        atoms = [each for each in self._atoms if each.group == group]
        if atoms[0].id.startswith(_CHAIN):
            return self._along(sorted(each.id for each in atoms), others)
        units: dict[str, frozenset[str]] = {}
        for each in atoms:
            units[each.unit] = units.get(each.unit, frozenset()) | {each.id}
        chosen = smallest(
            tuple(units),
            lambda tries: self._hold([_of(units, each) | others for each in tries]),
            self._bench.width,
        )
        # What its packages need of B besides belongs to it.
        ids = self._bench.mixer.grown(_of(units, chosen) | others) & {each.id for each in atoms}
        self.narrowed = self.narrowed & (ids | others)
        return Cause(guilty=ids, taken=ids, given=ids)

    def _divided(self, whole: Sequence[Cause], others: Sequence[frozenset[str]]) -> list[Cause] | None:
        """The smallest parts of the causes' files, and what restores A; None where the budget is enough only for files."""
        if not any(self._is_divisible(each) for each in whole):
            return None
        try:
            with self._bench.reserving(self._reserve):
                parts = [self._parts(cause, each) for cause, each in zip(whole, others, strict=True)]
                return self._restoring(self._confirmed(parts))
        except SpentError:
            return None

    def _is_divisible(self, cause: Cause) -> bool:
        return len(cause.guilty) > len({_unit(each) for each in cause.guilty})

    def _parts(self, whole: Cause, others: frozenset[str]) -> Cause:
        """The smallest parts of a cause's files that do what it does, with the others there.

        Raises:
            SpentError: The budget is not enough for that.
        """
        if not self._is_divisible(whole):
            return whole
        ids = sorted(whole.guilty)
        if not self._affords(len(ids), _BACK):
            raise SpentError
        order: Order = "places" if len({_unit(each) for each in ids}) == 1 else "none"
        found = frozenset(
            smallest(
                ids,
                lambda tries: self._hold([frozenset(each) | others for each in tries]),
                self._bench.width,
                order,
            )
        )
        self.narrowed = self.narrowed & (found | others)
        return Cause(guilty=found, taken=found, given=found)

    def _within_commit(self, commits: Sequence[str], others: frozenset[str]) -> tuple[str, ...]:
        """Where the last of `commits` does what it does; empty where that was not looked for."""
        parts = self._bench.mixer.code.parts_of_step(int(commits[-1].removeprefix(_CHAIN)))
        metric = self._bench.question.metric is not None
        unbound = metric and self._bench.runs_left is None
        if len(parts) > 1 and (unbound or not self._affords(len(parts), _PROOF)):
            return ()
        before = others.union(commits[:-1])
        # Files that the run does not read belong to the commit, too: they may be what matters.
        if len(parts) > 1 and not self._hold([before.union(parts)])[0]:
            return ()
        found = smallest(
            tuple(parts), lambda tries: self._hold([before.union(each) for each in tries]), self._bench.width
        )
        return tuple(parts[each] for each in found)

    def _affords(self, count: int, more: int) -> bool:
        """Whether the budget allows a search for one among so many parts of files, and some more re-runs after it."""
        left = self._bench.runs_left
        return left is None or count == 1 or left >= math.ceil(math.log2(count)) + 1 + more

    def _along(self, commits: Sequence[str], others: frozenset[str]) -> Cause:
        """The commits at which the result changes, by bisection."""
        labels: dict[int, str] = {}

        def label(count: int) -> str:
            labels[count] = self._bench.question.label(self._bench.facts(others.union(commits[:count])))
            return labels[count]

        points = change_points(len(commits), label)
        # What was changed and changed back, before or after, is no part of it.
        start = max(count for count, name in labels.items() if name == labels[0])
        end = min(count for count, name in labels.items() if count > start and name == labels[len(commits)])
        points = [point for point in points if start < point <= end]
        first, last = points[0], points[-1]
        self.narrowed = self.narrowed - set(commits[last:])
        if len(points) == 1:
            self._places[commits[first - 1]] = self._within_commit(commits[:first], others)
        return Cause(
            guilty=frozenset(commits[point - 1] for point in points),
            taken=frozenset(commits[:last]),
            given=frozenset(commits[first - 1 :]),
        )

    def _confirmed(self, causes: list[Cause]) -> list[Cause]:
        """The same, where all of them together still turn A into B and none can be left out; else what is known to."""
        taken = _union(each.taken for each in causes)
        if len(causes) > 1 and self._bench.came(taken) != "B":
            whole = self.narrowed
            return [Cause(guilty=whole, taken=whole, given=whole)]
        if len(taken) < len(self.narrowed):
            self.narrowed = taken
        for left in list(causes):
            rest = [each for each in causes if each is not left]
            if rest and self._hold([_union(each.taken for each in rest)])[0]:
                causes = rest
        return causes

    def _restoring(self, causes: list[Cause]) -> list[Cause]:
        """The causes, and what else has to be swapped back until A is restored.

        Of a file that is divided, the parts beside those that were found are the likeliest: a change may lie across
        the edge of two.
        """
        if self._bench.came(self._without(causes)) == "A":
            return causes
        known = _union(each.given for each in causes)
        atoms = [each for each in self._atoms if each.id not in known]
        near = {each.id: min((_distance(each.id, one) for one in known), default=_FAR) for each in atoms}
        order: Order = "likelihood" if any(each != _FAR for each in near.values()) else "none"
        units: dict[str, frozenset[str]] = {}
        for atom in sorted(atoms, key=lambda each: near[each.id]):
            unit = _CHAIN if atom.id.startswith(_CHAIN) else atom.id
            units[unit] = units.get(unit, frozenset()) | {atom.id}
        if not units:
            return causes

        def restored(tries: Sequence[Sequence[str]]) -> list[bool]:
            wanted = [self._bench.mixer.shrunk(self._every - known - _of(units, each)) for each in tries]
            self._bench.ask([(each, 0) for each in wanted])
            return [self._bench.came(each) == "A" for each in wanted]

        more = _of(units, smallest(tuple(units), restored, self._bench.width, order))
        return [*causes, Cause(guilty=more, taken=more, given=more)]

    def _hold(self, wanted: Sequence[AbstractSet[str]]) -> list[bool]:
        mixtures = [self._bench.mixer.grown(each) for each in wanted]
        self._bench.ask([(each, 0) for each in mixtures])
        answers = [self._bench.came(each) == "B" for each in mixtures]
        for mixture, answer in zip(mixtures, answers, strict=True):
            if answer and mixture <= self._every and len(mixture) < len(self.narrowed):
                self.narrowed = mixture
        return answers

    def _without(self, causes: Sequence[Cause]) -> frozenset[str]:
        return self._bench.mixer.shrunk(self._every - _union(each.given for each in causes))

    def _factors(self, guilty: AbstractSet[str]) -> tuple[Factor, ...]:
        return as_factors([self._placed(each) for each in self._atoms if each.id in guilty])

    def _placed(self, atom: Atom) -> Atom:
        """With its place in the code, where a commit has one."""
        if not atom.id.startswith(_CHAIN):
            return atom
        places = self._places.get(atom.id, ())
        return msgspec.structs.replace(atom, where=places[0] if len(places) == 1 else None)

    def _unproven(self, factors: Sequence[Factor], forth: Sequence[Came], back: Came) -> Proof:
        names = " and ".join(name_factor(each) for each in factors)
        lines = [f"swapping {names} {_WORDS[came]} (run {number})" for number, came in enumerate(forth, 1)]
        lines.append(f"swapping {'it' if len(factors) == 1 else 'them'} back {_WORDS[back]}")
        reason = "what was found does not hold when it is repeated: the run may vary by itself"
        guilty = {(each.kind, each.name) for each in factors}
        narrowed = tuple(each for each in self._atoms if (each.kind, each.name) in guilty)
        return Proof(narrowed=narrowed, evidence=tuple(lines), reason=reason)

    def _evidence(self, causes: Sequence[Cause], factors: Sequence[Factor]) -> list[str]:
        taken = _union(each.taken for each in causes)
        exact = self._bench.question.metric is None and self._bench.question.is_exact(
            self._bench.facts(taken), "B"
        )
        names = " and ".join(name_factor(each) for each in factors)
        alone, pronoun = ("alone ", "it") if len(factors) == 1 else ("together ", "them")
        how = "reproduces B bit for bit" if exact else "reproduces B"
        if self._bench.question.metric is not None:
            how = f"makes {self._bench.question.metric} as bad as in B"
        lines = [f"swapping {names} {alone}{how} (2 of 2 runs); swapping {pronoun} back restores A"]
        if all(each.startswith(_CHAIN) for each in _union(cause.guilty for cause in causes)):
            lines = [_along_history(factors, how)]
            lines += [
                f"of what it changed, {', '.join(each)} is enough" for each in self._places.values() if each
            ]
        elif len(factors) > 1:
            lines += self._each_alone(_union(each.guilty for each in causes))
        return lines

    def _each_alone(self, guilty: frozenset[str]) -> list[str]:
        """What each factor of a set does by itself, as far as that was tried on the way."""
        lines = []
        for factor in self._factors(guilty):
            ids = frozenset(
                each.id
                for each in self._atoms
                if each.id in guilty and (each.kind, each.name) == (factor.kind, factor.name)
            )
            if len(ids) < len(guilty):
                came = self._bench.known(ids)
                if came is not None:
                    lines.append(f"{name_factor(factor)} alone {_WORDS[came]}")
        return lines


def _along_history(factors: Sequence[Factor], how: str) -> str:
    names = " and ".join(name_factor(each) for each in factors)
    if len(factors) == 1:
        return f"at {names} the result changes: the code up to it {how} (2 of 2 runs); the code before restores A"
    return (
        f"at {names} the result changes: the code up to the last {how} (2 of 2 runs); the code before the first "
        "restores A"
    )


def name_factor(factor: Factor) -> str:
    """A factor and how it differs, for people: ``numpy 2.3.5 -> 2.4.6``."""
    if factor.kind == "code" and factor.name.startswith("commit "):
        return f"`{factor.name}`"
    place = f" at `{factor.where}`" if factor.where else ""
    if factor.kind in ("code", "data"):
        return f"`{factor.name}`{place}"
    sides = [("absent" if side is None else side) for side in (factor.before, factor.after)]
    return f"`{factor.name} {sides[0]} -> {sides[1]}`"


def _of(groups: dict[str, frozenset[str]], chosen: Sequence[str]) -> frozenset[str]:
    return _union(groups[each] for each in chosen)


def _union(sets: Iterable[AbstractSet[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


def _unit(name: str) -> str:
    """What the atom of this id is a part of."""
    return name.partition("#")[0]


def _distance(name: str, other: str) -> tuple[int, bool]:
    """How far apart two atoms are that are parts of one file, and whether the first stands before the other."""
    unit, _, number = name.partition("#")
    other_unit, _, other_number = other.partition("#")
    if unit != other_unit or not number or not other_number:
        return _FAR
    return abs(int(number) - int(other_number)), number < other_number
