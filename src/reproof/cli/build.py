"""`reproof build`: bit-for-bit reproducible packages, proven by a second build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reproof.cli.options import Terminal, isolation, offline, output, shared, timeout

if TYPE_CHECKING:
    from reproof.model.build import BuildReport
    from reproof.model.event import Emit

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("build", short_help="build twice, compare the bytes")
@click.argument("project", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--revision", metavar="REV", help="commit, branch or tag  [default: what is checked out]")
@click.option("--dirty", is_flag=True, help="build what is not committed, too, and record that")
@click.option(
    "--out-dir", type=click.Path(file_okay=False, path_type=Path), help="where outputs go  [default: dist]"
)
@click.option(
    "--constraints",
    type=click.Path(dir_okay=False, path_type=Path),
    help="file that locks all build requirements with hashes  [default: constraints.txt and the like]",
)
@click.option("--lock", is_flag=True, help="write constraints.txt with what building needs today")
@click.option("--python", metavar="VERSION", help="Python to build with  [default: that of reproof]")
@click.option("--allow-network", is_flag=True, help="leave the network to the build")
@click.option("--check", "document", type=_FILE, help="re-create what a *.buildinfo.json describes")
@click.option("--against", "other", type=_FILE, help="say why a wheel or sdist made elsewhere differs")
@click.option("--strict", is_flag=True, help="exit status 1 unless the bytes never depend on anything varied")
@click.option(
    "--image", is_flag=True, help="build a container image instead, from the Dockerfile or a generated one"
)
@click.option(
    "--engine",
    type=click.Choice(["buildah", "podman", "docker"]),
    help="program that builds the image  [default: the first that can]",
)
@click.option("--file", metavar="NAME", help="the Dockerfile, below the project")
@click.option("--base", metavar="IMAGE", help="base image of a generated Dockerfile")
@click.option("--bytecode", is_flag=True, help="compile Python files in the image of a generated Dockerfile")
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="HERE:THERE[:ro]",
    help="folder that instructions see while the image is built; no part of it; repeatable",
)
@click.option("--tag", metavar="NAME", help="name of the image")
@isolation
@timeout
@offline
@output(("text", "json"))
@shared
def command(
    project: Path, *, terminal: Terminal, output_format: str, output: Path | None, **options: Any
) -> int:
    """Build wheel and sdist of PROJECT twice, the second time with everything varied, and compare the bytes.

    Both builds start from fresh clones of the commit, with build requirements locked by hashes, without
    network. Where the bytes agree, `dist/` gets the wheel, the sdist, and a `*.buildinfo.json` that
    `--check` re-creates them from. Otherwise the cause is found by varying one thing at a time.
    """
    from reproof.cli.console import write_document
    from reproof.report.build import exit_status_of, render_build

    strict = options.pop("strict")
    with terminal.console() as console:
        report = _work(project, options, console.emit)
    document = render_build(report, output_format, strict=strict, **terminal.look(output))
    write_document(document, output)
    return exit_status_of(report, strict=strict)


def _work(project: Path, options: dict[str, Any], emit: Emit) -> BuildReport:
    from reproof.workflow.build.build import BuildOptions, build
    from reproof.workflow.build.check import against, check

    document, other, wants_image = options.pop("document"), options.pop("other"), options.pop("image")
    image = {name: options.pop(name) for name in ("engine", "file", "base", "bytecode", "volumes", "tag")}
    chosen = BuildOptions(
        folder=project, outputs=options.pop("out_dir"), network=options.pop("allow_network"), **options
    )
    if wants_image:
        from reproof.workflow.build.image import ImageOptions, build_image, check_image

        wanted = ImageOptions(build=chosen, **image)
        return build_image(wanted, emit) if document is None else check_image(document, wanted, emit)
    if document is not None:
        return check(document, chosen, emit)
    if other is not None:
        return against(other, chosen, emit)
    return build(chosen, emit)
