"""`reproof key`: the key that signs for you."""

from __future__ import annotations

import os
import sys

import click

from reproof.cli.options import Terminal, shared


@click.group("key", short_help="make and show signing keys")
def command() -> None:
    """Keys that sign runs, verdicts and approvals; they lie outside every project.

    REPROOF_KEY names the one to use (`none`: sign nothing), REPROOF_KEY_PASSPHRASE opens it.
    """


@command.command("new")
@click.option(
    "--identity", required=True, metavar="NAME@EXAMPLE.ORG", help="who you are in `allowed_signers`"
)
@click.option("--name", required=True, help="your name, as it shall stand below a signature")
@click.option("--key", "key", metavar="NAME", help="name of the key  [default: default, or REPROOF_KEY]")
@click.option("--no-passphrase", is_flag=True, help="do not ask for a passphrase: for machines")
@shared
def new(*, identity: str, name: str, key: str | None, no_passphrase: bool, terminal: Terminal) -> int:  # noqa: ARG001  # the options that all verbs have
    """Make an ed25519 key, and print the line for `allowed_signers`."""
    from reproof.attest.keys import key_path, make_key
    from reproof.workflow.trail import now

    place = key_path(key)
    passphrase = None if no_passphrase else _new_passphrase()
    note = make_key(place, identity, name, now(), passphrase)
    locked = (
        "with a passphrase" if note.encrypted else "without a passphrase: whoever can read the file can sign"
    )
    click.echo(f"made {place} ({locked})", err=True)
    click.echo(_line(note.identity, note.name, note.raw, note.created))
    return 0


@command.command("show")
@click.option("--key", "key", metavar="NAME", help="name of the key  [default: default, or REPROOF_KEY]")
@click.option("--pem", is_flag=True, help="the public key as PEM, for other programs")
@shared
def show(*, key: str | None, pem: bool, terminal: Terminal) -> int:
    """Print the line that allows this key in `allowed_signers`; nothing secret."""
    from reproof.attest.keys import key_id, key_path, public_pem, read_note

    place = key_path(key)
    note = read_note(place)
    if not terminal.quiet:
        click.echo(f"{place}: key {key_id(note.raw)[:12]} of {note.name} <{note.identity}>", err=True)
    click.echo(
        public_pem(note.raw).rstrip() if pem else _line(note.identity, note.name, note.raw, note.created)
    )
    return 0


def _line(identity: str, name: str, public: bytes, created: str) -> str:
    from reproof.attest.signers import line_for
    from reproof.model.statement import MEANINGS

    return line_for(identity, name, public, meanings=MEANINGS, after=created)


def _new_passphrase() -> str | None:
    """From REPROOF_KEY_PASSPHRASE, or asked for; an empty answer means none."""
    if word := os.environ.get("REPROOF_KEY_PASSPHRASE"):
        return word
    if not sys.stdin.isatty():
        return None
    answer: str = click.prompt(
        "passphrase (empty for none)",
        hide_input=True,
        confirmation_prompt=True,
        default="",
        show_default=False,
        err=True,
    )
    return answer or None


def passphrase_for(encrypted: bool) -> str | None:
    """The passphrase of an existing key: asked for where somebody can answer."""
    if not encrypted or os.environ.get("REPROOF_KEY_PASSPHRASE") or not sys.stdin.isatty():
        return None
    answer: str = click.prompt("passphrase", hide_input=True, err=True)
    return answer
