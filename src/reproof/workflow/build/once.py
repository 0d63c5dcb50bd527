"""One build under given conditions, in a place of its own, without network."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof import injected
from reproof.base.programs import Completed, call, find
from reproof.build.adjusting import adjust_sdist, check_sdist
from reproof.build.conditions import Conditions
from reproof.build.members import Listing, Trait, differing, list_members
from reproof.build.system import BuildSystem
from reproof.build.trees import copy_tree, settle
from reproof.errors import ExecutionError, ProjectError
from reproof.execute.bubblewrap import arguments, visible
from reproof.execute.protocol import Confinement
from reproof.workflow.build.environment import Tools

_HOOKS = Path(injected.__file__).parent / "build" / "reproof_hooks.py"
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
#: What programs say when there is no network.
_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|Could not resolve host|NewConnectionError|nodename nor servname|Failed to establish a new connection"
    r"|No address associated with hostname|getaddrinfo|dns error|Network unreachable",
    re.IGNORECASE,
)

#: Kind of the wheel that was built from the source archive; it is compared with the one built directly.
THROUGH = "wheel through sdist"

#: What differs, by kind of archive.
Delta = dict[str, frozenset[Trait]]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where and with what all builds of one call are made.

    Attributes:
        root: Folder of this call.
        pristine: The clone that each build gets a copy of.
        subdirectory: Folder of the project below its top.
        system: The project's build system.
        tools: The environment.
        sandboxed: Bubblewrap keeps builds apart.
        network: Leave them the network.
        timeout: Seconds for one build.
    """

    root: Path
    pristine: Path
    subdirectory: str
    system: BuildSystem
    tools: Tools
    sandboxed: bool
    network: bool = False
    timeout: float | None = None


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What one build gave.

    Attributes:
        conditions: What it was subject to.
        files: Archives by kind.
        listings: What they consist of.
        adjusted: What was rewritten in which, by kind.
        requires: What the backend asks for beyond pyproject.toml.
        problem: Kind of failure; empty for none.
        words: What was said about it.
        seconds: Wall time.
    """

    conditions: Conditions
    files: dict[str, Path] = {}
    listings: dict[str, Listing] = {}
    adjusted: dict[str, tuple[str, ...]] = {}
    requires: tuple[str, ...] = ()
    problem: str = ""
    words: str = ""
    seconds: float = 0.0


class _Answer(msgspec.Struct):
    """What the program of the hooks writes."""

    requires: tuple[str, ...] = ()
    sdist: str | None = None
    wheel: str | None = None
    through: str | None = None
    problem: str = ""
    words: str = ""


_numbers = threading.Lock()
_renaming = threading.Lock()


def build_once(site: Site, conditions: Conditions) -> Built:
    """Build source archive and wheel under `conditions`; a failure of the build is part of what is given.

    Raises:
        ProjectError: The source archive leads out of its folder.
        ExecutionError: Nothing could be started, or it took too long.
    """
    begin = time.monotonic()
    slot = _new_slot(site)
    place = slot / conditions.place
    copy_tree(site.pristine, place / "source")
    settle(place / "source", umask=conditions.umask, epoch=conditions.epoch, touched=conditions.touched)
    for name in (conditions.home, "tmp", "out", "work"):
        (place / name).mkdir()
    with _entered(site, slot) as here:
        _request(site, conditions, here, place)
        done = _run(site, conditions, slot, here)
    built = _outcome(conditions, done, place / "out")
    return msgspec.structs.replace(built, seconds=time.monotonic() - begin)


def delta(one: Built, two: Built) -> Delta:
    """In what two builds differ, by kind of archive; empty for the same bytes."""
    failed = Listing(failure="failed")
    found = {
        kind: differing(one.listings.get(kind, failed), two.listings.get(kind, failed))
        for kind in ("sdist", "wheel")
    }
    if THROUGH in two.listings and not found["wheel"]:
        found["wheel"] = differing(one.listings["wheel"], two.listings[THROUGH])
    return {kind: traits for kind, traits in found.items() if traits}


def failure(site: Site, built: Built) -> ProjectError:
    """What to say about a controlled build that failed."""
    backend = site.system.backend
    said = "\n".join(built.words.strip().splitlines()[-12:])
    if built.problem == "backend":
        return ProjectError(
            f"the build backend `{backend}` cannot be loaded from what `build-system.requires` names",
            details=[("installed", ", ".join(site.tools.lock.names) or "nothing"), ("python", said)],
            hint="see `build-system` in pyproject.toml: `requires` must name what provides `build-backend`",
        )
    if _NETWORK.search(built.words) and not site.network:
        return ProjectError(
            "the build needs the network, and has none: what it fetches is locked by nothing",
            details=[("said", said)],
            hint="commit what it fetches, make it a build requirement, or pass `--allow-network`",
        )
    if built.problem == "escape":
        return ProjectError(
            "the source archive leads out of its folder: it is not unpacked",
            details=[("member", built.words)],
            hint="the backend, or a plugin of it, packs a file from outside of the project",
        )
    return ProjectError(f"`{backend}` cannot build the project", details=[("said", said)])


def _new_slot(site: Site) -> Path:
    with _numbers:
        slot = site.root / f"b{sum(1 for _ in site.root.glob('b*')):02}"
        slot.mkdir()
    return slot


@contextmanager
def _entered(site: Site, slot: Path) -> Iterator[Path]:
    """The name under which a build sees its slot: the same for all, so that paths differ only when varied."""
    here = site.root / "here"
    if site.sandboxed:
        yield here
        return
    with _renaming:
        slot.rename(here)
        try:
            yield here
        finally:
            here.rename(slot)


def _request(site: Site, conditions: Conditions, here: Path, place: Path) -> None:
    seen = here / conditions.place
    actions = ["requires", "sdist", "wheel", *(["through-sdist"] if conditions.through_sdist else [])]
    request = {
        "source": str(seen / "source" / site.subdirectory),
        "backend": site.system.backend,
        "backend_path": site.system.backend_path,
        "out": str(seen / "out"),
        "work": str(seen / "work"),
        "actions": actions,
        "have": site.tools.lock.names,
        "umask": conditions.umask,
        "cpus": conditions.cpus,
        "reversed": conditions.backwards,
    }
    where = place if site.sandboxed else seen
    (where / "request.json").write_bytes(msgspec.json.encode(request))


def _run(site: Site, conditions: Conditions, slot: Path, here: Path) -> Completed:
    seen = here / conditions.place
    environment = site.tools.environment
    env = conditions.environment(seen / "source", seen / "tmp")
    env.update(
        PATH=":".join([str(environment.scripts), *_SYSTEM_PATH]),
        HOME=str(seen / conditions.home),
        TMPDIR=str(seen / "tmp"),
    )
    # not `-I`, which would ignore PYTHONHASHSEED
    argv = [str(environment.python), "-s", str(_HOOKS), str(seen / "request.json")]
    if conditions.fixed_addresses:
        argv = ["setarch", "--addr-no-randomize", *argv]
    if not site.sandboxed:
        return call(argv, cwd=seen / "source", env=env, timeout=site.timeout)
    words = [*_sandbox(site, conditions, slot, here), "--chdir", str(seen / "source")]
    words += ["--clearenv", *(word for name, value in env.items() for word in ("--setenv", name, value))]
    return call([*words, "--", *argv], env={"PATH": ":".join(_SYSTEM_PATH)}, timeout=site.timeout)


def _sandbox(site: Site, conditions: Conditions, slot: Path, here: Path) -> list[str]:
    """Bubblewrap with `slot` under the name `here`; all else is read-only."""
    program = find("bwrap")
    if program is None:
        raise ExecutionError("`bwrap` is not installed", hint="apt-get install bubblewrap")
    base = site.tools.environment.base
    shown = visible([site.tools.environment.folder, base.prefix, base.path, _HOOKS.parent])
    words = [str(program), *arguments(Confinement(read_only=shown, network=site.network))]
    last = words[-2:]  # makes the root read-only: after what is still to be bound
    words = [*words[:-2], "--bind", str(slot), str(here)]
    if conditions.user is not None:
        number = str(conditions.user[0])
        words += ["--unshare-user", "--uid", number, "--gid", number]
    if conditions.host is not None:
        words += ["--hostname", conditions.host]
    return [*words, *last]


def _outcome(conditions: Conditions, done: Completed, out: Path) -> Built:
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    try:
        answer = msgspec.json.decode((out / "answer.json").read_bytes(), type=_Answer)
    except (OSError, msgspec.DecodeError) as error:
        return Built(conditions=conditions, problem="failed", words=said or str(error))
    if answer.problem:
        words = answer.words if answer.problem in ("backend", "escape") else f"{said}\n{answer.words}"
        return Built(conditions=conditions, problem=answer.problem, words=words)
    if answer.sdist is None or answer.wheel is None:
        return Built(conditions=conditions, requires=answer.requires, problem="requires")
    files = {"sdist": out / answer.sdist, "wheel": out / answer.wheel}
    if answer.through is not None:
        files[THROUGH] = out.parent / "work" / "wheel" / answer.through
    check_sdist(files["sdist"])
    adjusted = {"sdist": adjust_sdist(files["sdist"], conditions.epoch), "wheel": ()}
    try:
        listings = {kind: list_members(path) for kind, path in files.items()}
    except (OSError, ValueError) as error:
        raise ProjectError(
            "the backend wrote an archive that cannot be read", details=[("reason", str(error))]
        ) from error
    return Built(
        conditions=conditions,
        files=files,
        listings=listings,
        adjusted=adjusted,
        requires=answer.requires,
    )


def discard(built: Built) -> None:
    """Remove the tree of a build whose archives are all that is still needed."""
    for path in built.files.values():
        shutil.rmtree(path.parents[1] / "source", ignore_errors=True)
        break
