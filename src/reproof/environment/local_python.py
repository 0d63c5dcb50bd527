"""The user's own environment: looked at, never touched; watched through an overlay of the same interpreter."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from reproof import injected
from reproof.base.files import locked, remove_tree, write_atomic
from reproof.base.locations import cache_directory
from reproof.base.programs import call
from reproof.base.scripts import script_head
from reproof.environment import jupyter, prefix
from reproof.environment.installed import edited_files, list_distributions, with_edits
from reproof.environment.python import interpreter_at, require_reachable
from reproof.environment.uv import explain, run_uv
from reproof.environment.values import Environment
from reproof.errors import EnvironmentBuildError, ExecutionError

_QUESTION = """
import json, os, site, sys, sysconfig
known = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *getattr(site, "getsitepackages", list)()]
if getattr(site, "ENABLE_USER_SITE", False):
    known.append(site.getusersitepackages())
print(json.dumps({
    "executable": sys.executable, "prefix": sys.prefix, "scripts": sysconfig.get_path("scripts"),
    "purelib": sysconfig.get_path("purelib"), "path": [item for item in sys.path if item],
    "site": [item for item in dict.fromkeys(known) if os.path.isdir(item)],
}))
"""
_MARKER = "reproof-overlay"
#: Scripts of the operating system's own Python: they, and what lies around them, are too many to mirror, and not
#: the user's.
_SYSTEM_SCRIPTS = {Path("/usr/bin"), Path("/bin")}


class _Answer(msgspec.Struct):
    """What the user's interpreter says of itself."""

    executable: str
    prefix: str
    scripts: str
    purelib: str
    path: list[str]
    site: list[str]


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual environment that shows the user's packages and loads reproof's bootstrap first.

    Attributes:
        folder: Its root.
        python: Its interpreter.
        scripts: Its `bin`, to stand first on PATH; holds the user's scripts too, run by `python`.
    """

    folder: Path
    python: Path
    scripts: Path


def find_local_python(env: Mapping[str, str] | None = None) -> Path:
    """The `python` that a command would run: the first on PATH, as it calls itself (shims resolved).

    Args:
        env: Variables whose PATH counts; ours by default.

    Raises:
        EnvironmentBuildError: There is none, or it does not start.
    """
    path = (os.environ if env is None else env).get("PATH")
    found = shutil.which("python", path=path) or shutil.which("python3", path=path)
    if found is None:
        raise EnvironmentBuildError(
            "there is no `python` on PATH",
            hint="activate an environment, or run without `--env-manager local`",
        )
    return Path(_ask(Path(found), env).executable)


def inspect(python: Path, project: Path | None = None) -> Environment:
    """The environment that `python` belongs to, and everything installed in it.

    Args:
        python: Its interpreter; a link into a virtual environment stays one.
        project: The project's folder; sources within are written ``${PROJECT}/...``.

    Raises:
        EnvironmentBuildError: It is no working Python 3.
    """
    answer = _ask(python, None)
    site = [Path(item) for item in answer.site]
    edits = edited_files(site)
    paths = [Path(item) for item in dict.fromkeys([*answer.path, *answer.site]) if Path(item).is_dir()]
    return Environment(
        kind="local",
        folder=Path(answer.prefix),
        python=Path(answer.executable),
        site_packages=Path(answer.purelib),
        scripts=Path(answer.scripts),
        base=interpreter_at(Path(answer.executable)),
        distributions=with_edits(list_distributions(paths, project), edits),
        conditions=tuple(f"{change} since it was installed" for change in edits),
        paths=tuple(site),
    )


def overlay(environment: Environment) -> Overlay:
    """The overlay for the user's own environment, made on first use.

    Nothing is written into the environment itself. Scripts, and data below its prefix, that were
    installed after the overlay was made give a new one.

    Raises:
        EnvironmentBuildError: No virtual environment can be made with that interpreter.
    """
    scripts = _python_scripts(environment)
    facts = [
        str(environment.python),
        environment.base.version,
        environment.base.build.build,
        injected.version(),
        [str(path) for path in environment.paths],
        sorted((path.name, path.stat().st_mtime_ns) for path in scripts),
        jupyter.facts(environment),
        [] if _is_system(environment) else prefix.names(environment),
    ]
    key = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:20]
    folder = cache_directory() / "overlays" / key
    result = Overlay(folder=folder, python=folder / "bin" / "python", scripts=folder / "bin")
    with locked(folder.with_name(f"{key}.lock")):
        if not (folder / _MARKER).exists() or not result.python.exists():
            remove_tree(folder)
            _make(environment, result, scripts)
    return result


def _make(environment: Environment, result: Overlay, scripts: list[Path]) -> None:
    base = environment.base.path
    done = run_uv("venv", "--quiet", "--no-project", "--python", base, result.folder, cwd=Path("/"))
    if not done.ok:
        raise explain(done, f"make an overlay of `{environment.python}`", str(environment.python))
    site = next((result.folder / "lib").glob("python3*")) / "site-packages"
    injected.install(site, python=result.python)
    # Read after reproof.pth, by its name. addsitedir, because their folders have .pth files too.
    lines = [f"import site; site.addsitedir({str(path)!r})\n" for path in environment.paths]
    (site / "reproof_user_packages.pth").write_text("".join(lines), "utf-8")
    for script in scripts:
        if not (result.scripts / script.name).exists():
            _mirror(script, result)
    jupyter.show(environment, result.folder, result.python)
    if not _is_system(environment):
        prefix.show(environment, result.folder)
    write_atomic(result.folder / _MARKER, b"", durable=False)


def _mirror(script: Path, result: Overlay) -> None:
    """The user's script with the overlay's interpreter in its first line."""
    head = script_head(script)
    body = script.read_bytes()[head.size if head is not None else 0 :]
    copy = result.scripts / script.name
    copy.write_bytes(b"#!" + os.fsencode(result.python) + b"\n" + body)
    copy.chmod(0o755)


def _python_scripts(environment: Environment) -> list[Path]:
    """Scripts of the environment that name its own interpreter in their head."""
    if _is_system(environment) or not environment.scripts.is_dir():
        return []
    own = {environment.scripts, environment.python.parent}
    found = []
    for path in sorted(environment.scripts.iterdir()):
        head = script_head(path)
        interpreter = Path(head.interpreter) if head is not None else Path()
        if interpreter.parent in own and interpreter.name.startswith("python"):
            found.append(path)
    return found


def _is_system(environment: Environment) -> bool:
    return environment.scripts in _SYSTEM_SCRIPTS


def _ask(python: Path, env: Mapping[str, str] | None) -> _Answer:
    try:
        done = call([python, "-c", _QUESTION], cwd=Path("/"), env=env, timeout=60)
        answer = (
            msgspec.json.decode(done.stdout.splitlines()[-1], type=_Answer)
            if done.ok and done.stdout
            else None
        )
    except (ExecutionError, msgspec.DecodeError):
        answer = None
    if answer is None:
        require_reachable(python)
        raise EnvironmentBuildError(f"`{python}` is not a working Python 3")
    return answer
