"""From an entry point and values to the command that is run: exactly MLflow's, but checked."""

from __future__ import annotations

import os
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote

import msgspec

from reproof.errors import ProjectError
from reproof.project.mlproject import EntryPoint, MLProject, Parameter
from reproof.project.yaml_document import closest, listed

#: Extensions that MLflow runs without an entry point.
_SCRIPTS = (".py", ".sh", ".R")
_EXAMPLES = {"int": "10", "float": "0.5", "uri": "https://example.org/data", "path": "FILE", "string": "TEXT"}


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where relative paths in parameters may start; all absolute.

    Attributes:
        folder: The project's folder.
        top: The top of its repository.
        cwd: Where the user is.
        home: What ``${HOME}/...`` of a record stands for.
    """

    folder: Path
    top: Path
    cwd: Path
    home: Path


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A command, ready to run in the project's folder.

    Attributes:
        entry_point: Name of the entry point or script.
        command: For ``bash -c``; the same text that MLflow makes.
        shell: Whether `command` is for a shell; always true here.
        parameters: Values as a record holds them, defaults filled in; paths relative to the
            project's folder where they lie in its repository, else ``${HOME}/...`` or absolute.
        path_parameters: Absolute paths of the parameters of type path.
        warnings: What may not be as the user thinks, a line each.
    """

    entry_point: str
    command: str
    shell: bool = True
    parameters: dict[str, str] = {}
    path_parameters: dict[str, Path] = {}
    warnings: tuple[str, ...] = ()


def render(
    project: MLProject | None, entry_point: str, parameters: Mapping[str, str], places: Places
) -> Invocation:
    """Render the command of an entry point or script.

    Args:
        project: The MLproject file; None where there is none: then only scripts can run.
        entry_point: Name of an entry point, or of a script (``.py``, ``.sh``, ``.R``).
        parameters: Values as given, or as :attr:`Invocation.parameters` of a record has them.
            Those that are not declared are appended as ``--name value``.
        places: Where relative paths start.

    Raises:
        ProjectError: The entry point is unknown, a value is missing, of the wrong type, or names
            a path that does not exist.
    """
    point = _find(project, entry_point, places)
    _require(point, parameters)
    renderer = _Renderer(project.file if project else "MLproject", point, places)
    values = {name: renderer.value(declared, parameters) for name, declared in point.parameters.items()}
    extra = {name: value for name, value in parameters.items() if name not in point.parameters}
    return Invocation(
        entry_point=entry_point,
        command=renderer.command(values, extra),
        parameters={**renderer.recorded, **extra},
        path_parameters=renderer.paths,
        warnings=tuple(renderer.warnings),
    )


def _find(project: MLProject | None, name: str, places: Places) -> EntryPoint:
    points = project.entry_points if project else {}
    if name in points:
        return points[name]
    ending = os.path.splitext(name)[1]  # noqa: PTH122 - a name such as `.py` has no suffix for pathlib
    if ending not in _SCRIPTS:
        raise _unknown(project, name, places)
    if not (places.folder / name).is_file():
        close = closest(name, [*points, *_scripts(places.folder)])
        raise ProjectError(
            f"the script `{name}` does not exist",
            details=[("searched", str(places.folder))],
            hint=f"pass `-e {quote(close)}`" if close else None,
        )
    if ending == ".R":
        return EntryPoint(name, {}, f"Rscript -e \"mlflow::mlflow_source('{_braced(name)}')\" --args")
    program = "python" if ending == ".py" else os.environ.get("SHELL", "bash")
    return EntryPoint(name, {}, f"{program} {_braced(name)}")


def _unknown(project: MLProject | None, name: str, places: Places) -> ProjectError:
    scripts = _scripts(places.folder)
    if project is None:
        example = next((each for each in ("train.py", "main.py") if each in scripts), (*scripts, None)[0])
        return ProjectError(
            f"`{places.folder}` has no MLproject file, so there is no entry point `{name}`",
            details=[("scripts", listed(scripts) or "none")],
            hint=f"run `reproof run -e {quote(example)} {places.folder}`" if example else None,
        )
    close = closest(name, [*project.entry_points, *scripts])
    return ProjectError(
        f"`{project.file}` has no entry point `{name}`",
        details=[("known", listed(project.entry_points) or "none"), ("scripts", listed(scripts) or "none")],
        hint=f"pass `-e {quote(close)}`" if close else None,
    )


def _scripts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in _SCRIPTS and path.is_file())


def _braced(name: str) -> str:
    """A script's name as part of a command that is formatted later."""
    return quote(name).replace("{", "{{").replace("}", "}}")


def _require(point: EntryPoint, given: Mapping[str, str]) -> None:
    missing = [each for each in point.parameters.values() if each.default is None and each.name not in given]
    if missing:
        plural = "a value" if len(missing) == 1 else f"{len(missing)} values"
        words = " ".join(f"-P {each.name}={each.type.upper()}" for each in missing)
        raise ProjectError(
            f"entry point `{point.name}` needs {plural} that {'was' if len(missing) == 1 else 'were'} not given",
            details=[(each.name, each.type) for each in missing],
            hint=f"add `{words}`",
        )


