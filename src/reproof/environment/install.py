"""Putting into a fresh virtual environment exactly what a lock names, and checking that it is that."""

from __future__ import annotations

import errno
import fcntl
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from reproof.base.files import copy_private
from reproof.base.programs import Completed
from reproof.environment.equivalents import Equivalents
from reproof.environment.installed import Change, built_from_source, changed_files, list_distributions
from reproof.environment.lock import disagreements, indexes, pins
from reproof.environment.requirements import Line, read_lines
from reproof.environment.sources import LocalSource, local_sources, without_traces
from reproof.environment.uv import (
    cache_folder,
    choices,
    explain,
    lacks_a_package,
    run_uv,
    uv_environment,
    yanked,
)
from reproof.environment.values import Environment, EnvironmentRequest
from reproof.errors import EnvironmentBuildError
from reproof.model.event import Emit, Event

_FICLONE = 0x40049409
_BUILT = re.compile(rb"^\s*Built ([\w.-]+)==(\S+)", re.MULTILINE)


def make_empty(request: EnvironmentRequest, folder: Path) -> tuple[Path, Path]:
    """Make a virtual environment without packages in `folder`; returns its interpreter and its packages' folder.

    Raises:
        EnvironmentBuildError: uv refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = run_uv("venv", "--quiet", "--no-project", "--python", request.python.path, folder, cwd=Path("/"))
    if not done.ok:
        raise explain(done, f"make a virtual environment with `{request.python.path}`", request.lock.source)
    return folder / "bin" / "python", next((folder / "lib").glob("python3*")) / "site-packages"


def install(request: EnvironmentRequest, folder: Path, emit: Emit) -> Environment:
    """Install the lock of `request` into the virtual environment in `folder`.

    Raises:
        EnvironmentBuildError: uv refuses, or what it installed is not what the lock names.
    """
    work = _Installation(request, folder, emit)
    work.run()
    return work.result()


class _Installation:
    """One installation: uv's commands, the check of every file, and what is to be said about it."""

    def __init__(self, request: EnvironmentRequest, folder: Path, emit: Emit) -> None:
        self._request = request
        self._folder = folder
        self._emit = emit
        self._python = folder / "bin" / "python"
        self._site = next((folder / "lib").glob("python3*")) / "site-packages"
        self._local = local_sources(request)
        self._env = uv_environment(UV_PROJECT_ENVIRONMENT=str(folder), **indexes(request.lock))
        self._common = ["--link-mode", link_mode(folder.parent), "--no-compile-bytecode"]
        self._common += ["--offline"] if request.offline else []
        if request.wheels is not None:
            self._common += ["--no-index", "--find-links", str(request.wheels)]
        self._built: set[str] = set()
        self._conditions: list[str] = []

    def run(self) -> None:
        """Install, then see that every file is the one that was packed."""
        self._refuse_to_build()
        with without_traces(self._local):
            self._install()
            wrong = self._wrong()
            if wrong:
                self._take_afresh(wrong)

    def result(self) -> Environment:
        """The finished environment.

        Raises:
            EnvironmentBuildError: Other versions are installed than the lock names.
        """
        distributions = list_distributions([self._site], self._request.folder)
        if differing := disagreements(self._request.lock, distributions):
            raise EnvironmentBuildError(
                "the environment is not what its lock says", details=[("differs", line) for line in differing]
            )
        built = sorted(self._built.union(built_from_source(self._site)))
        self._conditions += [
            f"`{name}` was built from source, with build requirements that no hash locks" for name in built
        ]
        return Environment(
            folder=self._folder,
            python=self._python,
            site_packages=self._site,
            scripts=self._folder / "bin",
            base=self._request.python,
            distributions=distributions,
            conditions=tuple(self._conditions),
            paths=(self._site,),
        )

    def _install(self, *again: str) -> None:
        kind = self._request.lock.format
        if kind == "uv.lock":
            self._sync(again)
        elif kind == "pylock.toml":
            self._pylock(again)
        else:
            self._requirements(again)

    def _refuse_to_build(self) -> None:
        """Where building is forbidden to uv, it builds folders that are installed as links all the same."""
        for source in self._local if self._request.wheels_only else ():
            if not source.path.name.endswith(".whl"):
                raise EnvironmentBuildError(
                    f"`{source.name or source.path.name}` has to be built from source, and building was refused",
                    details=[("source", self._request.lock.source)],
                    hint="pass `--trust` if you trust who made the record",
                )

    def _requirements(self, again: Sequence[str]) -> None:
        lines = read_lines(
            self._request.lock.text.splitlines(), self._request.folder, self._request.lock.source
        )
        options = [_absolute(line, self._request.folder) for line in lines if line.option not in (None, "-e")]
        hashed = [line for line in lines if line.requirement and line.hashed]
        others = [line for line in lines if line.requirement and not line.hashed]
        if hashed:
            # With every file named by its hash it does not matter which index gives it.
            self._pip(options, hashed, ["--require-hashes", "--index-strategy", "unsafe-best-match", *again])
        if others:
            fresh = [
                word for source in self._local if source.name for word in ("--reinstall-package", source.name)
            ]
            fresh += ["--no-cache"] if any(source.name is None for source in self._local) else []
            self._pip(options, others, [*fresh, *again])

    def _pip(self, options: Iterable[Line], lines: Iterable[Line], more: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "requirements.txt"
            path.write_text("".join(f"{_placed(line).render()}\n" for line in (*options, *lines)), "utf-8")
            self._uv(
                "pip",
                "install",
                "--python",
                self._python,
                "--no-deps",
                "--requirements",
                path,
                *self._no_building(),
                *more,
            )

    def _pylock(self, again: Sequence[str]) -> None:
        own = self._request.folder / self._request.lock.source
        command = [
            "pip",
            "install",
            "--python",
            str(self._python),
            "--no-deps",
            "--preview-features",
            "pylock",
        ]
        command += [*self._no_building(), *again, "--requirements"]
        if self._same_text(own):
            self._uv(*command, own)
            return
        if self._local:
            raise self._other_text(own)
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "pylock.toml"
            path.write_text(self._request.lock.text, "utf-8")
            self._uv(*command, path)

    def _sync(self, again: Sequence[str]) -> None:
        own = self._request.folder / self._request.lock.source
        if not self._same_text(own):
            raise self._other_text(own)
        request = self._request
        command = [
            "sync",
            "--frozen",
            "--project",
            str(request.folder),
            "--python",
            str(self._python),
            *again,
        ]
        command += choices(request.groups, request.extras)
        command += [
            word for source in self._local if source.name for word in ("--reinstall-package", source.name)
        ]
        self._uv(*command, *(["--no-build"] if request.wheels_only else []))

    def _no_building(self) -> list[str]:
        return ["--only-binary", ":all:"] if self._request.wheels_only else []

    def _same_text(self, path: Path) -> bool:
        try:
            return path.read_text("utf-8") == self._request.lock.text
        except OSError:
            return False

    def _other_text(self, path: Path) -> EnvironmentBuildError:
        return EnvironmentBuildError(
            f"`{self._request.lock.source}` in the project is not the lock to be installed",
            details=[("project", str(path.parent))],
        )

    def _uv(self, *arguments: str | Path) -> Completed:
        done = run_uv(*arguments, *self._common, cwd=self._request.folder, env=self._env)
        if not done.ok:
            raise explain(
                self._asked_again(done, arguments), "install the packages", self._request.lock.source
            )
        for line in yanked(done):
            self._warn(line)
        self._built.update(
            f"{name.decode()}=={version.decode()}" for name, version in _BUILT.findall(done.stderr)
        )
        return done

    def _asked_again(self, failed: Completed, arguments: Sequence[str | Path]) -> Completed:
        """The same failure in words that tell a refused login from a missing package.

        uv names an index that refused access only where the first index with a package counts.
        """
        if "unsafe-best-match" not in arguments or not lacks_a_package(failed):
            return failed
        plain = [word for word in arguments if word not in ("--index-strategy", "unsafe-best-match")]
        again = run_uv(*plain, "--dry-run", *self._common, cwd=self._request.folder, env=self._env)
        return failed if again.ok else again

    def _wrong(self) -> list[Change]:
        """Files that are not as packed; files shared with another place are made private on the way."""
        known = Equivalents()
        changes = changed_files(self._site, known)
        known.save()
        for change in changes:
            if change.how == "shared":
                _make_private(self._site / change.path)
        return [change for change in changes if change.how != "shared"]

    def _take_afresh(self, wrong: list[Change]) -> None:
        """Replace packages whose files in uv's cache are not as packed, by ones from the index."""
        for more in ([], ["--no-cache"]):
            names = sorted({change.distribution for change in wrong})
            try:
                self._install(*(word for name in names for word in ("--reinstall-package", name)), *more)
            except EnvironmentBuildError as error:
                raise _stuck(wrong, error) from error
            before, wrong = wrong, self._wrong()
            for change in before:
                if change not in wrong:
                    self._warn(f"package cache {_word(change)} `{change.path}`; taken afresh")
            if not wrong:
                return
        self._judge(wrong)

    def _judge(self, wrong: list[Change]) -> None:
        """What even a fresh download has wrong was packed wrong, which its hash in the lock proves."""
        hashed = _hashed_names(self._request, self._local)
        for change in wrong:
            if self._request.offline or change.distribution not in hashed:
                raise EnvironmentBuildError(
                    f"`{change.path}` of `{change.distribution}` is not as it was packed",
                    details=[("state", change.how), ("source", self._request.lock.source)],
                    hint=f"run `uv cache clean {change.distribution}`"
                    + (" and go online" if self._request.offline else ""),
                )
            self._conditions.append(
                f"`{change.path}` of `{change.distribution}` is {change.how} in the published package itself"
            )

    def _warn(self, message: str) -> None:
        self._emit(Event(kind="warning", subject="environment", message=message))


def _stuck(wrong: list[Change], error: EnvironmentBuildError) -> EnvironmentBuildError:
    names = sorted({change.distribution for change in wrong})
    return EnvironmentBuildError(
        f"the package cache {_word(wrong[0])} `{wrong[0].path}` of `{wrong[0].distribution}`, and it cannot be taken afresh",
        details=[("reason", error.message), *error.details],
        hint=f"go online and run `uv cache clean {' '.join(names)}`",
    )


def link_mode(folder: Path) -> str:
    """How uv may place files below `folder`: ``clone`` where the file system shares blocks, else ``copy``.

    Tried, because uv itself falls back from cloning to hard links, and then one edit anywhere
    would be an edit in every environment.
    """
    if sys.platform == "darwin":
        return "clone"
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache) as source, tempfile.TemporaryFile(dir=folder) as target:
            source.write(b"x")
            source.flush()
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return "copy"
    return "clone"


def _make_private(path: Path) -> None:
    copy = path.with_name(f".{path.name}.private")
    copy_private(path, copy)
    copy.replace(path)


def _absolute(line: Line, folder: Path) -> Line:
    """An option line; a local folder of packages by its absolute path."""
    option, _, value = line.text.partition(" ")
    if option != "--find-links" or "://" in value:
        return line
    return msgspec.structs.replace(line, text=f"{option} {(folder / value).resolve()}")


def _placed(line: Line) -> Line:
    """A requirement line whose path, if any, is absolute: its file lies elsewhere than the project."""
    if line.path is None:
        return line
    relative = line.at(line.path.parent)
    return msgspec.structs.replace(
        relative, text=relative.text.replace(f"./{line.path.name}", str(line.path), 1)
    )


def _hashed_names(request: EnvironmentRequest, local: Iterable[LocalSource]) -> set[str]:
    if request.lock.format == "requirements":
        lines = read_lines(request.lock.text.splitlines(), request.folder, request.lock.source)
        return {line.name for line in lines if line.hashed and line.name}
    return set(pins(request.lock)) - {source.name for source in local if source.name}


def _word(change: Change) -> str:
    return "held a changed" if change.how == "changed" else "lacked"
