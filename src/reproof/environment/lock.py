"""From what a project says about its packages to the exact text that an environment is made from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory
from reproof.environment.documents import parse_toml, read_text, read_toml
from reproof.environment.offers import local_offers
from reproof.environment.other_locks import OTHER_LOCKS, other_lock
from reproof.environment.own_locks import pylock, uv_lock
from reproof.environment.requirements import Line, normalise, read_lines
from reproof.environment.uv import explain, run_uv, uv_environment
from reproof.environment.values import Interpreter, LockFormat, LockSource, LockText
from reproof.errors import EnvironmentBuildError, ProjectError
from reproof.model.event import Emit, Event, silent
from reproof.model.record import Distribution


def make_lock(
    source: LockSource, python: Interpreter, *, offline: bool = False, emit: Emit = silent
) -> LockText:
    """The lock of a project, for one interpreter on this platform.

    What has complete hashes is taken as it stands. What has none is resolved: once, and the
    resolution is remembered as long as the question stays the same.

    Args:
        source: What the project says.
        python: The interpreter that the environment will have.
        offline: Resolve from uv's cache alone.
        emit: Told about a resolution, which can take seconds.

    Raises:
        ProjectError: A file is missing or cannot be read.
        EnvironmentBuildError: There is no resolution, or a lock file contradicts the project.
    """
    if source.kind == "uv.lock":
        return uv_lock(source, python, offline=offline)
    if source.kind == "pylock.toml":
        return pylock(source)
    resolver = _Resolver(source, python, offline, emit)
    if source.kind in OTHER_LOCKS:
        lock = other_lock(source, python)
    else:
        lock = (_pyproject if source.kind == "pyproject" else _requirements)(source, resolver)
    return _with_tools(lock, source, resolver) if source.tools else lock


def indexes(lock: LockText) -> dict[str, str]:
    """Variables that hand the credentials of the project's own index addresses to uv."""
    return {"UV_EXTRA_INDEX_URL": " ".join(lock.private_indexes)} if lock.private_indexes else {}


def pins(lock: LockText) -> dict[str, set[str]]:
    """Versions that a lock names, by normalised name (several where markers choose among them)."""
    if lock.format == "requirements":
        found = (
            (line.name, line.version) for line in read_lines(lock.text.splitlines(), Path(), lock.source)
        )
    else:
        key = "package" if lock.format == "uv.lock" else "packages"
        packages = parse_toml(lock.text, lock.source).get(key, [])
        found = ((normalise(str(item.get("name"))), item.get("version")) for item in packages)
    versions: dict[str, set[str]] = {}
    for name, version in found:
        if name and version:
            versions.setdefault(name, set()).add(str(version))
    return versions


def disagreements(lock: LockText, distributions: Iterable[Distribution]) -> tuple[str, ...]:
    """Where a lock names other versions than those installed: a line for each distribution."""
    versions = pins(lock)
    return tuple(
        f"`{lock.source}` has {item.name} {', '.join(sorted(versions[item.name]))}, the environment {item.version}"
        for item in distributions
        if item.name in versions and not _same_version(item.version, versions[item.name])
    )


def read_lock_file(path: Path, name: str) -> LockText:
    """A lock file as it stands, unchecked: for :func:`disagreements`. By its `name` it is known what it is.

    Raises:
        ProjectError: It cannot be read.
    """
    form: LockFormat = (
        "uv.lock" if name == "uv.lock" else "pylock.toml" if name == "pylock.toml" else "requirements"
    )
    text = read_text(path)
    if form == "requirements":
        lines = read_lines(text.splitlines(), path.parent, path.name)
        text = "".join(f"{line.text}\n" for line in lines if line.requirement and line.name)
    return LockText(format=form, text=text, source=path.name)


def _same_version(version: str, others: set[str]) -> bool:
    from packaging.version import InvalidVersion, Version

    if version in others:
        return True
    try:
        return Version(version) in {Version(other) for other in others}
    except InvalidVersion:
        return False


