"""RO-Crate 1.1 metadata of a bundle, by the Process Run Crate profile 0.5: derived from the record alone.

https://w3id.org/ro/crate/1.1 and https://w3id.org/ro/wfrun/process/0.5
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.model.verdict import Verdict

METADATA = "ro-crate-metadata.json"
_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {
        "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
        "blake3": "urn:reproof:blake3",
    },
]
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_STATUS = {"finished": "CompletedActionStatus"}


def describe(
    identity: str, record: Record, verdicts: Sequence[Verdict], members: dict[str, str]
) -> dict[str, Any]:
    """The metadata document.

    Args:
        identity: Id of the record.
        record: The record.
        verdicts: On it, oldest first.
        members: Artifact name to the member of the bundle that has its content, where there is one.
    """
    code = f"#code-{record.code.commit}"
    inputs = [_file(each, members) for each in record.materials if each.origin != "git"]
    outputs = [_file(each, members, product=True) for each in record.products]
    values = [_value(name, value) for name, value in record.project.parameters.items()]
    parts = [
        _ref(f"records/{identity}.json"),
        *(_ref(each["@id"]) for each in (*inputs, *outputs) if each["@type"] == "File"),
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run of {record.project.name}",
        "description": f"A recorded run ({record.state}), with what is needed to verify it. Record sha256:{identity}.",
        "datePublished": record.created,
        "license": "Rights in code and data stay with their holders; see the repository in this bundle.",
        "conformsTo": _ref(_PROFILE),
        "hasPart": _some(_unique(parts)),
        "mentions": _some(
            [_ref("#run"), *(_ref(f"#verdict-{number}") for number, _ in enumerate(verdicts, 1))]
        ),
    }
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": _ref("https://w3id.org/ro/crate/1.1"),
        },
        root,
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        _record_file(identity),
        _action(record, code, [*inputs, *values], outputs),
        _software(record, code),
        *_unique([*inputs, *outputs, *values]),
        *_judgements(verdicts),
    ]
    return {"@context": _CONTEXT, "@graph": graph}


def members_of(members: Iterable[str], record: Record) -> dict[str, str]:
    """Where in a bundle with these members the content of each artifact is, by the artifact's name."""
    names = set(members)
    found: dict[str, str] = {}
    lock = record.environment.lock
    papers = [*([lock.artifact] if lock else []), *([record.code.patch] if record.code.patch else [])]
    for artifact in (*papers, *record.code.untracked, *record.materials, *record.products):
        blake3 = artifact.digests.get("blake3", "")
        place = f"store/objects/b3/{blake3[:2]}/{blake3[2:]}"
        if blake3 and place in names:
            found.setdefault(artifact.name, place)
    for artifact in record.materials:
        md5 = artifact.digests.get("md5", "")
        place = f"dvc/files/md5/{md5[:2]}/{md5[2:]}"
        if artifact.origin == "dvc" and place in names:
            found[artifact.name] = place
    return found


def _action(
    record: Record, code: str, objects: list[dict[str, Any]], outputs: list[dict[str, Any]]
) -> dict[str, Any]:
    action: dict[str, Any] = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of {record.project.name}",
        "description": record.project.command,
        "instrument": _ref(code),
        "startTime": record.byproducts.started or record.created,
        "actionStatus": f"http://schema.org/{_STATUS.get(record.state, 'FailedActionStatus')}",
    }
    if objects:
        action["object"] = _some(_unique([_ref(each["@id"]) for each in objects]))
    if outputs:
        action["result"] = _some(_unique([_ref(each["@id"]) for each in outputs]))
    return action


def _software(record: Record, code: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@id": code,
        "@type": "SoftwareSourceCode",
        "name": record.project.name,
        "version": record.code.commit,
    }
    if record.code.remote:
        found["codeRepository"] = record.code.remote
    if record.environment.python is not None:
        found["runtimePlatform"] = (
            f"{record.environment.python.implementation} {record.environment.python.version}"
        )
    return found


def _record_file(identity: str) -> dict[str, Any]:
    return {
        "@id": f"records/{identity}.json",
        "@type": "File",
        "name": "The record of the run",
        "encodingFormat": "application/json",
        "sha256": identity,
    }


def _file(artifact: Artifact, members: dict[str, str], *, product: bool = False) -> dict[str, Any]:
    """An artifact: a file of the bundle, or something that is only named."""
    place = members.get(artifact.name)
    entity: dict[str, Any] = {
        "@id": place or f"#{'product' if product else 'material'}-{_fragment(artifact.name)}",
        "@type": "File" if place else "CreativeWork",
        "name": artifact.name,
    }
    if place:
        entity["contentSize"] = str(artifact.size)
    entity |= {name: artifact.digests[name] for name in ("sha256", "blake3") if name in artifact.digests}
    return entity


def _value(name: str, value: str) -> dict[str, Any]:
    return {"@id": f"#parameter-{_fragment(name)}", "@type": "PropertyValue", "name": name, "value": value}


def _judgements(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "@id": f"#verdict-{number}",
            "@type": "AssessAction",
            "name": f"Verdict: {verdict.word}",
            "object": _ref("#run"),
            "endTime": verdict.created,
            "instrument": _ref("#reproof"),
        }
        for number, verdict in enumerate(verdicts, 1)
    ] + ([{"@id": "#reproof", "@type": "SoftwareApplication", "name": "reproof"}] if verdicts else [])


def _fragment(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def _ref(identity: str) -> dict[str, str]:
    return {"@id": identity}


def _some(items: list[dict[str, Any]]) -> Any:
    """JSON-LD writes a single value without a list."""
    return items[0] if len(items) == 1 else items


def _unique(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({each["@id"]: each for each in items}.values())
