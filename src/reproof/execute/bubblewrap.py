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
from reproof.execute.process import run_watched
from reproof.execute.protocol import Execution, Level, Watch
from reproof.model.recipe import Recipe

#: What programs expect below /etc; whatever else is there (keys, host names, tokens) stays out.
_ETC = (
    "alternatives",
    "debconf.conf",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "locale.alias",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "OpenCL",
    "os-release",
    "passwd",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

#: The first process in the sandbox. A shell, because it reaps orphans and gives the usual 126 and 127,
#: and ours rather than bwrap's own, because bwrap does not wait for that: times and memory would be lost.
#: Its traps keep its own fate apart from its child's, which gets the same signals, untrapped.
_FIRST_PROCESS = ("/bin/sh", "-c", 'trap : INT TERM HUP; "$@"; exit $?', "sh")


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may touch.

    Attributes:
        writable: Folders that it may change (the room).
        read_only: Folders and files that it may read besides: the environment, its interpreter's tree.
        network: Leave the network on.
        devices: Device nodes to pass through, such as those of a GPU.
    """

    writable: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()
    network: bool = False
    devices: tuple[Path, ...] = ()


class BubblewrapRunner:
    """Runs recipes confined by bubblewrap."""

    level: Level = "bubblewrap"

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement

    def run(self, recipe: Recipe, watch: Watch) -> Execution:
        """Run `recipe` confined; see :class:`reproof.execute.protocol.Runner`."""
        program = find("bwrap")
        if program is None:
            raise ExecutionError("`bwrap` is not installed", hint="apt-get install bubblewrap")
        for path in (*self._confinement.writable, *self._confinement.read_only):
            if not path.exists():
                raise ExecutionError(f"`{path}` is to be shown in the room and does not exist")
        inner = recipe.wrapped(*_FIRST_PROCESS)
        outer = inner.wrapped(str(program), *arguments(self._confinement), "--chdir", recipe.cwd, "--")
        return run_watched(outer, watch, spare_leader=True)


def arguments(confinement: Confinement) -> list[str]:
    """Options of bwrap for a confinement; later ones lie over earlier ones.

    No ``--new-session``: the runner starts bwrap in a session without a controlling terminal.
    """
    network = ["--share-net"] if confinement.network else []
    words = ["--unshare-all", *network, "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL", *_system()]
    if confinement.network:
        words += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    words += ["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys"]
    words += ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]  # noqa: S108 - theirs, not ours
    for device in confinement.devices:
        words += ["--dev-bind", str(device), str(device)]
    # Outer folders first: a room below a folder that is shown stays writable, and the reverse.
    binds = [(path, "--ro-bind") for path in confinement.read_only] + [
        (path, "--bind") for path in confinement.writable
    ]
    for path, kind in sorted(binds, key=lambda bind: len(bind[0].parts)):
        if not _is_system(path):
            words += [kind, str(path), str(path)]
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
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    for name in _ETC:
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
