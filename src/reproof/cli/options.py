"""Options that several verbs share, declared once."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from reproof.cli.console import Console
    from reproof.workflow.many import Hands

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("text", "json", "html", "markdown", "junit", "github")


class Terminal(NamedTuple):
    """How much is told, and how it looks.

    Attributes:
        verbose: Times -v.
        quiet: Times -q.
        color: ``auto``, ``always`` or ``never``.
    """

    verbose: int
    quiet: int
    color: Literal["auto", "always", "never"]

    def console(self, *, yields_to: tuple[str, ...] = ()) -> Console:
        """The receiver of events; see :class:`reproof.cli.console.Console`."""
        from reproof.cli.console import Console

        return Console(verbose=self.verbose, quiet=self.quiet, color=self.color, yields_to=yields_to)

    def look(self, output: Path | None) -> dict[str, Any]:
        """Width and colour for a document that goes to `output`, or to standard output."""
        from reproof.cli.console import is_colored

        if output is not None:
            return {"color": False}
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 100
        return {"color": is_colored(sys.stdout, self.color), "width": max(60, min(columns, 140))}


def shared(function: F) -> F:
    """-q, -v and --color, handed on as one argument `terminal`."""

    @functools.wraps(function)
    def collected(*arguments: Any, color: Any, verbose: int, quiet: int, **options: Any) -> Any:
        return function(*arguments, terminal=Terminal(verbose, quiet, color), **options)

    for option in (
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            envvar="REPROOF_COLOR",
            show_envvar=True,
            help="when to use colour; NO_COLOR is honoured",
        ),
        click.option("-v", "--verbose", count=True, help="tell more; show tracebacks"),
        click.option("-q", "--quiet", count=True, help="tell less"),
    ):
        collected = option(collected)
    return collected  # type: ignore[return-value]


def to_file(function: F) -> F:
    """-o: the file that a document goes to."""
    option = click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        help="write to a file instead of standard output",
    )
    return option(function)


def output(formats: tuple[str, ...] = FORMATS) -> Callable[[F], F]:
    """--output-format and -o: the form of what goes to standard output, or to a file."""

    def decorate(function: F) -> F:
        form = click.option(
            "--output-format",
            type=click.Choice(formats),
            default="text",
            envvar="REPROOF_OUTPUT_FORMAT",
            show_envvar=True,
            help="form of the result",
        )
        return form(to_file(function))

    return decorate


def policy(function: F) -> F:
    """--accept, --rtol, --atol: what still passes."""
    for option in (
        click.option("--atol", type=click.FloatRange(min=0), help="absolute tolerance for numbers"),
        click.option("--rtol", type=click.FloatRange(min=0), help="relative tolerance for numbers"),
        click.option(
            "--accept",
            type=click.Choice(["identical", "equivalent", "close"]),
            help="the worst outcome that passes  [default: equivalent; close with a tolerance]",
        ),
    ):
        function = option(function)
    return function


def offline(function: F) -> F:
    """--offline: no package is fetched."""
    return click.option(
        "--offline",
        is_flag=True,
        envvar="REPROOF_OFFLINE",
        show_envvar=True,
        help="make the environment from the package cache alone",
    )(function)


def isolation(function: F) -> F:
    """--isolation: how a re-run is kept apart."""
    return click.option(
        "--isolation",
        type=click.Choice(["auto", "none", "process", "bubblewrap", "docker"]),
        default="auto",
        show_default=True,
        envvar="REPROOF_ISOLATION",
        show_envvar=True,
        help="how the re-run is kept apart",
    )(function)


def stores(function: F) -> F:
    """--store: further places for content, as one tuple `stores`."""
    return click.option(
        "--store",
        "stores",
        multiple=True,
        type=click.Path(exists=True, file_okay=False),
        help="another project, its .reproof, or a DVC cache, to look for content in; repeatable",
    )(function)


def trust(function: F) -> F:
    """--trust: a stranger's record is treated like one's own."""
    return click.option("--trust", is_flag=True, help="treat a record that was not made here like your own")(
        function
    )


def timeout(function: F) -> F:
    """--timeout: seconds after which the command is ended."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="end the command after this time",
    )(function)


#: Re-runs at the same time on a cluster where the user does not say: it has a queue of its own.
_ON_CLUSTER = 1024


def jobs(function: F) -> F:
    """--jobs, --on and --resources: how many re-runs go on at the same time, where, and what each occupies."""
    for option in (
        click.option(
            "--resources",
            metavar="NAME=N,...",
            envvar="REPROOF_RESOURCES",
            show_envvar=True,
            callback=_resources,
            help="what each re-run occupies: cpus=2,GPU=1  [default: the settings', CPUs as recorded]",
        ),
        click.option(
            "--on",
            "cluster",
            metavar="ADDRESS",
            envvar="REPROOF_ON",
            show_envvar=True,
            callback=_cluster,
            help="a Dask cluster, as dask://HOST:PORT, instead of this machine",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(min=1, max=1024),
            metavar="N",
            envvar="REPROOF_JOBS",
            show_envvar=True,
            help="re-runs at the same time  [default: 1; on a cluster, as many as it takes]",
        ),
    ):
        function = option(function)
    return function


def hands(options: dict[str, Any], on_cluster: int = _ON_CLUSTER) -> Hands:
    """Take what :func:`jobs` declares out of `options`: who does the work."""
    from reproof.workflow.many import Hands

    count, cluster = options.pop("jobs"), options.pop("cluster")
    return Hands(
        count=count or (1 if cluster is None else on_cluster),
        cluster=cluster,
        resources=options.pop("resources"),
    )


def _resources(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, float]:
    """Read ``--resources``: positive amounts by name."""
    found: dict[str, float] = {}
    for word in filter(None, (value or "").split(",")):
        match = re.fullmatch(r"\s*([A-Za-z][\w.-]*)=([0-9]+(?:\.[0-9]+)?)\s*", word)
        if match is None or float(match[2]) <= 0:
            raise click.BadParameter(f"`{word}` is no amount like `GPU=1`", ctx, param)
        found[match[1]] = float(match[2])
    return found


def _cluster(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read ``--on``: the address that Dask understands."""
    if value is None:
        return None
    if not re.fullmatch(r"dask://(\[[0-9A-Fa-f:.]+\]|[^/:\s]+):[0-9]{1,5}", value):
        raise click.BadParameter(f"`{value}` is no address like `dask://HOST:PORT`", ctx, param)
    return f"tcp://{value[7:]}"
