"""Lines of Python code that go through a set, read without running it: candidates, no more.

Which order a set has follows the hashes of its members: of texts the hash seed, of objects their addresses.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_SETS = frozenset({"set", "frozenset"})
#: Methods of sets that give sets.
_SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
#: What takes its arguments in the order in which they come.
_ORDERED = frozenset(
    {"list", "tuple", "enumerate", "iter", "map", "filter", "zip", "reversed", "dict", "array"}
)
_SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)


def lines_through_sets(source: str) -> tuple[int, ...]:
    """Numbers of the lines at which `source` goes through a set in its order; none where it cannot be parsed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    names = _names_of_sets(tree)
    found = {each.lineno for each in _gone_through(tree) if _is_set(each, names)}
    found |= {each.lineno for each in _pops(tree) if _is_set(each, names)}
    return tuple(sorted(found))


def _names_of_sets(tree: ast.AST) -> set[str]:
    """Variables that some assignment makes a set; two rounds, for those that are made from others."""
    names: set[str] = set()
    for _ in range(2):
        for node in ast.walk(tree):
            targets: Iterable[ast.expr] = ()
            if isinstance(node, ast.Assign) and _is_set(node.value, names):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign) and node.value is not None and _is_set(node.value, names):
                targets = (node.target,)
            names.update(each.id for each in targets if isinstance(each, ast.Name))
    return names


def _is_set(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.BinOp) and isinstance(node.op, _SET_OPERATORS):
        return _is_set(node.left, names) or _is_set(node.right, names)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            return node.func.id in _SETS
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SET_METHODS:
            return _is_set(node.func.value, names)
    return False


def _gone_through(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions whose order matters to what is around them."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.AsyncFor)):
            yield node.iter
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.DictComp)):
            yield from (each.iter for each in node.generators)
        elif isinstance(node, ast.Starred):
            yield node.value
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name in _ORDERED or name == "join":
                yield from node.args


def _pops(tree: ast.AST) -> Iterator[ast.expr]:
    """What ``pop()`` without an argument is called on."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "pop"
            and not node.args
        ):
            yield node.func.value
