"""The two controls: A and B made again as they were, before anything is swapped."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from reproof.base.files import remove_tree
from reproof.model.codec import decode_record
from reproof.model.explanation import Came
from reproof.workflow.explain.bench import Bench
from reproof.workflow.explain.trials import Facts, Yardstick
from reproof.workflow.judge import judge
from reproof.workflow.verdicts import decided, rejected

_NAMES = ("A", "B")


class Controls(msgspec.Struct, frozen=True, kw_only=True):
    """What the controls say.

    Attributes:
        reason: Why nothing can be swapped; empty where it can.
        left: What stays in question then: ``nothing`` (the run varies by itself), ``what cannot be swapped``
            (A and B come out the same here), or ``everything``.
        aside: Results that are left out, each with the reason.
        evidence: What was shown, a line each.
    """

    reason: str = ""
    left: Literal["nothing", "what cannot be swapped", "everything"] = "everything"
    aside: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = ()


def control(bench: Bench, folder: Path) -> Controls:
    """Make A and B again; where they come out otherwise than recorded, once more, to tell a change from a run that varies.

    What varies by itself is left out of the question from then on. Where a run comes out otherwise but repeats,
    its new result takes the place of the recorded one.

    Raises:
        SpentError: The budget does not allow the controls.
    """
    ends: tuple[frozenset[str], frozenset[str]] = (frozenset(), bench.mixer.swappable)
    bench.ask([(each, 0) for each in ends], folder / "controls")
    facts = [bench.facts(each) for each in ends]
    for name, each in zip(_NAMES, facts, strict=True):
        if each.exit_status is None:
            return Controls(reason=f"{name} cannot be made again: {each.problem.splitlines()[0]}")
    bench.mixer.learn((facts[0].needs, facts[1].needs))
    came = [bench.question.came(each) for each in facts]
    if came == ["A", "B"]:
        what = "the same as recorded" if bench.question.metric is None else "as good and as bad as recorded"
        return Controls(evidence=(f"A and B made again are {what} (1 of 1 run each)",))
    if bench.question.metric is not None:
        return _metric_moved(bench, facts, came)
    return _again(bench, folder, facts)


def _metric_moved(bench: Bench, facts: list[Facts], came: list[Came]) -> Controls:
    shown = ", ".join(f"{name} {bench.question.say(each)}" for name, each in zip(_NAMES, facts, strict=True))
    if came[0] == came[1]:
        return Controls(reason=f"made again here, A and B are alike: {shown}", left="what cannot be swapped")
    return Controls(reason=f"made again here, A and B come out otherwise: {shown}")


def _again(bench: Bench, folder: Path, facts: list[Facts]) -> Controls:
    """Both once more, compared to what they came out as just now."""
    records = [decode_record(each.evidence, where="control") for each in facts if each.evidence is not None]
    recorded = bench.yardstick
    made = Yardstick(a=records[0], b=records[1], store=folder / "controls", policy=recorded.policy)
    before = bench.question
    bench.use(msgspec.structs.replace(before, a=made.a, b=made.b), made)
    ends = (frozenset[str](), bench.mixer.swappable)
    bench.ask([(each, 1) for each in ends])
    unstable = _unstable(bench, ends)
    one, two = made.sides()
    found = decided(rejected(judge(one, two, made.policy, folder / "compare").differences, made.policy))
    remove_tree(folder / "compare")
    differing = {each.subject for each in found}
    stable = tuple(name for name in before.subjects if name in differing and name not in unstable)
    aside = tuple((name, "it varies by itself") for name in before.subjects if name in unstable)
    if not stable:
        return _nothing_left(before.subjects, unstable, aside)
    gone = tuple(
        (n, "made again here, A and B agree in it") for n in before.subjects if n not in {*stable, *unstable}
    )
    bench.use(msgspec.structs.replace(bench.question, subjects=stable))
    line = f"A and B made again repeat, and differ in {', '.join(stable[:5])} (2 of 2 runs each)"
    return Controls(aside=(*aside, *gone), evidence=(line,))


def _unstable(bench: Bench, ends: tuple[frozenset[str], frozenset[str]]) -> set[str]:
    one, two = (bench.facts(each, 1).standings for each in ends)
    return {name for name, each in one.items() if not each.like_a} | {
        name for name, each in two.items() if not each.like_b
    }


def _nothing_left(
    subjects: tuple[str, ...], unstable: set[str], aside: tuple[tuple[str, str], ...]
) -> Controls:
    if unstable.intersection(subjects):
        names = ", ".join(sorted(unstable.intersection(subjects))[:3])
        reason = f"the run varies by itself ({names})"
        return Controls(reason=reason, aside=aside, left="nothing")
    reason = "made again here, A and B come out the same: the cause is something that cannot be swapped here"
    return Controls(reason=reason, left="what cannot be swapped")
