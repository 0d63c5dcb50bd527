"""Running a recipe in a container of docker or podman.

A room's environment is made for this machine's system, so the container shows that system, read-only,
over an empty image; a run that was recorded in an image gets that very image, by its id.
"""

from __future__ import annotations

import functools
import io
import os
import resource
import secrets
import signal
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof.base.containers import Engine, find_engine
from reproof.base.files import read_plain
from reproof.errors import ExecutionError
from reproof.execute.limits import with_quota
from reproof.execute.process import run_watched
from reproof.execute.protocol import Confinement, Execution, Level, Limits, Watch
from reproof.execute.system import ETC, TREES
from reproof.model.recipe import Recipe

_EMPTY = "reproof-empty"
_END = "/.reproof-end"

#: The first process of the container. It outlives signals, reaps orphans and notes the CPU time of all.
_SCRIPT = f"""trap : INT TERM HUP
"$@"
s=$?
times > {_END}/times
for f in memory/memory.max_usage_in_bytes memory.peak; do
    [ -r /sys/fs/cgroup/$f ] && read m < /sys/fs/cgroup/$f && echo $m > {_END}/memory
done
for f in memory/memory.oom_control memory.events; do
    [ -r /sys/fs/cgroup/$f ] && while read k n; do [ "$k" = oom_kill ] && echo $n > {_END}/killed; done < /sys/fs/cgroup/$f
done
exit $s
"""
_FIRST_PROCESS = ("/bin/sh", "-c", _SCRIPT, "sh")
_PODMANS = 1 << 15  # processes: podman lowers its own limit, to what depends on its version
_TOO_LONG = 4096  # bytes of what the first process writes down


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is made from.

    Attributes:
        image: Id of the image; None for this machine's own system over an empty one.
        volumes: Folders of this machine at other places in the container: ``(source, target, writable)``.
        sealed: Nothing but the writable folders can be changed, no privilege is left. False for a
            project's own run, which gets a root that it may write, as MLflow gives it one.
        user: User and group id that it runs as; None for those of the image.
    """

    image: str | None = None
    volumes: tuple[tuple[str, str, bool], ...] = ()
    sealed: bool = True
    user: str | None = None


class DockerRunner:
    """Runs recipes in containers."""

    level: Level = "docker"

    def __init__(self, confinement: Confinement, container: Container | None = None) -> None:
        self._confinement = confinement
        self._container = container or Container(user=f"{os.getuid()}:{os.getgid()}")

    def run(self, recipe: Recipe, watch: Watch) -> Execution:
        """Run `recipe` in a container; see :class:`reproof.execute.protocol.Runner`.

        Raises:
            ExecutionError: There is no engine, it refuses, or a path that is to be shown does not exist.
        """
        engine = find_engine()
        recipe = recipe.with_env(self._confinement.variables)
        for path in self._confinement.shown:
            if not path.exists():
                raise ExecutionError(f"`{path}` is to be shown in the room and does not exist")
        image = self._container.image or empty_image(engine)
        name = f"reproof-{secrets.token_hex(8)}"
        with tempfile.TemporaryDirectory(prefix="reproof-end-") as end:
            Path(end).chmod(0o777)  # the container's user may be another
            words = [*self._options(name, Path(end)), *_own_limits(engine), "--workdir", recipe.cwd]
            words += [*_variables(recipe.env), image, *_FIRST_PROCESS]
            outer = Recipe(argv=(str(engine.program), *words, *recipe.argv), env=_around(recipe.env), cwd="/")
            with _removed(engine, name):
                done = run_watched(
                    outer, with_quota(watch, self._confinement), send=functools.partial(_signal, engine, name)
                )
            return _completed(done, Path(end), watch)

    def _options(self, name: str, end: Path) -> list[str]:
        confinement, container = self._confinement, self._container
        words = ["run", "--rm", "--name", name, "--pull", "never", "--sig-proxy=false", "--entrypoint", ""]
        words += ["--network", "host" if confinement.network else "none", "--hostname", "room"]
        words += ["--user", container.user] if container.user is not None else []
        if container.sealed:
            size = f",size={confinement.limits.disk}" if confinement.limits.disk is not None else ""
            words += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
            for folder in ("/tmp", "/var/tmp"):  # noqa: S108 - theirs, not ours
                words += ["--tmpfs", f"{folder}:rw,exec,mode=1777{size}"]
        words += _limits(confinement.limits)
        for device in confinement.devices:
            words += ["--device", str(device)]
        for mount in self._mounts(end):
            words += ["--mount", mount]
        return words

    def _mounts(self, end: Path) -> Iterator[str]:
        if self._container.image is None:
            for path in (*(Path(name) for name in TREES), *(Path("/etc", name) for name in ETC)):
                if path.exists() and not path.is_symlink() and path.name not in ("hosts", "resolv.conf"):
                    yield _mount(str(path), str(path), writable=False)
        yield _mount(str(end), _END, writable=True)
        shown = [
            (str(path), str(path), writable)
            for path, writable in self._confinement.binds()
            if not (self._container.image is None and path.is_relative_to("/usr"))
        ]
        lent = [(str(source), str(target), False) for source, target in self._confinement.lent]
        # Outer folders first: the inner one counts.
        for source, target, writable in sorted(
            [*shown, *self._container.volumes, *lent], key=lambda bind: bind[1].count("/")
        ):
            yield _mount(source, target, writable=writable)


def empty_image(engine: Engine) -> str:
    """Id of the image with nothing in it but this system's links such as ``/bin -> usr/bin``; made when absent.

    Raises:
        ExecutionError: The engine does not take it.
    """
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in TREES:
            path = Path(name)
            entry = tarfile.TarInfo(name.lstrip("/"))
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            else:
                continue
            archive.addfile(entry)
    content = data.getvalue()
    tag = f"{_EMPTY}:{_digest(content)}"
    known = engine.find_image(tag)
    if known is not None:
        return known.id
    done = engine.ask("import", "-", tag, stdin=content, timeout=120)
    made = engine.find_image(tag) if done.ok else None
    if made is None:
        raise ExecutionError(
            "the container engine does not take an image", details=[(engine.name, done.complaint)]
        )
    return made.id


@functools.lru_cache(maxsize=1)
def probe() -> str | None:
    """Why containers cannot be used here; None where they can. Tried once per process, by running one."""
    try:
        engine = find_engine()
        with tempfile.TemporaryDirectory(prefix="reproof-probe-") as folder:
            here = Path(folder).resolve()
            runner = DockerRunner(Confinement(writable=(here,)))
            recipe = Recipe(argv=("/bin/sh", "-c", 'echo x > "$0/seen"', str(here)), env={}, cwd=str(here))
            watch = Watch(stderr=here / "error", timeout=60)
            done = runner.run(recipe, watch)
            if done.status == 0 and (here / "seen").exists():
                return None
            words = (here / "error").read_text("utf-8", "replace").strip().splitlines()
            return f"a container of `{engine.name}` does not run here: {words[-1] if words else done.status}"
    except ExecutionError as error:
        return "; ".join([error.message, *(f"{label}: {text}" for label, text in error.details)])


def _digest(content: bytes) -> str:
    from reproof.base.digesting import digest_bytes

    return digest_bytes(content)["blake3"][:16]


def _mount(source: str, target: str, *, writable: bool) -> str:
    """One bind mount, as a row of comma-separated values, in which a path may hold a comma."""
    fields = ["type=bind", f"source={source}", f"target={target}", *([] if writable else ["readonly"])]
    quoted = [
        '"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field for field in fields
    ]
    return ",".join(quoted)


def _own_limits(engine: Engine) -> list[str]:
    """Options by which podman asks for no higher limits of a process than we may have: it would get none.

    docker's daemon sets them, with the rights of its own.
    """
    if engine.name != "podman":
        return []
    words = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        _, most = resource.getrlimit(number)
        bound = min(most, _PODMANS) if number == resource.RLIMIT_NPROC else most
        if most != resource.RLIM_INFINITY:
            words += ["--ulimit", f"{name}={bound}:{bound}"]
    return words


def _limits(limits: Limits) -> list[str]:
    words = ["--pids-limit", str(limits.processes)] if limits.processes is not None else []
    if limits.memory is not None:
        words += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--ulimit", "core=0"]
        return words
    return [*words, "--shm-size", "2g"]


#: Variables that decide what the engine's own command does: never taken from a recipe.
_OWN = ("PATH", "HOME", "DOCKER_", "CONTAINER", "LD_", "XDG_", "GLIBC_", "MALLOC_", "TMPDIR", "SSL_", "http")


def _variables(env: dict[str, str]) -> list[str]:
    """Options that hand `env` to the container: by name alone, so that no list of processes shows values."""
    words = []
    for name, value in env.items():
        words += ["--env", f"{name}={value}" if name.startswith(_OWN) else name]
    return words


def _around(env: dict[str, str]) -> dict[str, str]:
    """The environment of the engine's command: ours, with the values that go to the container by name."""
    return {**os.environ, **{name: value for name, value in env.items() if not name.startswith(_OWN)}}


