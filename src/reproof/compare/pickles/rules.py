"""What is set aside in pickles, by name and place; everything else is content.

A rule speaks of one argument or attribute of objects of one class, and only of values of the form
that its writer gives them. Nothing is set aside for looking like an address, an id or a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.nodes import Sequence

_TRACKER = re.compile(r"[0-9a-f]{32}")
_CLOUDPICKLE = (
    "cloudpickle.cloudpickle",
    "joblib.externals.cloudpickle.cloudpickle",
    "cloudpickle.cloudpickle_fast",
)
_SEARCHES = ("sklearn.model_selection._search", "sklearn.model_selection._search_successive_halving")


@dataclass(frozen=True)
class Rule:
    """Sets a pair of values aside under `name` where `form` accepts both; else, or for keys, see `keys`."""

    name: str = ""
    form: Callable[[Any, Any], bool] = field(default=lambda _one, _two: False)
    keys: Mapping[str, Rule] = field(default_factory=dict)


def _is_duration(one: Any, two: Any) -> bool:
    """Two floats of one type, or two arrays of them of one shape."""
    if isinstance(one, Array) and isinstance(two, Array):
        first, second = one.tensor, two.tensor
        if first is None or second is None or one.owner != two.owner:
            return False
        return (first.dtype, first.shape) == (second.dtype, second.shape) and first.dtype.startswith("float")
    return type(one) is float and type(two) is float


def _is_tracker(one: Any, two: Any) -> bool:
    return all(type(each) is str and _TRACKER.fullmatch(each) is not None for each in (one, two))


def _is_text(one: Any, two: Any) -> bool:
    return type(one) is str and type(two) is str


def _are_texts(one: Any, two: Any) -> bool:
    sides = [each.items if isinstance(each, Sequence) else [each] for each in (one, two)]
    return all(type(item) is str for side in sides for item in side)


def _is_line(one: Any, two: Any) -> bool:
    return type(one) is int and type(two) is int and one >= 0 and two >= 0


_REFIT = Rule("refit_time_ of a scikit-learn search", _is_duration)
_RESULTS = Rule(
    keys={
        name: Rule(f"{name} of a scikit-learn search", _is_duration)
        for name in ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")
    }
)
_ID = Rule("class tracker id of cloudpickle", _is_tracker)
_FILE = Rule("code file name", _is_text)
_LINE = Rule("code first line number", _is_line)
_GLOBALS = Rule(keys={"__file__": _FILE, "__path__": Rule("code file name", _are_texts)})

#: Arguments by the class or function that gets them, then by number.
_ARGUMENTS: dict[str, dict[int, Rule]] = {}
for _module in _CLOUDPICKLE:
    _ARGUMENTS[f"{_module}._make_skeleton_class"] = {4: _ID}
    _ARGUMENTS[f"{_module}._make_skeleton_enum"] = {5: _ID}
    _ARGUMENTS[f"{_module}._make_typevar"] = {5: _ID}
    _ARGUMENTS[f"{_module}._make_function"] = {1: _GLOBALS}

#: Names of the arguments of ``types.CodeType``, by how many there are (Python 3.8 to 3.10; 3.11 on).
_CODE = {
    16: "argcount posonlyargcount kwonlyargcount nlocals stacksize flags code consts names varnames"
    " filename name firstlineno linetable freevars cellvars",
    18: "argcount posonlyargcount kwonlyargcount nlocals stacksize flags code consts names varnames"
    " filename name qualname firstlineno linetable exceptiontable freevars cellvars",
}
CODE_TYPE = "types.CodeType"


def argument_rule(owner: str, number: int, count: int) -> Rule | None:
    """The rule for argument `number` of `count` arguments of the class or function `owner`."""
    if owner == CODE_TYPE:
        name = argument_name(owner, number, count)
        return {"co_filename": _FILE, "co_firstlineno": _LINE}.get(name)
    return _ARGUMENTS.get(owner, {}).get(number)


def argument_name(owner: str, number: int, count: int) -> str:
    """The name of an argument for people; its number in parentheses where it has no name."""
    if owner == CODE_TYPE and count in _CODE:
        return f"co_{_CODE[count].split()[number]}"
    return f"({number})"


def attribute_rule(module: str, name: str) -> Rule | None:
    """The rule for attribute `name` of objects whose class is in `module`."""
    if module in _SEARCHES:
        return {"refit_time_": _REFIT, "cv_results_": _RESULTS}.get(name)
    return None


def is_cache(module: str, name: str) -> bool:
    """Whether an attribute is only there when somebody has asked for it, and follows from the others."""
    return module.startswith("scipy.sparse.") and name in ("_has_canonical_format", "_has_sorted_indices")


CACHE = "cached flags of sparse matrices"
