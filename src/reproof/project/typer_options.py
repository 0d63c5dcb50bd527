"""Options of a typer program, read from the signature of its one command: nothing of it is run.

The rules are those of https://typer.tiangolo.com/tutorial/: a parameter without default is an argument, one with
a default an option; ``typer.Option`` and ``typer.Argument`` say otherwise, as default or within ``Annotated``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef


class TyperParameter(NamedTuple):
    """A parameter of a command.

    Attributes:
        name: In the signature.
        flags: As they are typed; empty for an argument.
        kind: ``text``, ``flag`` or ``list``.
        required: It has no default.
    """

    name: str
    flags: tuple[str, ...]
    kind: str
    required: bool


def typer_commands(tree: ast.Module) -> list[list[TyperParameter]]:
    """The parameters of each command of a program; empty where it does not use typer."""
    names = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    } | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    if "typer" not in names:
        return []
    run = {
        ast.unparse(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.run", "run") and node.args
    }
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    return [list(_parameters(node)) for node in functions if node.name in run or _is_command(node)]


def _is_command(function: Function) -> bool:
    marks = (mark.func if isinstance(mark, ast.Call) else mark for mark in function.decorator_list)
    return any(isinstance(mark, ast.Attribute) and mark.attr == "command" for mark in marks)


def _parameters(function: Function) -> Iterator[TyperParameter]:
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(given.defaults))
    pairs = [
        *zip(plain, [*defaults, *given.defaults], strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]
    for parameter, default in pairs:
        yield _parameter(parameter, default)


def _parameter(parameter: ast.arg, default: ast.expr | None) -> TyperParameter:
    said, marks = parameter.annotation, [default]
    if isinstance(said, ast.Subscript) and ast.unparse(said.value).endswith("Annotated"):
        parts = said.slice.elts if isinstance(said.slice, ast.Tuple) else [said.slice]
        said, marks = parts[0], [*parts[1:], default]
    mark = next((each for each in marks if isinstance(each, ast.Call) and _word(each)), None)
    word = _word(mark) if mark is not None else ""
    value = default
    if mark is not None and mark is default:  # in the old form the first argument is the default
        value = next(
            (each.value for each in mark.keywords if each.arg == "default"),
            mark.args[0] if mark.args else None,
        )
    required = value is None or (isinstance(value, ast.Constant) and value.value is ...)
    texts = [each.value for each in (mark.args if mark else ()) if isinstance(each, ast.Constant)]
    own = tuple(each for each in texts if isinstance(each, str) and each.startswith("-"))
    kind = _kind(ast.unparse(said) if said is not None else "", value)
    is_option = word == "Option" or (not word and not required)
    usual = f"--{parameter.arg.replace('_', '-')}"
    if kind == "flag":
        usual = f"{usual}/--no-{usual[2:]}"
    return TyperParameter(parameter.arg, (own or (usual,)) if is_option else (), kind, required)


def _word(call: ast.expr) -> str:
    """``Option`` or ``Argument``; empty for every other call."""
    if not isinstance(call, ast.Call):
        return ""
    name = ast.unparse(call.func).rpartition(".")[2]
    return name if name in ("Option", "Argument") else ""


def _kind(annotation: str, value: ast.expr | None) -> str:
    plain = annotation.removeprefix("Optional[").removeprefix("typing.")
    if plain.startswith("bool") or (isinstance(value, ast.Constant) and isinstance(value.value, bool)):
        return "flag"
    return "list" if plain.lower().startswith(("list[", "tuple[")) else "text"
