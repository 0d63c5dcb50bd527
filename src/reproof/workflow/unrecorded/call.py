"""How a run that reproof did not record was called: its entry point, arguments and working directory.

MLflow notes an entry point and its parameters where `mlflow run` made the run, and else the script's
name alone. What is guessed is said; nothing of the code is run to find out.
"""

from __future__ import annotations

import ast
import os
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import msgspec

from reproof.base import git
from reproof.errors import MissingError, UsageError
from reproof.model.verdict import Condition
from reproof.project.console_scripts import read_console_scripts
from reproof.project.hydra_config import overrides, read_main
from reproof.project.mlproject import EntryPoint, MLProject, read_mlproject
from reproof.project.script_options import ScriptOptions, read_options, words_for
from reproof.tracking.values import Run

_NAME = "mlflow.source.name"
_OPTIONS = "parameters of the run that are options of the script"
_OVERRIDES = "parameters of the run that hydra's configuration in the commit has with other values"
_HINT = "pass `--entry-point train.py`, or the whole command after `--`"
_NEVER_STARTED = ("__init__.py", "conftest.py", "setup.py")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is run, and where.

    Attributes:
        subdirectory: The project's folder below the top.
        entry_point: Of MLproject; None for a command.
        parameters: Of the entry point.
        command: Words of a command, which starts in the project's folder.
        certain: Nothing of it is a guess.
        given: Names of parameters that `mlflow run` logged, not the code.
        assumed: What had to be assumed.
    """

    subdirectory: str = ""
    entry_point: str | None = None
    parameters: dict[str, str] = {}
    command: tuple[str, ...] = ()
    certain: bool = False
    given: frozenset[str] = frozenset()
    assumed: tuple[Condition, ...] = ()


def find_call(run: Run, top: Path, entry_point: str | None, command: tuple[str, ...]) -> Call:
    """Find out how a run was called.

    Args:
        run: As the store has it.
        top: Top of a clone with the run's commit.
        entry_point: ``--entry-point``: one of MLproject, or a script below `top`.
        command: What the user gave after ``--``; starts at the top.

    Raises:
        MissingError: It cannot be found out, and what would tell.
        UsageError: There is no such entry point.
    """
    if command:
        return Call(command=command, certain=True)
    names = sorted(git.ls_files(top))
    tagged = run.tags.get("mlflow.project.entryPoint")
    if run.tags.get("mlflow.source.type") == "PROJECT" or tagged or entry_point:
        folder = _project_folder(run, names)
        project = read_mlproject(top / folder) if folder is not None else None
        wanted = entry_point or tagged or "main"
        point = project.entry_points.get(wanted) if project is not None else None
        if project is not None and folder is not None and point is not None:
            return _of_project(run, point, _Files(top, folder, names), named=entry_point is not None)
        if not wanted.endswith(".py"):
            raise _no_entry_point(wanted, project, named=entry_point is not None)
        return _of_script(run, wanted, top, names, named=entry_point is not None)
    name = run.tags.get(_NAME, "")
    return _of_console_script(run, name, top, names) or _of_script(run, name, top, names, named=False)


def _project_folder(run: Run, names: Iterable[str]) -> str | None:
    """The folder with the MLproject file that the run speaks of; None where the commit has none."""
    folders = [
        str(PurePosixPath(name).parent) for name in names if name.rpartition("/")[2].lower() == "mlproject"
    ]
    place, _, subdirectory = run.tags.get(_NAME, "").partition("#")
    if subdirectory in folders or len(folders) == 1:
        return subdirectory if subdirectory in folders else folders[0]
    fitting = [each for each in folders if f"/{place.strip('/')}".endswith(f"/{each}")]
    return max(fitting, key=len, default="." if "." in folders else None)


class _Files(msgspec.Struct, frozen=True):
    """The clone, the project's folder in it, and the names of all files of the commit."""

    top: Path
    folder: str
    names: list[str]


def _of_project(run: Run, point: EntryPoint, files: _Files, *, named: bool) -> Call:
    """The call of an entry point of MLproject, with the run's parameters; paths of another machine are looked for here."""
    given = {name: run.parameters[name] for name in point.parameters if name in run.parameters}
    values = {name: _unquoted(value) for name, value in given.items()}
    assumed = []
    for name, declared in point.parameters.items():
        if declared.type == "path" and name in values:
            values[name], found = _mapped(values[name], files, _folder_then(run))
            assumed.append(
                Condition(
                    "assumed parameter",
                    f"{name} = {found}",
                    f"the run has `{given[name]}`, of another machine",
                )
            )
        elif name not in values and declared.default is None:
            raise MissingError(
                "command",
                f"entry point `{point.name}` needs the parameter `{name}`, which the run does not have",
                hint="give the whole command after `--`",
            )
    if named:
        assumed.append(Condition("assumed entry point", point.name, "`--entry-point`"))
    return Call(
        subdirectory="" if files.folder == "." else files.folder,
        entry_point=point.name,
        parameters=values,
        certain=not named,
        given=frozenset(given),
        assumed=tuple(assumed),
    )


