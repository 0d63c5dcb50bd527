"""Secrets among what a command was given: never recorded; a run that needs one cannot be re-created."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from reproof.capture.secrets import CONCEALED, conceal_in, is_secret
from reproof.errors import MaterialError, RecordError
from reproof.model.codec import decode_record, encode
from reproof.model.event import Emit, Event
from reproof.model.record import ProjectSection, Record

_HINT = "hand secrets over in an environment variable: only its name is recorded"


def conceal(project: ProjectSection, emit: Emit) -> ProjectSection:
    """The section as it may be recorded: values that look like secrets are left out, wherever they stand."""
    secrets = {name: value for name, value in project.parameters.items() if is_secret(name, value)}
    command = _without(project.command, secrets)
    argv = tuple(_without(word, secrets) for word in project.argv)
    if not secrets and command == project.command and argv == project.argv:
        return project
    named = ", ".join(f"`{name}`" for name in secrets) or "the command"
    emit(
        Event(
            kind="warning",
            subject="project",
            message=f"{named} looks like a secret and is not recorded: the run cannot be re-created",
            hint=_HINT,
        )
    )
    parameters = {name: CONCEALED if name in secrets else value for name, value in project.parameters.items()}
    return msgspec.structs.replace(project, parameters=parameters, command=command, argv=argv)


def sweep(record: Record, parameters: Mapping[str, str]) -> Record:
    """The record without the secrets among `parameters`, wherever they came back: in arguments of processes, in names."""
    secrets = [value for name, value in parameters.items() if is_secret(name, value)]
    text = encode(record).decode()
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(msgspec.json.encode(value).decode()[1:-1], CONCEALED)
    try:
        return decode_record(text.encode(), where="record") if secrets else record
    except RecordError:  # a "secret" like `finished` is a word of the record itself
        return record


def require_nothing_concealed(record: Record) -> None:
    """Refuse to re-run a command that was given a secret.

    Raises:
        MaterialError: Something that the command needs was not recorded.
    """
    section = record.project
    if not any(CONCEALED in word for word in (section.command, *section.argv)):
        return
    names = [name for name, value in section.parameters.items() if value == CONCEALED]
    raise MaterialError(
        "cannot re-create the run: its command was given a secret, which is not recorded",
        details=[("parameters" if names else "command", ", ".join(names) or section.command)],
        hint=_HINT,
    )


def _without(text: str, secrets: Mapping[str, str]) -> str:
    for value in sorted(secrets.values(), key=len, reverse=True):
        text = text.replace(value, CONCEALED)
    return conceal_in(text)
