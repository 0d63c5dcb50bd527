"""`reproof keep`: content that neither Git nor DVC has."""

from __future__ import annotations

from pathlib import Path

import click

from reproof.cli.options import Terminal, shared


@click.command("keep", short_help="put data into the store")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared
def command(paths: tuple[Path, ...], *, terminal: Terminal) -> int:
    """Put files or folders that neither Git nor DVC has into the store.

    A run that reads them can then be re-created without them, also one that was recorded before.
    """
    from reproof.report.numbers import count_text
    from reproof.workflow.store_care import keep

    with terminal.console() as console:
        for path in paths:
            kept = keep(path, console.emit)
            what = f", {count_text(kept.files, 'file')}" if kept.kind == "directory" else ""
            click.echo(f"kept {kept.name}  blake3:{kept.blake3[:8]}{what}, {kept.size:,} bytes")
    return 0