def _unquoted(value: str) -> str:
    """`mlflow run` logs a value as it stands in the command, quoted for the shell."""
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    return words[0] if len(words) == 1 and shlex.quote(words[0]) == value else value


def _folder_then(run: Run) -> str:
    """Where the project was when `mlflow run` ran it; empty where that is an address."""
    place, _, subdirectory = run.tags.get(_NAME, "").removeprefix("file://").partition("#")
    return f"{place.rstrip('/')}/{subdirectory}".rstrip("/") if place.startswith("/") else ""


def _mapped(value: str, files: _Files, then: str) -> tuple[str, str]:
    """A path of another machine as one of the clone, absolute, and as it is named there."""
    parts = PurePosixPath(value).parts
    for start in range(len(parts)):
        rest = str(PurePosixPath(*parts[start:])) if parts[start] != "/" else ""
        for base in (files.folder, "."):
            name = os.path.normpath(f"{base}/{rest}") if rest else ""
            if name and (name in files.names or (files.top / name).exists()):
                return str(files.top / name), name
    if value.startswith("/") and not (then and value.startswith(f"{then}/")):
        return value, value
    name = os.path.normpath(f"{files.folder}/{value.removeprefix(f'{then}/')}")  # not in Git: data, perhaps
    return (value, value) if name.startswith("..") else (str(files.top / name), name)


def _no_entry_point(wanted: str, project: MLProject | None, *, named: bool) -> Exception:
    known = ", ".join(sorted(project.entry_points)) if project is not None else "there is no MLproject"
    if named:
        return UsageError(f"the commit of the run has no entry point `{wanted}`", details=[("known", known)])
    return MissingError(
        "command",
        f"the run names the entry point `{wanted}`, which its commit does not have",
        details=[("known", known)],
        hint=_HINT,
    )


def _of_script(run: Run, name: str, top: Path, names: list[str], *, named: bool) -> Call:
    """The call of a script: its options, as its source declares them, filled with the run's parameters."""
    script, folder = _locate(name, names)
    # A link may lead anywhere: nothing is read through it.
    source = "" if (top / script).is_symlink() else (top / script).read_text("utf-8", "replace")
    options = read_options(source)
    main = read_main(source)
    if main is not None and not options.options:
        words, note = overrides(main, top / script, top, run.parameters)[0], _OVERRIDES
    else:
        words, note = _arguments(run, script, f"python {script}", options), _OPTIONS
    told = "`--entry-point`" if named else f"the run names `{name}`"
    assumed = [Condition("assumed entry point", f"`{script}`", told), _assumed_words(words, options, note)]
    program, paths = _program(script, folder, source, names)
    if paths:
        shown = ":".join(paths)
        assumed.append(
            Condition("assumed PYTHONPATH", f"`{shown}`", f"`{script}` imports packages from there")
        )
        program = ["env", f"PYTHONPATH={shown}", *program]
    return Call(subdirectory=folder, command=(*program, *words), assumed=tuple(assumed))


def _assumed_words(words: list[str], options: ScriptOptions, note: str) -> Condition:
    if words:
        return Condition("assumed arguments", f"`{shlex.join(words)}`", note)
    more = "; it reads sys.argv" if options.raw else ""
    return Condition("assumed arguments", "none", f"MLflow does not keep the command line{more}")


def _of_console_script(run: Run, name: str, top: Path, names: list[str]) -> Call | None:
    """The call of a program that the commit's own project installs; None where it declares none of that name."""
    path = PurePosixPath(name.replace("\\", "/"))
    program = path.name.removesuffix(".exe")
    if not path.is_absolute() or path.parent.name.lower() not in ("bin", "scripts"):
        return None
    folders = {
        str(PurePosixPath(each).parent)
        for each in names
        if each.rpartition("/")[2] in ("pyproject.toml", "setup.cfg")
    }
    found = {each: read_console_scripts(top / each).get(program) for each in folders}
    declared = sorted((each, module) for each, module in found.items() if module)
    if len(declared) != 1:
        return None
    folder, module = declared[0]
    script = _module_file(folder, module, names)
    source = (
        "" if (top / script).is_symlink() else (top / script).read_text("utf-8", "replace") if script else ""
    )
    options = read_options(source)
    words = _arguments(run, script or module, program, options)
    told = f"`{module}`, as the commit declares it; the run names `{name}`"
    assumed = (
        Condition("assumed entry point", f"`{program}`", told),
        _assumed_words(words, options, _OPTIONS),
    )
    return Call(subdirectory="" if folder == "." else folder, command=(program, *words), assumed=assumed)


