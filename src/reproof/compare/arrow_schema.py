"""Schemas of Arrow and Parquet: names, types, nullability and metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reproof.compare.arrow_layout import plain_type
from reproof.compare.protocol import ContentError
from reproof.compare.tables import changed_part, clipped, column_name, compare_names
from reproof.model.difference import Difference

if TYPE_CHECKING:
    import pyarrow as pa

#: Set by readers or writers, and said by the schema itself.
_OF_THE_FORMAT = {b"ARROW:schema", b"PARQUET:field_id"}
_WRITER_VERSIONS = {b"org.apache.spark.version"}
_PANDAS_VERSIONS = ("creator", "pandas_version")


def compare_schemas(one: pa.Schema, two: pa.Schema) -> tuple[list[Difference], set[str], list[str]]:
    """What differs between two schemas.

    Returns:
        The parts that differ; the names of what was set aside; and the columns, in the order of
        `one`, whose values can be compared: both have them, with the same plain type.

    Raises:
        ContentError: Two columns of one side have the same name.
    """
    for side in (one, two):
        if len(set(side.names)) != len(side.names):
            raise ContentError("two columns have the same name")
    parts = compare_names(one.names, two.names)
    names: set[str] = set()
    comparable: list[str] = []
    for name in one.names:
        if two.get_field_index(name) < 0:
            continue
        found = _compare_fields(one.field(name), two.field(name), names)
        parts += found
        if plain_type(one.field(name).type) == plain_type(two.field(name).type):
            comparable.append(name)
    parts += _compare_metadata("metadata", one.metadata, two.metadata, names)
    return parts, names, comparable


def _compare_fields(one: pa.Field, two: pa.Field, names: set[str]) -> list[Difference]:
    parts = []
    subject = column_name(one.name)
    if one.type != two.type or str(one.type) != str(two.type):
        if _plain(one.type) == _plain(two.type):
            names.add("widths of offsets and indexes")
        else:
            before, after = clipped(str(one.type)), clipped(str(two.type))
            parts.append(changed_part(subject, f"type {before} -> {after}", before, after))
    if one.nullable is not two.nullable:
        word = "may" if two.nullable else "may not"
        parts.append(changed_part(subject, f"now {word} be null"))
    return parts + _compare_metadata(f"{subject} metadata", one.metadata, two.metadata, names)


def _plain(kind: pa.DataType) -> tuple[str, Any]:
    plain = plain_type(kind)
    return str(plain), plain


def _compare_metadata(
    subject: str, one: dict[bytes, bytes] | None, two: dict[bytes, bytes] | None, names: set[str]
) -> list[Difference]:
    before, after = one or {}, two or {}
    parts = []
    for key in sorted({*before, *after} - _OF_THE_FORMAT):
        first, second = before.get(key), after.get(key)
        if first == second:
            continue
        if key in _WRITER_VERSIONS:
            names.add("versions of the writer")
            continue
        if key == b"pandas" and first is not None and second is not None and _same_pandas(first, second):
            names.add("versions in the metadata of pandas")
            continue
        words = "is gone" if second is None else "is new" if first is None else "has another content"
        told = clipped(key.decode("utf-8", "backslashreplace"))
        parts.append(changed_part(f'{subject} "{told}"', words, _text(first), _text(second)))
    return parts


def _same_pandas(one: bytes, two: bytes) -> bool:
    """Whether what pandas notes about index and types is the same, apart from versions."""
    trees = []
    for data in (one, two):
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(tree, dict):
            return False
        trees.append({key: value for key, value in tree.items() if key not in _PANDAS_VERSIONS})
    return trees[0] == trees[1] and json.dumps(trees[0]) == json.dumps(trees[1])


def _text(value: bytes | None) -> str | None:
    return None if value is None else clipped(value[:400].decode("utf-8", "backslashreplace"))
