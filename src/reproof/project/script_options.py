"""Which options the command line of a Python script has, read from its source: nothing of it is run.

Understood are calls of argparse's ``add_argument`` and click's ``option`` and ``argument`` with literal
names, and signatures of typer. What is built in other ways is not seen; what is seen only serves to guess a command that is then
stated as a guess.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from reproof.project.typer_options import TyperParameter, typer_commands

#: How a value becomes words: ``value`` one word, ``flag`` none, ``several`` any number, ``repeated`` the option
#: again for each.
Shape = Literal["value", "flag", "unset", "several", "repeated"]

_TRUE = ("true", "1", "yes")
_FALSE = ("false", "0", "no", "none", "")
_ABSENT = ("none", "")


class ScriptOption(msgspec.Struct, frozen=True, kw_only=True):
    """An option or a positional argument.

    Attributes:
        key: Its name in the program: ``learning_rate``.
        also: Another name that a parameter may have, that of the flag.
        flag: As it is typed, ``--learning-rate``; empty for a positional argument.
        off: What switches a flag off, where there is something: ``--no-augment``.
        shape: What it takes.
        required: The script does not start without.
    """

    key: str
    also: str = ""
    flag: str = ""
    off: str = ""
    shape: Shape = "value"
    required: bool = False


class ScriptOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of a script, as far as its source shows it.

    Attributes:
        options: In the order of the source.
        commands: It has commands below it, so that there is no one command line.
        raw: It reads ``sys.argv`` itself.
        kind: ``argparse``, ``click``, ``hydra``, ``typer``, or empty.
    """

    options: tuple[ScriptOption, ...] = ()
    commands: bool = False
    raw: bool = False
    kind: str = ""


def read_options(source: str) -> ScriptOptions:
    """The options of a script; none where the source is no Python that this Python reads."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ScriptOptions()
    options: dict[str, ScriptOption] = {}
    kinds: set[str] = set()
    commands = False
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = _called(call)
        if name == "add_argument":
            kinds.add("argparse")
            options.update((each.key, each) for each in _argparse(call))
        elif name in ("option", "argument", "click.option", "click.argument"):
            found = list(_click(call, name.rpartition(".")[2]))
            kinds.update(["click"] if found else [])
            options.update((each.key, each) for each in found)
        elif name in ("add_subparsers", "click.group", "group"):
            commands = True
    text = ast.unparse(tree)
    if re.search(r"@hydra\.main|@main\(.*config_name", text):
        kinds.add("hydra")
    typed = typer_commands(tree)
    if len(typed) == 1 and not options:
        kinds.add("typer")
        options.update((each.key, each) for each in map(_typer, typed[0]))
    ordered = sorted(options.values(), key=lambda each: each.flag == "" and each.shape == "several")
    return ScriptOptions(
        options=tuple(ordered),
        commands=commands
        or len(typed) > 1
        or (bool(typed) and ".callback(" in text)
        or bool(re.search(r"@(click\.)?group\b", text)),
        raw="sys.argv" in text,
        kind=min(kinds, default=""),
    )


def same_name(key: str) -> str:
    """A name as options and parameters share it: ``learning-rate`` and ``learning_rate`` are one."""
    return key.strip().lstrip("-").replace("-", "_").lower()


def words_for(
    options: ScriptOptions, parameters: Mapping[str, str]
) -> tuple[list[str], list[str], list[str]]:
    """The words of a command line that hand `parameters` to a script.

    Args:
        options: Of the script.
        parameters: Values by name; those that are no option of the script are left out.

    Returns:
        The words; the names of the parameters that they come from; the required options that have no value.
    """
    values = {same_name(name): (name, value) for name, value in parameters.items()}
    words: list[str] = []
    last: list[str] = []
    used: list[str] = []
    missing: list[str] = []
    for option in options.options:
        given = values.get(option.key) or values.get(option.also)
        if given is None:
            missing += [option.flag or option.key] if option.required else []
            continue
        said = _said(option, given[1])
        used.append(given[0])
        if option.flag:
            words += said
        else:
            last += said
    return [*words, *(["--"] if any(word.startswith("-") for word in last) else []), *last], used, missing


def _said(option: ScriptOption, value: str) -> list[str]:
    low = value.strip().lower()
    if option.shape in ("flag", "unset"):
        wanted = _TRUE if option.shape == "flag" else _FALSE
        off = [option.off] if option.off and low in _FALSE else []
        return [option.flag] if low in wanted else off
    if low in _ABSENT and not option.required:
        return []
    parts = _parts(value) if option.shape in ("several", "repeated") else [value]
    if not option.flag:
        return parts
    if option.shape == "several":
        return [option.flag, *parts]
    return [word for part in parts for word in _pair(option.flag, part)]


def _pair(flag: str, value: str) -> list[str]:
    return [f"{flag}={value}"] if flag.startswith("--") else [flag, value]


def _parts(value: str) -> list[str]:
    """The items of a list as Python writes it, else the value itself."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return [value]
    return [str(each) for each in found] if isinstance(found, (list, tuple)) else [value]


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        owner = function.value
        return (
            f"click.{function.attr}" if isinstance(owner, ast.Name) and owner.id == "click" else function.attr
        )
    return function.id if isinstance(function, ast.Name) else ""


