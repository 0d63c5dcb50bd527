"""A re-run's results in the form in which they can be compared with what MLflow has of a run.

A store changes what it is given: it keeps no infinity and no -0.0, drops a value that is logged twice within
a millisecond, and shortens long parameters. Both sides are brought to what the store keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from reproof.compare.metrics import number_of
from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, Outcome
from reproof.model.record import Metric, Parameter, Record
from reproof.model.verdict import NotChecked
from reproof.tracking.history import canonical
from reproof.tracking.values import Run
from reproof.workflow.judge import Judgement
from reproof.workflow.observe import Evidence
from reproof.workflow.unrecorded.results import ARTIFACTS, MODELS, Results

#: Lengths that MLflow cuts parameters to, by version (mlflow/utils/validation.py).
_CUTS = (250, 500, 6000, 8000)


class Reading:
    """Brings re-runs to the form in which `expected` is, and has the last word on comparisons.

    Args:
        expected: The record that was put together from what MLflow has.
        given: Names of parameters that `mlflow run` logged, not the code.
        certain: The command is known, not guessed.
        run: The run.

    Attributes:
        notes: What was chosen or left aside, by a word for it.
    """

    def __init__(self, expected: Results, run: Run, *, given: frozenset[str], certain: bool) -> None:
        self._expected = expected
        self._given = given
        self._certain = certain
        self._name = run.name
        self._finished = run.status == "FINISHED"
        self._ambiguous = False
        self.notes: dict[str, str] = {}

    def measure(self, record: Record, evidence: Evidence) -> Record:
        """The record of a re-run with what MLflow would have of the run that is meant, and nothing else."""
        numbers = self._numbers(record)
        metrics = [
            msgspec.structs.replace(each, run=numbers[each.run], value=_as_stored(each.value))
            for each in record.metrics
            if each.run in numbers
        ]
        parameters = [
            msgspec.structs.replace(each, run=numbers[each.run])
            for each in record.parameters
            if each.run in numbers
        ]
        failed = record.byproducts.exit_status not in (0, None)
        return msgspec.structs.replace(
            record,
            runs=tuple(record.runs[old] for old in numbers if record.runs),
            metrics=_aligned(self._expected.metrics, metrics),
            parameters=tuple(self._shortened(parameters)),
            products=tuple(self._products(record, evidence, numbers)),
            byproducts=msgspec.structs.replace(
                record.byproducts, exit_status=1 if failed else record.byproducts.exit_status
            ),
        )

    def settle(self, judgement: Judgement) -> Judgement:
        """Take out what cannot differ, and call nothing different where another command may have run."""
        kept, aside = [], []
        for each in judgement.differences:
            name = each.subject.removeprefix("parameter:")
            if each.kind == "parameter" and name in self._given and each.actual is None:
                reason = "given to the entry point by `mlflow run`, and given again"
                aside.append(NotChecked(each.subject, reason))
            elif self._is_unread(each):
                kept.append(_in_doubt(each, "what the store has could not be read"))
            else:
                kept.append(_same_place(each))
        ended = any(each.kind == "status" and each.outcome is Outcome.DIFFERENT for each in kept)
        if ended and self._finished:
            kept = [_in_doubt(each, "the re-run failed: nothing can be said") for each in kept]
        if self._ambiguous:
            why = "but which of its runs stands for this one is not known"
            kept = [_in_doubt(each, why) for each in kept]
        others = [
            each
            for each in kept
            if each.kind == "parameter"
            and each.outcome is Outcome.DIFFERENT
            and None not in (each.expected, each.actual)
        ]
        if others and not self._certain:
            kept = [_in_doubt(each, "but another command may have run") for each in kept]
            kept.append(_other_command(others))
        return Judgement(differences=tuple(kept), not_checked=(*judgement.not_checked, *aside))

    def _is_unread(self, difference: Difference) -> bool:
        """Whether only the re-run has an artifact because that of the run could not be read."""
        names = [each.subject for each in self._expected.omissions if each.hides_results]
        if difference.kind != "artifact" or not names:
            return False
        places = {"artifacts": "/artifacts/", "models": f"/{MODELS.split('/')[1]}/"}
        subject = f"/{difference.subject}"
        return any(places.get(name, f"/{name}") in subject for name in names)

    def _numbers(self, record: Record) -> dict[int, int]:
        """Which runs of the re-run stand for the one that is meant and those below it: old to new number."""
        tops = [number for number, each in enumerate(record.runs) if each.parent is None]
        if not record.runs:
            return {0: 0}
        chosen = tops[0] if len(tops) == 1 or not tops else self._meant(record, tops)
        if len(tops) > 1:
            self.notes["runs"] = f"run {tops.index(chosen) + 1} of the {len(tops)} that the re-run opened"
        below = [number for number, each in enumerate(record.runs) if each.parent == chosen]
        return {old: new for new, old in enumerate((chosen, *below))}

    def _meant(self, record: Record, tops: list[int]) -> int:
        wanted = {each.key: each.value for each in self._expected.parameters if each.run == 0}
        same = [
            number
            for number in tops
            if {each.key: each.value for each in record.parameters if each.run == number}.items()
            >= {key: value for key, value in wanted.items() if key not in self._given}.items()
        ]
        named = [number for number in tops if record.runs[number].name == self._name]
        fitting = named if len(named) == 1 else [number for number in same if number in named] or same
        self._ambiguous = len(fitting) != 1
        return (fitting or tops)[0]

    def _shortened(self, parameters: Iterable[Parameter]) -> Iterator[Parameter]:
        stored = {(each.run, each.key): each.value for each in self._expected.parameters}
        for each in parameters:
            value = stored.get((each.run, each.key), "")
            if len(value) in _CUTS and len(each.value) > len(value):
                yield msgspec.structs.replace(each, value=each.value[: len(value)])
            else:
                yield each

    def _products(self, record: Record, evidence: Evidence, numbers: dict[int, int]) -> Iterator[Artifact]:
        """What was logged to the runs that count; models under the names that they have in the store."""
        logged = evidence.logged
        ids = [logged.ids[old] for old in numbers if old < len(logged.ids)]
        models = [model for model in logged.models if logged.makers.get(model) in ("", None, *ids)]
        names: dict[str, str] = {}
        seen: dict[str, int] = {}
        for model in models:
            name = _without_number(logged.models[model], logged.models.values())
            seen[name] = seen.get(name, 0) + 1
            names[logged.models[model]] = name if seen[name] == 1 else f"{name}-{seen[name]}"
        others = 0
        for product in record.products:
            folder, _, rest = product.name.removeprefix(MODELS).partition("/")
            if product.name.startswith(MODELS):
                if folder in names:
                    yield msgspec.structs.replace(product, name=f"{MODELS}{names[folder]}/{rest}", mode=None)
                continue
            place = _place_of(product.name)
            if place is None:
                others += 1
            elif place[0] in numbers:
                new = numbers[place[0]]
                base = ARTIFACTS if new == 0 else f"mlflow/run-{new}/artifacts/"
                yield msgspec.structs.replace(product, name=f"{base}{place[1]}", mode=None)
        if others:
            self.notes["files of the re-run"] = f"{others:,} that it did not log: MLflow knows of none"


def _without_number(name: str, names: Iterable[str]) -> str:
    base, dash, number = name.rpartition("-")
    return base if dash and number.isdigit() and base in set(names) else name


def _place_of(name: str) -> tuple[int, str] | None:
    """The number of the run and the path below its artifacts; None for a file that was not logged."""
    if name.startswith(ARTIFACTS):
        return 0, name.removeprefix(ARTIFACTS)
    if not name.startswith("mlflow/run-"):
        return None
    number, _, rest = name.removeprefix("mlflow/run-").partition("/artifacts/")
    return (int(number), rest) if number.isdigit() and rest else None


def _as_stored(value: str) -> str:
    try:
        return canonical(number_of(value))
    except (ValueError, OverflowError):
        return value


def _aligned(expected: Iterable[Metric], actual: list[Metric]) -> tuple[Metric, ...]:
    """Several values at one step: in the order of the record, as far as they are the same; repeats as often.

    A store does not keep the order of what is logged within one millisecond, nor the same value twice.
    """
    before: dict[tuple[int, str, int], list[str]] = {}
    for each in expected:
        before.setdefault((each.run, each.key, each.step), []).append(each.value)
    after: dict[tuple[int, str, int], list[Metric]] = {}
    for metric in actual:
        after.setdefault((metric.run, metric.key, metric.step), []).append(metric)
    result: list[Metric] = []
    for place, metrics in after.items():
        wanted = before.get(place, [])
        values = [each.value for each in metrics]
        repeated = len(values) > len(wanted) and set(wanted) == set(values)
        if repeated or sorted(wanted) == sorted(values):
            values = wanted
        result += [
            msgspec.structs.replace(each, value=value) for each, value in zip(metrics, values, strict=False)
        ]
    return tuple(result)


def _same_place(difference: Difference) -> Difference:
    """A path below the project is the same wherever the project is."""
    expected, actual = difference.expected, difference.actual
    if difference.kind != "parameter" or not expected or not actual or not actual.startswith("${"):
        return difference
    rest = actual.partition("}")[2]
    if difference.outcome is not Outcome.DIFFERENT or len(rest) < 2 or not expected.endswith(rest):
        return difference
    return msgspec.structs.replace(
        difference,
        outcome=Outcome.EQUIVALENT,
        summary=actual,
        canonicalised=("the folder that the project is in",),
    )


def _in_doubt(difference: Difference, why: str) -> Difference:
    if difference.outcome is not Outcome.DIFFERENT:
        return difference
    return msgspec.structs.replace(
        difference,
        outcome=Outcome.UNKNOWN,
        summary=f"{difference.summary}; {why}",
        children=_logs(difference),
    )


def _logs(difference: Difference) -> tuple[Difference, ...]:
    """The last words of a re-run that failed."""
    logs = (each for each in difference.children if each.kind == "log")
    return tuple(msgspec.structs.replace(each, outcome=Outcome.UNKNOWN) for each in logs)


def _other_command(others: list[Difference]) -> Difference:
    names = ", ".join(f"`{each.subject.removeprefix('parameter:')}`" for each in others[:3])
    return Difference(
        subject="command",
        outcome=Outcome.UNKNOWN,
        kind="omission",
        summary=f"it is a guess, and {names} came out otherwise: give the command of the run after `--`",
        evidence={"parameters": len(others)},
    )