def _module_file(folder: str, module: str, names: list[str]) -> str:
    """The file of a module of the project in `folder`, flat or below ``src``; empty where the commit has none."""
    place = module.replace(".", "/")
    tails = [f"{root}{place}{end}" for root in ("src/", "") for end in (".py", "/__init__.py")]
    return next(
        (each for each in (os.path.normpath(f"{folder}/{tail}") for tail in tails) if each in names), ""
    )


def _locate(name: str, names: list[str]) -> tuple[str, str]:
    """The script in the commit, and the folder that it was started in."""
    scripts = [each for each in names if each.endswith(".py")]
    parts = PurePosixPath(name.replace("\\", "/")).parts
    relative = bool(name) and not name.startswith("/") and ".." not in parts
    plain = str(PurePosixPath(*parts)) if parts else ""
    if relative and plain in scripts:
        return plain, ""
    for start in range(len(parts)):
        if parts[start] in ("/", ".."):
            continue
        tail = str(PurePosixPath(*parts[start:]))
        fitting = [each for each in scripts if each == tail or each.endswith(f"/{tail}")]
        if len(fitting) == 1:
            folder = fitting[0][: -len(tail)].rstrip("/") if relative else ""
            return fitting[0], folder
        if fitting:
            some = ", ".join(f"`{each}`" for each in fitting[:5])
            raise MissingError(
                "command",
                f"the run names the script `{name}`, and the commit has several",
                details=[("are", some)],
                hint=_HINT,
            )
    likely = [each for each in scripts if each.rpartition("/")[2] in ("train.py", "main.py")]
    usual = likely or [each for each in scripts if each.rpartition("/")[2] not in _NEVER_STARTED]
    raise MissingError(
        "command",
        f"what was run is not known: the commit has no script `{name}`"
        if name
        else "the run names no script",
        details=[("scripts", ", ".join(f"`{each}`" for each in usual[:5]) or "none")],
        hint=f"pass `--entry-point {usual[0]}`, or the whole command after `--`" if usual else _HINT,
    )


def _arguments(run: Run, script: str, started: str, options: ScriptOptions) -> list[str]:
    """The words after the program, which is `started` like this."""
    if options.commands:
        raise MissingError(
            "command",
            f"the arguments are not known: `{script}` has commands, and MLflow does not keep the command line",
            hint=f"give the whole command after `--`, as in `-- {started} train`",
        )
    words, _, lacking = words_for(options, run.parameters)
    if lacking:
        raise MissingError(
            "command",
            f"the arguments are not known: `{script}` needs {', '.join(f'`{each}`' for each in lacking)}, and the run "
            "has no such parameter",
            hint=f"give the whole command after `--`, as in `-- {started} ...`",
        )
    return words


def _program(script: str, folder: str, source: str, names: list[str]) -> tuple[list[str], list[str]]:
    """The first words of the command, and what belongs on PYTHONPATH; paths start in `folder`."""
    imported, relative = _imports(source)
    base = PurePosixPath(script).parent
    if relative:  # a module of a package: `python -m`, from the folder that the package is in
        package = PurePosixPath(script).with_suffix("").parts
        root = 0
        while root < len(package) - 1 and "/".join([*package[: root + 1], "__init__.py"]) not in names:
            root += 1
        start = "/".join(package[:root])
        return ["python", "-m", ".".join(package[root:])], [_from(start, folder)] if start != folder else []
    beside = str(base)
    places = [""] if beside == "." else []
    found = []
    for place in ("src", "."):
        if place == beside or place in places:
            continue
        prefix = "" if place == "." else f"{place}/"
        own = "" if beside == "." else f"{beside}/"
        if any(_has(names, f"{prefix}{name}") and not _has(names, f"{own}{name}") for name in imported):
            found.append(_from("" if place == "." else place, folder))
    return ["python", _from(script, folder)], found


def _has(names: Iterable[str], module: str) -> bool:
    return any(name == f"{module}.py" or name.startswith(f"{module}/") for name in names)


def _from(name: str, folder: str) -> str:
    return os.path.relpath(name or ".", folder or ".")


def _imports(source: str) -> tuple[list[str], bool]:
    """Names of the top-level modules that a script imports, and whether it imports its neighbours by dots."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return [], False
    found: dict[str, None] = {}
    relative = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(dict.fromkeys(each.name.partition(".")[0] for each in node.names))
        elif isinstance(node, ast.ImportFrom):
            relative = relative or node.level > 0
            found.update({(node.module or "").partition(".")[0]: None} if not node.level else {})
    return list(found), relative
