"""`verify BUNDLE`: everything from the one file, in a place made for it, and nothing believed unread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof.attest import checkpoint as notes
from reproof.attest.archive import Bundle, json_bytes
from reproof.attest.crate import METADATA, describe, members_of
from reproof.attest.dsse import strict_json, unseal
from reproof.attest.merkle import included, leaf_hash
from reproof.attest.signers import FILE, by_public, read_signers
from reproof.base.cloning import Checkout, clone_at
from reproof.base.locations import own_folder
from reproof.errors import TrustError, UsageError
from reproof.model.codec import decode_record, decode_verdict, record_id
from reproof.model.event import Emit, Event, silent
from reproof.model.record import Record
from reproof.model.statement import PROVENANCE
from reproof.model.verdict import Verdict
from reproof.workflow.verify import VerifyOptions, verify


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself.

    Attributes:
        record: Id of its record.
        project: Name of the project.
        folder: Name of the repository's folder.
        level: ``record``, ``code`` or ``data``.
        missing: What it lacks.
        tool: What made it.
    """

    schema: str
    record: str
    project: str
    folder: str
    level: str
    missing: tuple[str, ...] = ()
    tool: str = ""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was read and found to agree with itself.

    Attributes:
        facts: What it says of itself.
        record: Its record.
        verdicts: On it, oldest first.
        signed: Who signed what about it: lines for people; empty when nobody did.
    """

    facts: Facts
    record: Record
    verdicts: tuple[Verdict, ...]
    signed: tuple[str, ...]


def read_contents(bundle: Bundle) -> Contents:
    """Read the papers of a bundle and hold them against each other.

    Raises:
        TrustError: They do not agree.
        RecordError: The record cannot be read.
    """
    name = bundle.path.name
    try:
        facts = msgspec.convert(strict_json(bundle.read("reproof.json")), Facts)
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise TrustError(
            f"cannot read `reproof.json` of the bundle `{name}`", details=[("reason", str(error)[:200])]
        ) from error
    data = bundle.read(f"records/{facts.record}.json")
    if record_id(data) != facts.record:
        raise TrustError(f"the record in the bundle `{name}` is not the one that its name says")
    record = decode_record(data, where=name)
    verdicts = tuple(_verdicts(bundle, facts.record))
    members = members_of(bundle.names, record)
    if json_bytes(describe(facts.record, record, verdicts, members)) != bundle.read(METADATA):
        raise TrustError(f"`{METADATA}` of the bundle `{name}` does not say what its record says")
    return Contents(
        facts=facts, record=record, verdicts=verdicts, signed=tuple(_signatures(bundle, facts.record))
    )


def verify_bundle(
    path: Path, options: VerifyOptions | None = None, emit: Emit = silent
) -> tuple[Verdict, Record]:
    """Re-create the run in a bundle from the bundle alone, and compare.

    Raises:
        TrustError: The bundle was changed, or is none.
        UsageError: It does not hold what a re-run needs.
        MaterialError, EnvironmentBuildError, ExecutionError: As `verify`.
    """
    chosen = options or VerifyOptions()
    emit(Event(kind="start", subject="bundle", message=f"checking every byte of `{path.name}`"))
    with Bundle(path) as bundle:
        contents = read_contents(bundle)
        emit(Event(kind="finish", subject="bundle"))
        for line in contents.signed or ("nobody signed it: it proves what it holds, not who made it",):
            emit(Event(kind="note", subject="bundle", message=line))
        if contents.facts.level == "record":
            raise UsageError(
                f"cannot re-create the run: the bundle `{path.name}` holds the record alone",
                details=[("its record", contents.facts.record[:12])],
                hint="ask for one made with `--level data`",
            )
        with _workspace(bundle, contents) as top:
            wheels = top.parent / "wheels"
            more = msgspec.structs.replace(
                chosen,
                stores=(*chosen.stores, str(top.parent / "dvc")),
                wheels=wheels if (wheels / "requirements.txt").is_file() else None,
                log=False,
            )
            return verify(str(top / ".reproof" / "records" / f"{contents.facts.record}.json"), more, emit)


@contextmanager
def _workspace(bundle: Bundle, contents: Contents) -> Iterator[Path]:
    """The repository of the bundle, with its store, as if the run had been made there; removed afterwards."""
    folder_name = Path(contents.facts.folder).name or "project"
    if folder_name in {".", "..", "wheels", "dvc", "store", "records", "code", "log"}:
        folder_name = "project"
    with tempfile.TemporaryDirectory(prefix="reproof-bundle-") as place:
        bundle.extract(Path(place))
        top = Path(place) / folder_name
        code = contents.record.code
        checkout = Checkout(settings=code.checkout, branch=code.branch)
        clone_at(Path(place) / "code" / "repository.bundle", top, code.commit, checkout)
        own = own_folder(top)
        (own / "records").mkdir(exist_ok=True)
        for file in (Path(place) / "records").iterdir():
            file.rename(own / "records" / file.name)
        objects = Path(place) / "store" / "objects"
        if objects.is_dir():
            objects.rename(own / "objects")
        yield top


def _verdicts(bundle: Bundle, identity: str) -> Iterator[Verdict]:
    number = 1
    while (name := f"records/{identity}.verdict-{number}.json") in bundle.names:
        yield decode_verdict(bundle.read(name), where=name)
        number += 1


def _signatures(bundle: Bundle, identity: str) -> Iterator[str]:
    """Who said what about the record, as far as the bundle itself can show it.

    Raises:
        TrustError: An entry is not in the log that the checkpoint stands for, or its signature is wrong.
    """
    names = set(bundle.names)
    if "log/checkpoint" not in names:
        return
    note = notes.read(bundle.read("log/checkpoint"), where="log/checkpoint")
    signers = by_public(read_signers(bundle.read(f"log/{FILE}").decode("utf-8", "replace")))
    for item in strict_json(bundle.read("log/proofs.json")).get("entries", []):
        number = int(item["sequence"])
        data = bundle.read(f"log/{number:08d}.json")
        path = [bytes.fromhex(node) for node in item["path"]]
        if not included(leaf_hash(data), number, note.size, path, note.root):
            raise TrustError(
                f"entry {number} in the bundle `{bundle.path.name}` is not in the log that it names"
            )
        opened = unseal(data, where=f"entry {number}")
        signer, publics = opened.signer, opened.signed_by(signers)
        if signer is None or not opened.is_signed:
            continue
        if not publics:
            yield f"entry {number} is signed as `{signer.identity}` by a key that the bundle's `{FILE}` does not name"
            continue
        trouble = signers[min(publics)][0].trouble(signer.identity, signer.meaning, signer.time)
        kind = opened.statement.predicate_type
        about = "the run" if kind == PROVENANCE else kind.removeprefix("urn:reproof:").rpartition(":")[0]
        yield (
            f"entry {number}, {about}: signed by {signer.name} <{signer.identity}> as {signer.meaning} at {signer.time}"
            + (f", but {trouble}" if trouble else "")
        )
        if kind == PROVENANCE and not any(
            each.digest.get("sha256") == identity for each in opened.statement.subject
        ):
            raise TrustError(f"entry {number} in the bundle `{bundle.path.name}` is about another record")