class _Renderer:
    """Turns values into the texts of a command, and keeps what the record needs of them."""

    def __init__(self, file: str, point: EntryPoint, places: Places) -> None:
        self.file = file
        self.point = point
        self.places = places
        self.recorded: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self.warnings: list[str] = []

    def value(self, declared: Parameter, given: Mapping[str, str]) -> str:
        """The text that stands for a declared parameter."""
        is_given = declared.name in given
        text = given[declared.name] if is_given else str(declared.default)
        self._check(declared, text)
        if declared.type != "path":
            self.recorded[declared.name] = text
            return text
        path = self._resolve(declared, text, is_given=is_given)
        self.paths[declared.name] = path
        self.recorded[declared.name] = self._name(path)
        return str(path)

    def command(self, values: dict[str, str], extra: dict[str, str]) -> str:
        """The whole command."""
        try:
            text = self.point.command.format(**{name: quote(value) for name, value in values.items()})
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise ProjectError(
                f"the command of entry point `{self.point.name}` cannot be filled in",
                details=[("command", self.point.command), ("reason", str(error))],
            ) from error
        return " ".join([text, *(f"--{quote(name)} {quote(value)}" for name, value in extra.items())])

    def _check(self, declared: Parameter, text: str) -> None:
        wanted, test = _TYPES[declared.type]
        if not test(text):
            shown = text.replace("\0", "\\0")
            raise self._wrong(declared, f"must be {wanted}, not `{shown}`", _EXAMPLES[declared.type])

    def _wrong(self, declared: Parameter, problem: str, example: str | None) -> ProjectError:
        where = f"`{self.file}`, line {declared.line}" if declared.line else f"`{self.file}`"
        return ProjectError(
            f"parameter `{declared.name}` of entry point `{self.point.name}` {problem}",
            details=[("declared", f"{declared.type}, in {where}")],
            hint=f"pass `-P {declared.name}={quote(example)}`" if example else None,
        )

    def _resolve(self, declared: Parameter, text: str, *, is_given: bool) -> Path:
        """The absolute path: from the user's folder as in MLflow, else from the project's."""
        if "://" in text and not text.startswith("file:///"):
            raise self._wrong(declared, f"is the address `{text}`, which reproof does not download", None)
        bases = [self.places.cwd, self.places.folder]
        found = []
        for base in bases if is_given else reversed(bases):
            for form in self._forms(text):
                path = Path(os.path.normpath(base / form))
                if os.path.exists(path) and path not in found:  # noqa: PTH110 - never raises, NUL included
                    found.append(path)
        if not found:
            raise self._missing(declared, text)
        if len(found) > 1:
            self.warnings.append(
                f"parameter `{declared.name}`: took `{found[0]}`, there is also `{found[1]}`"
            )
        return found[0]

    def _forms(self, text: str) -> list[str]:
        """A path as given, and as MLflow reads it (percent escapes, file addresses)."""
        for token, place in (("${HOME}", self.places.home), ("${PROJECT}", self.places.top)):
            if text.startswith(token + "/"):
                return [text, str(place / text[len(token) + 1 :])]
        local = urllib.parse.urlparse(text).path if text.startswith("file:") else text
        return list(dict.fromkeys((text, urllib.request.url2pathname(local))))

    def _missing(self, declared: Parameter, text: str) -> ProjectError:
        searched = list(dict.fromkeys((str(self.places.cwd), str(self.places.folder))))
        error = self._wrong(declared, f"names `{text}`, which does not exist", self._similar(text))
        error.details += (("searched", ", ".join(searched)),)
        return error

    def _similar(self, text: str) -> str | None:
        for base in (self.places.cwd, self.places.folder):
            parent = base / Path(text).parent
            if "\0" not in text and parent.is_dir():
                close = closest(Path(text).name, [path.name for path in parent.iterdir()])
                if close:
                    return str(Path(text).parent / close)
        return None

    def _name(self, path: Path) -> str:
        """The path as a record holds it, so that it means the same in another place."""
        for form in (path, path.resolve()):
            for top in (self.places.top, self.places.top.resolve()):
                if form.is_relative_to(top):
                    folder = top / _relative(self.places.folder, self.places.top)
                    return os.path.relpath(form, folder)
        if path.is_relative_to(self.places.home):
            return f"${{HOME}}/{path.relative_to(self.places.home)}"
        return str(path)


def _relative(folder: Path, top: Path) -> Path:
    return (
        folder.relative_to(top) if folder.is_relative_to(top) else folder.resolve().relative_to(top.resolve())
    )


def _reads_as(kind: Callable[[str], object]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return True

    return test


_TYPES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "string": ("a text", lambda _: True),
    "int": ("a whole number", _reads_as(int)),
    "float": ("a number", _reads_as(float)),
    "path": ("the path of a file or folder", lambda text: bool(text) and "\0" not in text),
    "uri": ("an address with a scheme", lambda text: bool(_scheme(text))),
}


def _scheme(text: str) -> str:
    try:
        return urllib.parse.urlparse(text).scheme
    except ValueError:
        return ""