def _signal(engine: Engine, name: str, number: int) -> None:
    """Bring a signal to every process of a container but its first, or kill it as a whole."""
    if number == signal.SIGKILL:
        engine.ask("kill", name, timeout=60)
    elif number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        engine.ask("exec", name, "/bin/sh", "-c", f"kill -{number} -1", timeout=60)


@contextmanager
def _removed(engine: Engine, name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.remove_container(name)
        raise


def _completed(done: Execution, end: Path, watch: Watch) -> Execution:
    """The execution with the container's own costs; one that the engine did not start is an error."""
    times, memory = _note(end / "times"), _note(end / "memory")
    if done.status == 125 and not times:
        reason = ""
        if watch.stderr is not None and watch.stderr.exists():
            reason = watch.stderr.read_text("utf-8", "replace").strip()[-2000:]
        raise ExecutionError("the container engine did not start the run", details=[("engine", reason)])
    words = times.split()
    seconds = sum(_seconds(word) for word in words[2:4]) if len(words) == 4 else 0.0
    peak = int(memory) if memory.strip().isdigit() else 0
    killed = _note(end / "killed").strip() not in ("", "0") or (done.status == 137 and not words)
    exceeded = done.exceeded or ("more memory than allowed" if killed and not _was_ended(done) else None)
    return msgspec.structs.replace(done, cpu_seconds=seconds, peak_memory=peak, exceeded=exceeded)


def _was_ended(done: Execution) -> bool:
    """It was ended by us: that its first process wrote nothing down means nothing then."""
    return done.timed_out or done.interrupted is not None


def _note(path: Path) -> str:
    try:
        return read_plain(path, _TOO_LONG).decode("ascii", "replace")
    except OSError:
        return ""


def _seconds(word: str) -> float:
    """``1m2.5s`` as seconds."""
    minutes, _, seconds = word.removesuffix("s").partition("m")
    try:
        return int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
