"""Whether the sandbox of a room can start the interpreter of its environment, tried before the re-run.

Without that a command such as `python3` would be answered by another interpreter further down on PATH.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from reproof.base.access import describe, obstacles, this_user, way_to
from reproof.environment.values import Environment
from reproof.errors import EnvironmentBuildError
from reproof.execute.protocol import Confinement, Watch
from reproof.execute.select import Choice
from reproof.execute.system import TREES
from reproof.model.recipe import Recipe

_PATIENCE = 60.0  # seconds


def require_interpreter(choice: Choice, confinement: Confinement, environment: Environment) -> None:
    """Start the interpreter of a room's environment in the room's sandbox, without any package.

    A sandbox has no privileges, also where root starts it, and does not show everything.

    Args:
        choice: The runner; one that does not confine has nothing to be tried.
        confinement: What the runner shows.
        environment: The room's environment, outside of images.

    Raises:
        EnvironmentBuildError: It does not start; what is in the way is named.
        ExecutionError: The sandbox itself does not start.
    """
    if choice.level in ("none", "process"):
        return
    folder = confinement.writable[0]
    recipe = Recipe(
        argv=(str(environment.python), "-I", "-S", "-c", "pass"),
        env={"PATH": "/usr/bin:/bin"},
        cwd=str(folder),
    )
    with tempfile.TemporaryDirectory(prefix="reproof-reach-") as place:
        said = Path(place) / "stderr"
        done = choice.runner.run(recipe, Watch(stderr=said, timeout=_PATIENCE, end_left_behind=True))
        if done.status == 0:
            return
        words = said.read_text("utf-8", "replace").strip().splitlines()
    raise EnvironmentBuildError(
        f"the room's user cannot reach the interpreter `{environment.base.path}`",
        details=[
            ("isolation", choice.level),
            ("user", f"{this_user()}, without privileges"),
            *_in_the_way(choice, confinement, environment),
            *([("said", words[-1])] if words else []),
        ],
        hint="let its owner open it (`chmod -R o+rX`), or install that Python below /usr/local",
    )


def _in_the_way(
    choice: Choice, confinement: Confinement, environment: Environment
) -> Iterator[tuple[str, str]]:
    """What is closed or not shown on the way to the interpreter and to its library."""
    shown = [*(Path(name).resolve() for name in TREES), *(path for path, _ in confinement.binds())]
    library = environment.base.prefix / "lib"
    for goal in (environment.python, library):
        *_, last = way_to(goal)
        if not _is_within(last, shown):
            yield "not shown", f"`{last}`"
    closed = (*obstacles(environment.python, unprivileged=True), *obstacles(library, unprivileged=True))
    for path in dict.fromkeys(closed):
        # An engine has the privileges to enter what lies above; bwrap, in its namespace, has not.
        if choice.level == "bubblewrap" or _is_within(path, shown):
            yield "closed", describe(path)


def _is_within(path: Path, shown: list[Path]) -> bool:
    return any(path == outer or outer in path.parents for outer in shown)
