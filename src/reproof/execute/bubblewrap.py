"""Running a recipe in bubblewrap: no network, nothing to see but the room, nothing else to write.

https://github.com/containers/bubblewrap
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.base.programs import call, find
from reproof.errors import ExecutionError
from reproof.execute.limits import enforced, with_quota
from reproof.execute.process import run_watched
from reproof.execute.protocol import Confinement, Execution, Level, Watch
from reproof.execute.system import ETC, TREES
from reproof.model.recipe import Recipe

#: The first process in the sandbox. A shell, because it reaps orphans and gives the usual 126 and 127,
#: and ours rather than bwrap's own, because bwrap does not wait for that: times and memory would be lost.
#: Its traps keep its own fate apart from its child's, which gets the same signals, untrapped.
_FIRST_PROCESS = ("/bin/sh", "-c", 'trap : INT TERM HUP; "$@"; exit $?', "sh")


class BubblewrapRunner:
    """Runs recipes confined by bubblewrap."""

    level: Level = "bubblewrap"

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement

    def run(self, recipe: Recipe, watch: Watch) -> Execution:
        """Run `recipe` confined; see :class:`reproof.execute.protocol.Runner`.

        Raises:
            ExecutionError: bwrap is not installed, or a path that is to be shown does not exist.
        """
        program = find("bwrap")
        if program is None:
            raise ExecutionError("`bwrap` is not installed", hint="apt-get install bubblewrap")
        for path in self._confinement.shown:
            if not path.exists():
                raise ExecutionError(f"`{path}` is to be shown in the room and does not exist")
        inner = recipe.with_env(self._confinement.variables).wrapped(*_FIRST_PROCESS)
        words = [*arguments(self._confinement), *_loader_variables(recipe), "--chdir", recipe.cwd, "--"]
        with enforced(self._confinement.limits) as enforcement:
            outer = inner.wrapped(*enforcement.prefix, str(program), *words)
            outer = outer.with_env(dict.fromkeys(filter(_is_loaders, recipe.env)))
            outer = msgspec.structs.replace(outer, cwd="/")
            done = run_watched(outer, with_quota(watch, self._confinement), spare_leader=True)
            return msgspec.structs.replace(done, exceeded=done.exceeded or enforcement.exceeded())


def _is_loaders(name: str) -> bool:
    """Variables that decide which code a program loads: they are for the run, not for bwrap, which is outside."""
    return name.startswith(("LD_", "GLIBC_", "MALLOC_", "GCONV_", "LOCPATH"))


def _loader_variables(recipe: Recipe) -> Iterator[str]:
    for name in filter(_is_loaders, recipe.env):
        yield from ("--setenv", name, recipe.env[name])


def arguments(confinement: Confinement) -> list[str]:
    """Options of bwrap for a confinement; later ones lie over earlier ones.

    No ``--new-session``: the runner starts bwrap in a session without a controlling terminal.
    """
    network = ["--share-net"] if confinement.network else []
    words = ["--unshare-all", *network, "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL", *_system()]
    if confinement.network:
        words += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    words += ["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys"]
    # The kernel lets root's own user id write settings from within any user namespace.
    words += ["--ro-bind-try", "/proc/sys", "/proc/sys"]
    size = ["--size", str(confinement.limits.disk)] if confinement.limits.disk is not None else []
    words += [*size, "--tmpfs", "/tmp", *size, "--tmpfs", "/var/tmp"]  # noqa: S108 - theirs, not ours
    words += [*size, "--tmpfs", "/dev/shm"] if size else []  # noqa: S108
    for device in confinement.devices:
        words += ["--dev-bind", str(device), str(device)]
    for path, writable in confinement.binds():
        if not _is_system(path):
            words += ["--bind" if writable else "--ro-bind", str(path), str(path)]
    for source, target in confinement.lent:
        words += ["--ro-bind", str(source), str(target)]
    return [*words, "--remount-ro", "/"]


@functools.lru_cache(maxsize=1)
def probe() -> str | None:
    """Why bubblewrap cannot be used here; None where it can. Tried once per process, by running it."""
    program = find("bwrap")
    if program is None:
        return "`bwrap` is not installed (apt-get install bubblewrap)"
    try:
        done = call(
            [program, *arguments(Confinement()), "--", "true"], env={"PATH": "/usr/bin:/bin"}, timeout=20
        )
    except ExecutionError as error:
        return error.message
    if done.ok:
        return None
    words = done.complaint
    if "uid map" in words or "namespace" in words or "Operation not permitted" in words:
        return f"the kernel forbids user namespaces here ({words})"
    return words


def _system() -> Iterator[str]:
    """The operating system, read-only; links such as /bin -> usr/bin as they are."""
    for name in TREES:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    for name in ETC:
        if Path("/etc", name).exists():
            yield from ("--ro-bind", f"/etc/{name}", f"/etc/{name}")


def _is_system(path: Path) -> bool:
    return any(path == Path(name) or Path(name) in path.parents for name in ("/usr",))


def visible(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Paths to show for programs and trees to work: each by its name, and where a link leads."""
    found: dict[Path, None] = {}
    for path in paths:
        for item in (path.absolute(), path.resolve()):
            if item.exists():
                found.setdefault(item)
    return tuple(found)