def _argparse(call: ast.Call) -> Iterator[ScriptOption]:
    names = _texts(call)
    facts = _facts(call)
    if not names:
        return
    action, nargs = facts.get("action"), facts.get("nargs")
    if not names[0].startswith("-"):
        optional = nargs in ("?", "*")
        several = nargs in ("*", "+") or isinstance(nargs, int)
        shape: Shape = "several" if several else "value"
        yield ScriptOption(key=same_name(names[0]), shape=shape, required=not optional)
        return
    flag = max(names, key=lambda name: name.startswith("--"))
    key = same_name(str(facts.get("dest") or flag))
    shape, off = "value", ""
    if action in ("store_true", "BooleanOptionalAction"):
        shape, off = "flag", f"--no-{flag[2:]}" if action != "store_true" else ""
    elif action == "store_false":
        shape = "unset"
    elif action in ("help", "version", "count", "store_const", "append_const"):
        return
    elif action in ("append", "extend"):
        shape = "repeated"
    elif nargs in ("*", "+") or isinstance(nargs, int):
        shape = "several"
    yield ScriptOption(
        key=key,
        also=same_name(flag),
        flag=flag,
        off=off,
        shape=shape,
        required=facts.get("required") is True,
    )


def _click(call: ast.Call, kind: str) -> Iterator[ScriptOption]:
    names = _texts(call)
    facts = _facts(call)
    if not names:
        return
    if kind == "argument":
        required = facts.get("required") is not False and "default" not in facts
        shape: Shape = "several" if facts.get("nargs") not in (None, 1) else "value"
        yield ScriptOption(key=same_name(names[0]), shape=shape, required=required)
        return
    flags = [name for name in names if name.startswith("-")]
    if not flags:
        return
    plain = [name for name in names if not name.startswith("-")]
    flag, _, off = max(flags, key=lambda name: name.startswith("--")).partition("/")
    shape = "flag" if off or facts.get("is_flag") is True else "value"
    shape = "repeated" if facts.get("multiple") is True else shape
    yield ScriptOption(
        key=same_name(plain[0] if plain else flag),
        also=same_name(flag),
        flag=flag.strip(),
        off=off.strip(),
        shape=shape,
        required=facts.get("required") is True,
    )


def _typer(given: TyperParameter) -> ScriptOption:
    key = same_name(given.name)
    if not given.flags:
        shape: Shape = "several" if given.kind == "list" else "value"
        return ScriptOption(key=key, shape=shape, required=given.required)
    flag, _, off = max(given.flags, key=lambda name: name.startswith("--")).partition("/")
    shape = "flag" if given.kind == "flag" else "repeated" if given.kind == "list" else "value"
    return ScriptOption(
        key=key,
        also=same_name(flag),
        flag=flag.strip(),
        off=off.strip(),
        shape=shape,
        required=given.required,
    )


def _texts(call: ast.Call) -> list[str]:
    return [
        each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def _facts(call: ast.Call) -> dict[str, Any]:
    """The keyword arguments that are literals; of a name (an action) its last part; of all others True."""
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            continue
        value = keyword.value
        if isinstance(value, ast.Constant):
            found[keyword.arg] = value.value
        elif isinstance(value, ast.Attribute):
            found[keyword.arg] = value.attr
        else:
            found[keyword.arg] = value.id if isinstance(value, ast.Name) else ...
    return found
