"""The stages of dvc.yaml files, read without DVC: templates, ``foreach`` and ``matrix`` filled in.

Format: https://doc.dvc.org/user-guide/project-structure/dvcyaml-files
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.git import ls_files, untracked
from reproof.errors import ProjectError
from reproof.model.pipeline import OutKind, Stage, StageDep, StageOut, StageParams
from reproof.project.templates import Context, TemplateError, as_text, has_expression, resolve
from reproof.project.yaml_core import read_core_yaml
from reproof.project.yaml_document import Document, Key, describe

NAME = "dvc.yaml"
PARAMS = "params.yaml"

_TOP_KEYS = ("stages", "vars", "params", "metrics", "plots", "artifacts", "datasets")
_STAGE_KEYS = (
    "cmd", "wdir", "deps", "params", "outs", "metrics", "plots", "vars", "frozen", "always_changed",
    "desc", "meta", "matrix",
)  # fmt: skip
_OUT_KEYS = ("cache", "persist", "remote", "push", "desc", "type", "labels", "meta", "checkpoint")
_PLOT_KEYS = ("template", "x", "y", "x_label", "y_label", "title", "header")
_OUT_LISTS: tuple[tuple[str, OutKind], ...] = (("outs", "out"), ("metrics", "metric"), ("plots", "plot"))


def find_pipeline_files(top: Path, root: str = "") -> tuple[str, ...]:
    """Every dvc.yaml below the folder `root` of the repository at `top` that Git does not ignore.

    The first is that of the folder itself, where there is one.
    """
    names = {name for name in ls_files(top) | set(untracked(top)) if posixpath.basename(name) == NAME}
    inside = [name for name in names if not root or name.startswith(f"{root}/")]
    own = posixpath.join(root, NAME)
    found = sorted((name for name in inside if (top / name).is_file()), key=lambda name: (name != own, name))
    return tuple(name for name in found if ".dvc" not in name.split("/"))


def read_stages(top: Path, name: str, root: str = "") -> tuple[Stage, ...]:
    """The stages of one dvc.yaml, in the order of the file.

    Args:
        top: Top of the repository.
        name: The file, below the top.
        root: The folder that addresses of stages are relative to, below the top.

    Raises:
        ProjectError: The file is wrong, or one that it names; file, line, stage and key are named.
    """
    return tuple(_File(top, name, root).stages())


class _File:
    """One dvc.yaml while it is read."""

    def __init__(self, top: Path, name: str, root: str) -> None:
        self.top = top
        self.name = name
        self.folder = posixpath.dirname(name)
        self.prefix = "" if self.folder == root else f"{posixpath.relpath(name, root or '.')}:"
        try:
            self.document = read_core_yaml((top / name).read_bytes(), name)
        except OSError as error:
            raise ProjectError(f"cannot read `{name}`: {error.strerror}") from error
        self.document.require_mapping()
        _refuse_unknown(self.document, _TOP_KEYS)
        self.context = Context(top)
        self._load_vars()

    def _load_vars(self) -> None:
        if (self.top / self.folder / PARAMS).is_file():
            self._load(self.context, PARAMS, self.folder, ("vars",))
        self._load_items(self.context, self.folder, ("vars",))

    def _load_items(self, context: Context, folder: str, key: Key) -> None:
        for index, item in enumerate(self.document.items(*key)):
            at = (*key, index)
            if not isinstance(item, str | dict):
                raise self.document.wrong(at, f"must be a file or a mapping, not {describe(item)}")
            if has_expression(item):
                raise self.document.wrong(at, "has an expression: values cannot be made of other values")
            self._load(context, item, folder, at)

    def _load(self, context: Context, item: object, folder: str, key: Key) -> None:
        try:
            context.load(item, folder, f"{self.name}, vars")
        except TemplateError as error:
            raise self.document.wrong(key, error.problem, error.hint) from error
        except ProjectError as error:
            raise self.document.wrong(key, f"cannot be loaded: {error.message}") from error

    def stages(self) -> Iterator[Stage]:
        """Every stage, those made by ``foreach`` and ``matrix`` included."""
        for name in self.document.mapping("stages"):
            key: Key = ("stages", name)
            definition = self.document.mapping(*key)
            if not name or any(character in name for character in "\\/@:$"):
                raise self.document.wrong(key, "has a name with one of `\\ / @ : $`")
            if "foreach" in definition or "do" in definition:
                yield from self._foreach(name, key)
            elif "matrix" in definition:
                yield from self._matrix(name, key)
            else:
                yield self._stage(name, key, self.context)

    def _foreach(self, name: str, key: Key) -> Iterator[Stage]:
        _refuse_unknown(self.document, ("foreach", "do"), *key)
        if "do" not in self.document.mapping(*key) or "foreach" not in self.document.mapping(*key):
            raise self.document.wrong(key, "needs both `foreach` and `do`")
        found = self._resolve(self.document.mapping(*key)["foreach"], self.context, (*key, "foreach"))
        if isinstance(found, Mapping):
            pairs = {as_text(each): {"item": item, "key": as_text(each)} for each, item in found.items()}
        elif isinstance(found, list):
            nested = any(isinstance(item, dict | list) for item in found)
            names = range(len(found)) if nested else found
            pairs = {as_text(each): {"item": item} for each, item in zip(names, found, strict=True)}
        else:
            raise self.document.wrong(
                (*key, "foreach"), f"must be a list or a mapping, not {describe(found)}"
            )
        for each, items in pairs.items():
            yield self._stage(f"{name}@{each}", (*key, "do"), self.context.with_items(items))

    def _matrix(self, name: str, key: Key) -> Iterator[Stage]:
        at = (*key, "matrix")
        axes = self._resolve(self.document.mapping(*at), self.context, at)
        for axis, values in axes.items():
            if not isinstance(values, list):
                raise self.document.wrong((*at, axis), f"must be a list, not {describe(values)}")
        for chosen in itertools.product(*(enumerate(values) for values in axes.values())):
            pairs = list(zip(axes, chosen, strict=True))
            words = [
                f"{axis}{index}" if isinstance(value, dict | list) else as_text(value)
                for axis, (index, value) in pairs
            ]
            items = {"item": {axis: value for axis, (_, value) in pairs}, "key": "-".join(words)}
            yield self._stage(f"{name}@{items['key']}", key, self.context.with_items(items))

    def _stage(self, name: str, key: Key, context: Context) -> Stage:
        _refuse_unknown(self.document, _STAGE_KEYS, *key)
        definition = self.document.mapping(*key)
        wdir = self._wdir(definition.get("wdir"), context, (*key, "wdir"))
        if "vars" in definition:
            context = context.copy()
            self._load_items(context, wdir, (*key, "vars"))
        values = {
            field: self._resolve(value, context, (*key, field))
            for field, value in definition.items()
            if field not in ("vars", "matrix", "wdir", "meta")
        }
        return _StageReader(self, name, key, wdir, values).read()

    def _wdir(self, value: object, context: Context, key: Key) -> str:
        if value is None:
            return self.folder
        found = self._resolve(value, context, key)
        if not isinstance(found, str):
            raise self.document.wrong(key, f"must be a text, not {describe(found)}")
        return self.place(found, self.folder, key)

    def _resolve(self, value: Any, context: Context, key: Key) -> Any:
        try:
            return resolve(value, context, str(key[-1]))
        except TemplateError as error:
            raise self.document.wrong(key, error.problem, error.hint) from error

    def place(self, path: str, folder: str, key: Key) -> str:
        """A path of the file as a place below the top of the repository; absolute for one outside."""
        if "://" in path or path.startswith("remote:"):
            raise self.document.wrong(key, f"is the address `{path}`, which reproof does not read itself")
        if posixpath.isabs(path):
            absolute = Path(posixpath.normpath(path))
            inside = absolute.is_relative_to(self.top)
            return absolute.relative_to(self.top).as_posix() if inside else str(absolute)
        place = posixpath.normpath(posixpath.join(folder, path))
        if place == ".." or place.startswith("../"):
            place = posixpath.normpath(posixpath.join(str(self.top), place))
        return "" if place == "." else place


class _StageReader(msgspec.Struct, frozen=True):
    """One stage while it is read, its templates filled in."""

    file: _File
    name: str
    key: Key
    wdir: str
    values: dict[str, Any]

    def read(self) -> Stage:
        """The stage. Raises ProjectError for a value that cannot stand where it stands."""
        cmd, commands = self._commands()
        document = self.file.document
        return Stage(
            name=self.name,
            file=self.file.name,
            address=f"{self.file.prefix}{self.name}",
            commands=commands,
            cmd=cmd,
            wdir=self.wdir,
            deps=tuple(self._deps()),
            params=tuple(self._params()),
            outs=tuple(out for field, kind in _OUT_LISTS for out in self._outs(field, kind)),
            frozen=self._flag("frozen"),
            always_changed=self._flag("always_changed"),
            desc=str(self.values.get("desc") or ""),
            line=document.lines.get(self.key[:2]),
        )

    def _wrong(self, field: str, problem: str, index: int | None = None) -> ProjectError:
        key = (*self.key, field) if index is None else (*self.key, field, index)
        hint = None if self.name == self.key[1] else f"this is stage `{self.name}`"
        return self.file.document.wrong(key, problem, hint)

    def _line(self, field: str, index: int) -> int | None:
        lines = self.file.document.lines
        return lines.get((*self.key, field, index)) or lines.get((*self.key, field))

    def _commands(self) -> tuple[str | tuple[str, ...], tuple[str, ...]]:
        """What dvc.lock says, and the lines that are run one after the other."""
        cmd = self.values.get("cmd")
        if isinstance(cmd, str) and cmd.strip():
            return cmd, tuple(line for line in cmd.splitlines() if line.strip())
        if isinstance(cmd, list) and cmd and all(isinstance(line, str) for line in cmd):
            return tuple(cmd), tuple(cmd)
        if cmd is None or cmd in ("", []):
            raise self.file.document.wrong(self.key, "has no `cmd`")
        raise self._wrong("cmd", f"must be a text or a list of texts, not {describe(cmd)}")

    def _list(self, field: str) -> list[Any]:
        value = self.values.get(field)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(field, f"must be a list, not {describe(value)}")
        return value

    def _flag(self, field: str) -> bool:
        value = self.values.get(field, False)
        if not isinstance(value, bool):
            raise self._wrong(field, f"must be `true` or `false`, not {describe(value)}")
        return value

    def _deps(self) -> Iterator[StageDep]:
        for index, path in enumerate(self._list("deps")):
            if not isinstance(path, str) or not path:
                raise self._wrong("deps", f"must be a path, not {describe(path)}", index)
            place = self.file.place(path, self.wdir, (*self.key, "deps", index))
            yield StageDep(path=path, place=place, line=self._line("deps", index))

    def _params(self) -> Iterator[StageParams]:
        """One item for each file, keys of several mentions put together."""
        files: dict[str, list[str]] = {}
        lines: dict[str, int | None] = {}
        for index, item in enumerate(self._list("params")):
            pairs: dict[str, Any] = {PARAMS: [item]} if isinstance(item, str) else item
            if not isinstance(pairs, dict):
                raise self._wrong(
                    "params", f"must be a name or a file with names, not {describe(item)}", index
                )
            for path, keys in pairs.items():
                if keys is not None and not (
                    isinstance(keys, list) and all(isinstance(each, str) for each in keys)
                ):
                    raise self._wrong("params", f"must list names for `{path}`, not {describe(keys)}", index)
                files.setdefault(path, []).extend(keys or [])
                lines.setdefault(path, self._line("params", index))
        for path, keys in files.items():
            place = self.file.place(path, self.wdir, (*self.key, "params"))
            yield StageParams(path=path, place=place, keys=tuple(dict.fromkeys(keys)), line=lines[path])

    def _outs(self, field: str, kind: OutKind) -> Iterator[StageOut]:
        for index, item in enumerate(self._list(field)):
            pairs: dict[str, Any] = {item: {}} if isinstance(item, str) else item
            if not isinstance(pairs, dict):
                raise self._wrong(field, f"must be a path, not {describe(item)}", index)
            for path, options in pairs.items():
                yield self._out(field, kind, index, path, options)

    def _out(self, field: str, kind: OutKind, index: int, path: str, options: Any) -> StageOut:
        flags = options[0] if kind == "plot" and isinstance(options, list) and options else options
        if not isinstance(flags, dict):
            raise self._wrong(field, f"must give `{path}` a mapping of options, not {describe(flags)}", index)
        known = (*_OUT_KEYS, *(_PLOT_KEYS if kind == "plot" else ()))
        for name in flags:
            if name not in known:
                raise self._wrong(field, f"gives `{path}` the unknown option `{name}`", index)
        for name in ("cache", "persist"):
            if not isinstance(flags.get(name, True), bool):
                raise self._wrong(field, f"gives `{path}` a `{name}` that is neither true nor false", index)
        place = self.file.place(path, self.wdir, (*self.key, field, index))
        if posixpath.isabs(place) or not place:
            raise self._wrong(field, f"has `{path}`, which is not within the project", index)
        return StageOut(
            path=path,
            place=place,
            kind=kind,
            cache=flags.get("cache", True),
            persist=flags.get("persist", False),
            line=self._line(field, index),
        )


def _refuse_unknown(document: Document, known: tuple[str, ...], *key: str | int) -> None:
    for name, sentence in document.unknown_keys(known, *key):
        what = sentence.removeprefix(f"{document.at(*key, name)}: ")
        raise ProjectError(f"{document.at(*key, name)}: {what}")