def _requirements(source: LockSource, resolver: _Resolver) -> LockText:
    lines = read_lines(source.lines or (f"-r {source.file}",), source.folder, source.file)
    lines = [line.at(source.folder) for line in lines]
    wanted = [line for line in lines if line.requirement]
    named = {line.name for line in wanted}
    build = [
        line for line in read_lines(source.build_lines, source.folder, source.file) if line.name not in named
    ]
    options = [line for line in lines if line.option not in (None, "-e")]
    private = tuple(line.secret for line in options if line.secret)
    resolver.use(options, private)
    if all(line.locked for line in wanted):
        _respect(lines)
        text = _verbatim(source, lines) if not build else None
        extra = resolver.resolve(build, [_pin(line) for line in wanted if line.version], there=named)
        text = text if text is not None else _render([*options, *wanted, *extra])
        return _lock(source, text, [*wanted, *extra], resolved=bool(build), private=private)
    constraints = [line.text for line in lines if line.constraint and line.option is None]
    resolved = resolver.resolve([*wanted, *build], [*constraints, *source.constraints])
    _same_files(wanted, resolved, source)
    return _lock(source, _render([*options, *resolved]), resolved, resolved=True, private=private)


def _pyproject(source: LockSource, resolver: _Resolver) -> LockText:
    path = source.folder / source.file
    table = read_toml(path)
    if "project" not in table:
        raise ProjectError(f"`{source.file}` has no [project] table: it names no packages")
    resolved = resolver.resolve_project(path)
    if "build-system" in table or table.get("tool", {}).get("uv", {}).get("package") is True:
        resolved.append(Line(text="-e .", option="-e", path=source.folder.resolve()))
    return _lock(source, _render(resolved), resolved, resolved=True)


def _with_tools(lock: LockText, source: LockSource, resolver: _Resolver) -> LockText:
    """The lock with the tools that the environment is to have besides, which alter nothing else in it."""
    there = read_lines(lock.text.splitlines(), source.folder, source.file)
    named = {line.name for line in there}
    tools = [line for line in read_lines(source.tools, source.folder, source.file) if line.name not in named]
    extra = resolver.resolve(tools, [_pin(line) for line in there if line.version], there=named)
    text = "".join(f"{part.rstrip()}\n" for part in (lock.text, _render(extra)) if part.strip())
    return msgspec.structs.replace(lock, text=text, resolved=lock.resolved or bool(extra)) if extra else lock


def _lock(
    source: LockSource, text: str, lines: Sequence[Line], *, resolved: bool, private: tuple[str, ...] = ()
) -> LockText:
    unhashed = tuple(f"{line.text}: {line.why_unhashed}" for line in lines if not line.hashed)
    return LockText(
        format="requirements",
        text=text,
        source=source.file,
        resolved=resolved,
        unhashed=unhashed,
        private_indexes=private,
    )


def _render(lines: Iterable[Line]) -> str:
    return "".join(f"{line.render()}\n" for line in lines)


def _pin(line: Line) -> str:
    return f"{line.name}=={line.version}"


def _verbatim(source: LockSource, lines: Sequence[Line]) -> str | None:
    """The file's own text, if one file is all there is and nothing in it had to be changed."""
    if source.lines and len(source.lines) != 1:
        return None
    only = source.lines[0] if source.lines else f"-r {source.file}"
    if not only.startswith("-r ") or any(line.path or line.secret or line.constraint for line in lines):
        return None
    path = source.folder / only[3:].strip()
    text = read_text(path)
    own = read_lines(
        [row for row in text.splitlines() if not row.lstrip().startswith(("-r", "--req"))],
        path.parent,
        path.name,
    )
    return text if len(own) == len(lines) else None


def _respect(lines: Sequence[Line]) -> None:
    """A pinned version that a constraints file forbids is an error; else constraints add nothing to pins."""
    from packaging.requirements import InvalidRequirement, Requirement

    pins = {line.name: line.version for line in lines if line.requirement and line.version}
    for line in lines:
        if not line.constraint or line.name not in pins:
            continue
        try:
            allowed = Requirement(line.text)
        except InvalidRequirement:
            continue
        applies = allowed.marker is None or allowed.marker.evaluate()
        if applies and not allowed.specifier.contains(str(pins[line.name]), prereleases=True):
            raise ProjectError(f"`{line.name}=={pins[line.name]}` contradicts the constraint `{line.text}`")


def _same_files(wanted: Sequence[Line], resolved: Sequence[Line], source: LockSource) -> None:
    """Hashes that the project does give must be among those of the resolution."""
    found = {line.name: line for line in resolved}
    for line in wanted:
        other = found.get(line.name)
        if line.hashes and other is not None and other.hashes and not set(line.hashes) & set(other.hashes):
            raise EnvironmentBuildError(
                f"hash mismatch: `{line.text}` is not the file that the lock names",
                details=[
                    ("source", source.file),
                    ("expected", " ".join(line.hashes)),
                    ("got", " ".join(other.hashes)),
                ],
                hint="if the new file is wanted, lock again; if not, find out who changed the package",
            )


