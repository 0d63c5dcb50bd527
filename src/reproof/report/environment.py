"""The environment of a record as text and JSON, and as a software bill of materials."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from reproof.model.record import EnvironmentSection, NativeLibrary, Record
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint

SCHEMA = "reproof/environment/1"

_SHOWN = 400


def render_environment(
    identity: str,
    record: Record,
    format: str,  # noqa: A002  # as all renderers
    *,
    width: int = 100,  # noqa: ARG001  # as all renderers
    color: bool = False,
) -> str:
    """The environment section of the record with this id; `format` is ``text`` or ``json``."""
    section = record.environment
    if format == "json":
        return json_document({"schema": SCHEMA, "record": identity, **msgspec.to_builtins(section)})
    paint = Paint(color=color)
    lines = [f"environment of record {identity[:12]}", *_head(record)]
    lines += ["", paint(f"packages: {len(section.distributions)}", "bold")]
    for item in section.distributions[:_SHOWN]:
        source = f"  from {item.source}" if item.source else ""
        editable = ", editable" if item.editable else ""
        lines.append(f"  {plain(item.name)} {plain(item.version)}{plain(source)}{editable}")
    lines += _libraries(section.native, paint)
    if section.variables:
        lines += ["", paint("variables", "bold")]
        lines += [f"  {plain(name)}={plain(value)}" for name, value in section.variables.items()]
    lines += [paint(f"  {plain(line)}", "yellow") for line in section.disagreements]
    return "\n".join(lines) + "\n"


def _head(record: Record) -> Iterator[str]:
    section = record.environment
    python = section.python
    if python is not None and python.version:
        yield f"  python    {plain(python.version)}, {plain(python.build)}, {plain(python.compiler)}"
    yield f"  made by   {_maker(section)}"
    if section.image is not None:
        yield f"  image     {plain(section.image.reference)}"
        yield f"            {plain(section.image.digest or section.image.id)}"
    if section.lock is not None:
        how = "resolved for the run" if section.lock.resolved else "the project's own"
        yield f"  lock      {plain(section.lock.source)} ({section.lock.format}, {how})"
        for line in section.lock.unhashed:
            yield f"            not locked by hash: {plain(line)}"
    yield f"  system    {plain(record.hardware.system)}, {plain(record.hardware.libc)}"


def _maker(section: EnvironmentSection) -> str:
    return {
        "uv": "reproof, with uv, from the lock",
        "docker": "a container image",
        "local": "the user, without a lock",
        "none": "nobody: no Python environment",
    }[section.kind]


def _libraries(native: tuple[NativeLibrary, ...], paint: Paint) -> Iterator[str]:
    if not native:
        return
    yield from ("", paint(f"native libraries loaded: {len(native)}", "bold"))
    # Those that decide the last bits of results come first.
    for library in sorted(native, key=lambda each: each.kind is None)[:_SHOWN]:
        identity = library.build_id or (library.digest or "")[:16]
        package = f"  ({plain(library.package)})" if library.package else ""
        said = f"  {plain(library.said)}" if library.said else ""
        yield f"  {plain(library.path)}  {identity}{package}{said}"


def render_cyclonedx(identity: str, record: Record) -> str:
    """A software bill of materials of everything that the record says was installed or loaded: CycloneDX 1.6.

    The same record gives the same bytes. https://cyclonedx.org/docs/1.6/json/
    """
    section = record.environment
    components = [*_python(section), *map(_package, section.distributions), *_system(section.native)]
    return json_document(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'reproof:record:{identity}')}",
            "version": 1,
            "metadata": {
                "timestamp": record.created,
                "tools": {
                    "components": [
                        {"type": "application", "name": record.tool.name, "version": record.tool.version}
                    ]
                },
                "component": {
                    "type": "application",
                    "bom-ref": "project",
                    "name": record.project.name,
                    "version": record.code.commit,
                },
                "properties": [{"name": "reproof:record", "value": f"sha256:{identity}"}],
            },
            "components": components,
            "dependencies": [
                {"ref": "project", "dependsOn": sorted(str(item["bom-ref"]) for item in components)}
            ],
        }
    )


def _python(section: EnvironmentSection) -> Iterator[dict[str, Any]]:
    if section.image is not None:
        image = section.image
        yield {
            "type": "container",
            "bom-ref": "image",
            "name": image.reference,
            "version": image.digest or image.id,
        }
    python = section.python
    if python is not None and python.version:
        yield {
            "type": "platform",
            "bom-ref": "python",
            "name": python.implementation,
            "version": python.version,
            "purl": f"pkg:generic/{python.implementation}@{python.version}",
            "properties": [{"name": "reproof:build", "value": python.build}],
        }


def _package(item: Any) -> dict[str, Any]:
    purl = f"pkg:pypi/{item.name}@{item.version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": item.name,
        "version": item.version,
        "purl": purl,
    }
    properties = [{"name": "reproof:content", "value": f"sha256:{item.record}"}] if item.record else []
    properties += [{"name": "reproof:source", "value": item.source}] if item.source else []
    return {**component, "properties": properties} if properties else component


def _system(native: tuple[NativeLibrary, ...]) -> Iterator[dict[str, Any]]:
    """Libraries of the system, by the package that owns them; those of Python's packages are in these."""
    seen: set[str] = set()
    for library in native:
        if library.path.startswith("${ENV}/"):
            continue
        name, _, version = (library.package or library.path).partition(" ")
        reference = f"native:{name}"
        if reference in seen:
            continue
        seen.add(reference)
        component: dict[str, Any] = {"type": "library", "bom-ref": reference, "name": name}
        if library.package:
            component["version"] = version
        elif library.digest:
            component["hashes"] = [{"alg": "SHA-256", "content": library.digest}]
        yield component
