"""Words of two plain commands side by side: which arguments and options differ, and commands in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from reproof.workflow.explain.atoms import Atom


def correspond(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether the words can be swapped one by one: the same program, and words or options that face each other."""
    if before[:1] != after[:1]:
        return False
    return len(before) == len(after) or _read(before)[0] == _read(after)[0]


def of_arguments(before: Sequence[str], after: Sequence[str]) -> Iterator[Atom]:
    """Each word, or each option, that differs."""
    if len(before) != len(after):
        one, two = _read(before)[1], _read(after)[1]
        for name in dict.fromkeys((*one, *two)):
            if one.get(name) != two.get(name):
                yield _atom(f"option:{name}", name, _value(one.get(name)), _value(two.get(name)))
        return
    for index, (word, other) in enumerate(zip(before, after, strict=True)):
        if word != other:
            yield _atom(f"argument:{index}", _name(before, after, index), word, other)


def mix_arguments(before: Sequence[str], after: Sequence[str], swapped: AbstractSet[str]) -> tuple[str, ...]:
    """The words of A with what is swapped as in B.

    Args:
        before: The words of A.
        after: Those of B.
        swapped: Names of atoms: ``argument:INDEX`` where both have equally many words, else ``option:NAME``.
    """
    if len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return tuple(
            other if f"argument:{index}" in swapped else word for index, (word, other) in enumerate(pairs)
        )
    (words, one), (_, two) = _read(before), _read(after)
    names = dict.fromkeys((*one, *two))
    chosen = {name: (two if f"option:{name}" in swapped else one).get(name) for name in names}
    for side, options in ((before, one), (after, two)):  # in their own order, where it is one of them
        if chosen == {name: options.get(name) for name in names}:
            return tuple(side)
    return (*words, *(word for found in chosen.values() for word in found or ()))


def _read(words: Sequence[str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Plain words, and options with the words that belong to them; a word after an option is its value."""
    plain: list[str] = []
    options: dict[str, tuple[str, ...]] = {}
    last = None
    for word in words:
        name = word.partition("=")[0]
        if word.startswith("-") and not _is_number(word):
            options[name] = (*options.get(name, ()), word)
            last = None if "=" in word else name
        elif last is not None:
            options[last] = (*options[last], word)
            last = None
        else:
            plain.append(word)
    return plain, options


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _value(words: tuple[str, ...] | None) -> str | None:
    return None if words is None else " ".join(words)


def _name(before: Sequence[str], after: Sequence[str], index: int) -> str:
    """What an argument is called: its option, or its number."""
    option, equals, _ = before[index].partition("=")
    if equals and option.startswith("-") and after[index].startswith(f"{option}="):
        return option
    earlier = before[index - 1]
    if earlier.startswith("-") and "=" not in earlier and earlier == after[index - 1]:
        return earlier
    return f"argument {index}"


def _atom(identity: str, name: str, before: str | None, after: str | None) -> Atom:
    return Atom(id=identity, kind="parameter", name=name, group="parameters", before=before, after=after)