class _Resolver:
    """Asks uv for the exact versions and hashes, and remembers the answer."""

    def __init__(self, source: LockSource, python: Interpreter, offline: bool, emit: Emit) -> None:
        self._source = source
        self._python = python
        self._offline = offline
        self._emit = emit
        self._options: list[Line] = []
        self._env = uv_environment()

    def use(self, options: list[Line], private: Sequence[str]) -> None:
        """Take index options from the project's files; `private` are the addresses with credentials."""
        self._options = options
        if private:
            self._env = uv_environment(UV_EXTRA_INDEX_URL=" ".join(private))

    def resolve(
        self, wanted: Sequence[Line], constraints: Sequence[str], *, there: Collection[str | None] = ()
    ) -> list[Line]:
        """Every distribution that `wanted` leads to under `constraints`, without those named in `there`."""
        if not wanted:
            return []
        text = _render(
            msgspec.structs.replace(line, text=line.secret or line.text, hashes=()) for line in wanted
        )
        text = _render(self._options) + text
        local = any(line.path for line in wanted)
        lines = self._ask(["-"], text, constraints, remember=not local)
        return [line for line in lines if line.requirement and line.name not in there]

    def resolve_project(self, path: Path) -> list[Line]:
        """Every distribution that a pyproject.toml leads to, the project itself left out."""
        choice = [word for extra in self._source.extras for word in ("--extra", extra)]
        choice += [word for group in self._source.groups or () for word in ("--group", group)]
        remember = "sources" not in read_toml(path).get("tool", {}).get("uv", {})
        lines = self._ask([path.name, *choice], "", self._source.constraints, remember=remember)
        return [line for line in lines if line.requirement]

    def _ask(
        self, arguments: list[str], text: str, constraints: Sequence[str], *, remember: bool
    ) -> list[Line]:
        question = "\n".join([*arguments, text, *constraints, *self._limits(), self._circumstances()])
        memory = cache_directory() / "resolutions" / f"{hashlib.sha256(question.encode()).hexdigest()}.txt"
        answer = _recall(memory) if remember else None
        if answer is None:
            answer = self._compile(arguments, text, constraints)
            if remember:
                _keep(memory, answer)
        lines = read_lines(answer.splitlines(), self._source.folder, self._source.file)
        return [line.at(self._source.folder) for line in lines]

    def _limits(self) -> list[str]:
        limits = ["--exclude-newer", self._source.as_of] if self._source.as_of else []
        return [*limits, *(["--only-binary", ":all:"] if self._source.wheels_only else [])]

    def _compile(self, arguments: list[str], text: str, constraints: Sequence[str]) -> str:
        self._emit(Event(kind="start", subject="lock", message=f"resolving `{self._source.file}`"))
        command = [
            "pip",
            "compile",
            *arguments,
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--quiet",
            *self._limits(),
        ]
        command += ["--python", str(self._python.path)] + (["--offline"] if self._offline else [])
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as held:
            held.write("\n".join(constraints))
            held.flush()
            command += ["--constraint", held.name] if constraints else []
            done = run_uv(*command, cwd=self._source.folder, env=self._env, stdin=text.encode())
        if not done.ok:
            raise explain(done, f"resolve the packages of `{self._source.file}`", self._source.file)
        self._emit(Event(kind="finish", subject="lock", message=f"resolved `{self._source.file}`"))
        return done.text

    def _circumstances(self) -> str:
        """What else decides the answer: the interpreter, the indexes, folders of packages, and settings for uv."""
        build = self._python.build
        facts = [build.version, build.implementation, build.platform]
        facts += sorted(f"{name}={value}" for name, value in self._env.items() if name.startswith("UV_"))
        for name in ("pyproject.toml", "uv.toml"):
            path = self._source.folder / name
            facts.append(path.read_text("utf-8", "replace") if path.is_file() else "")
        facts += local_offers(self._options, self._source.folder, self._env)
        return "\n".join(facts)


def _recall(memory: Path) -> str | None:
    try:
        return memory.read_text("utf-8")
    except OSError:
        return None


def _keep(memory: Path, answer: str) -> None:
    try:
        write_atomic(memory, answer.encode(), durable=False)
    except OSError:
        pass  # resolving again costs time, not truth
