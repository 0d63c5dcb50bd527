"""Whether an answer of `reproof explain` names what was mutated. The words that count were fixed before any answer.

An answer is *right* when it is stated as proven and its causes are the truth, each of one and no more (but those marked ``optional``: what must go along with the mutation). Of a pair marked
``either`` (what cannot be swapped on every machine) a suspicion is right, too, if the truth stands first. An answer that is
stated as proven and is not right, be it for a cause too many, is *wrong as proven*: this must not happen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

#: For each kind of truth the kinds of causes that mean it. What Git tracks is data and code at once, and most circumstances
#: are set by a variable: then the variable's name must be right.
KINDS: dict[str, set[str]] = {
    "package": {"package"},
    "parameter": {"parameter", "argument", "command"},
    "code": {"code", "commit", "hunk", "file"},
    "config": {"code", "commit", "hunk", "config", "configuration", "data", "material", "file"},
    "tracked data": {"data", "material", "file", "code", "commit", "hunk"},
    "data": {"data", "material", "file"},
    "seed": {"seed"},
    "variable": {"variable", "environment variable"},
    "threads": {"threads", "variable"},
    "isa": {"isa", "instruction set", "cpu", "variable"},
    "python": {"python", "interpreter"},
    "locale": {"locale", "variable"},
    "time zone": {"time zone", "timezone", "tz", "variable"},
    "hash seed": {"hash seed", "hash", "hashseed", "seed", "variable"},
    "listing order": {
        "listing order",
        "listing",
        "readdir",
        "readdir order",
        "file order",
        "directory order",
    },
    "profile": {"profile", "determinism", "determinism profile", "isa", "instruction set", "variable"},
    "entropy": {"entropy", "draw", "uncontrolled draw", "chance"},
}

#: Of these there is only one in a run: a kind of cause other than `variable` says all.
SINGLE = {
    "seed",
    "python",
    "locale",
    "time zone",
    "hash seed",
    "listing order",
    "profile",
    "entropy",
}


Truth = list[dict[str, Any]]


class Judgement(NamedTuple):
    """How an answer came out against the truth."""

    right: bool
    wrong_as_proven: bool
    lines: str  # whether file and line are right too: `yes`, `no`, `-` where the truth has none


def judge(truth: Truth, answer: Mapping[str, Any], *, either: bool = False) -> Judgement:
    """Compare an answer with the truth of its pair.

    Args:
        truth: Tables of `kind`, `name` (alternatives between bars) and, where there is one, `where` as
            FILE:LINE; with `optional` it may be named and need not.
        answer: The JSON document of `reproof explain`.
        either: Whether a suspicion will do.
    """
    proven = answer.get("status") == "proven"
    causes = list(answer.get("causes") or [])
    optional = [one for one in truth if one.get("optional")]
    truth = [one for one in truth if not one.get("optional")]
    pairing = _pairing(truth, causes)
    right = proven and pairing is not None and not _more(causes, pairing, optional)
    if not right and either and not proven:
        suspects = list(answer.get("causes") or []) + list(answer.get("suspects") or [])
        pairing = _pairing(truth, suspects[: len(truth)])
        right = pairing is not None
    return Judgement(right, proven and not right, _lines(truth, pairing))


def _more(causes: list[Any], pairing: list[Any], optional: Truth) -> list[Any]:
    """The causes beyond the truth and what may stand beside it."""
    more = [cause for cause in causes if not any(cause is found for found in pairing)]
    for one in optional:
        match = next((cause for cause in more if _means(cause, one)), None)
        more = [cause for cause in more if cause is not match]
    return more


def _pairing(truth: Truth, causes: list[Any]) -> list[Any] | None:
    """For each truth its cause, none used twice; none where one is missing."""
    left, found = list(causes), []
    for one in truth:
        match = next((cause for cause in left if _means(cause, one)), None)
        if match is None:
            return None
        left.remove(match)
        found.append(match)
    return found


def _plain(text: object) -> str:
    return re.sub(r"[-_ ]+", " ", str(text or "").strip().lower())


def _means(cause: Mapping[str, Any], truth: dict[str, Any]) -> bool:
    kind = _plain(cause.get("kind"))
    if kind not in {_plain(each) for each in KINDS[truth["kind"]]}:
        return False
    if truth["kind"] in SINGLE and kind not in {"variable", "environment variable"}:
        return True
    if kind == "package":
        return _plain(cause.get("name")) in {_plain(name) for name in truth["name"].split("|")}
    said = " ".join(_plain(cause.get(key)) for key in ("name", "where", "from", "to"))
    return any(
        re.search(rf"(?<![\w./]){re.escape(_plain(name))}(?![\w])", said) for name in truth["name"].split("|")
    )


def _lines(truth: Truth, pairing: list[Any] | None) -> str:
    """Whether each `where` with a line is met, a range counting if it holds the line."""
    wanted = [
        (one["where"], index) for index, one in enumerate(truth) if re.search(r":\d+$", one.get("where", ""))
    ]
    if not wanted:
        return "-"
    if pairing is None:
        return "no"
    return "yes" if all(_holds(pairing[index], where) for where, index in wanted) else "no"


def _holds(cause: Mapping[str, Any], where: str) -> bool:
    file, line = where.rsplit(":", 1)
    for key in ("where", "name"):
        text = str(cause.get(key) or "")
        found = re.search(rf"{re.escape(file)}(?:[:, ]+(?:lines? )?(\d+)(?:\s*(?:-|to|\.\.)\s*(\d+))?)", text)
        if found and int(found[1]) <= int(line) <= int(found[2] or found[1]):
            return True
    return False
