"""MLflow's description of a model: what belongs to the run that made it is set aside, by name and place.

The fields are those that `mlflow.models.Model` writes (MLflow 2 and 3). Each is set aside only at the
top of the document, only where both sides hold a value of the form that MLflow gives it, and each is
named in the result. The same name anywhere else is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reproof.compare.documents import read_yaml
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.text import looks_like_text
from reproof.compare.trees import Tagged, Walk, compare_trees
from reproof.compare.walks import conclude_walk
from reproof.model.difference import Difference, Outcome

_RUN = re.compile(r"[0-9a-f]{32}")
_MODEL = re.compile(r"(m-)?[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?")
_FORMS = {"run_id": _RUN, "model_id": _MODEL, "model_uuid": _MODEL, "utc_time_created": _TIME}
_MODEL_FILES = ("model_path", "pickled_model", "data", "model_data", "model_binary")
_MAX_FILES = 100_000
#: What MLflow writes into a model's folder after it took the size of the whole folder (`save_model` of its flavors).
_WRITTEN_LATER = (
    "MLmodel",
    "conda.yaml",
    "constraints.txt",
    "pyproject.toml",
    "python_env.yaml",
    "registered_model_meta",
    "requirements.txt",
    "uv.lock",
)
_CODE = "code"
_LAYOUT = "yaml layout and comments"


class MlmodelComparator:
    """``MLmodel`` files: content by path (``$.flavors.sklearn.code``), run-specific fields set aside."""

    name = "mlmodel"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Files of that name that describe flavors."""
        return all(
            side.name.lower() == "mlmodel"
            and looks_like_text(side.head())
            and re.search(rb"^flavors:", side.head(), re.MULTILINE) is not None
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path; the fields that were set aside are named in ``canonicalised``."""
        one, two = (_document(side, context) for side in (expected, actual))
        walk = Walk(context, shared=True)
        _set_ids_aside(one, two, walk.names)
        _set_size_aside((one, expected), (two, actual), walk)
        compare_trees(one, two, context, walk)
        return conclude_walk(walk, subject, self.name, otherwise=_LAYOUT)


class RegisteredModelMetaComparator:
    """``registered_model_meta``: the version that the registry counted up is set aside, by name."""

    name = "registered_model_meta"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Files of that name."""
        return all(
            side.name == "registered_model_meta" and looks_like_text(side.head())
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """The name of the registered model is content."""
        one, two = (_document(side, context) for side in (expected, actual))
        walk = Walk(context, shared=True)
        values = [_text(side.get("model_version")) for side in (one, two)]
        if all(value is not None and value.isdecimal() for value in values) and values[0] != values[1]:
            del one["model_version"], two["model_version"]
            walk.names.add("registered_model_meta model_version")
        compare_trees(one, two, context, walk)
        return conclude_walk(walk, subject, self.name, otherwise=_LAYOUT)


def _document(source: Source, context: Context) -> dict[Any, Any]:
    documents = read_yaml(source.read(context.limits.max_bytes_in_memory), context)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ContentError(f"`{source.name}` is no single YAML mapping")
    return documents[0]


def _text(value: Any) -> str | None:
    """A scalar as it is written; None for what is no scalar."""
    if isinstance(value, Tagged):
        value = value.value
    return str(value) if isinstance(value, str) else None


def _set_ids_aside(one: dict[Any, Any], two: dict[Any, Any], names: set[str]) -> None:
    """Take ids, time and place of the model out of both documents where they have MLflow's form."""
    _set_place_aside(one, two, names)
    if not _same_relation(one, two):
        return
    for field, form in _FORMS.items():
        first, second = _text(one.get(field)), _text(two.get(field))
        if first is None or second is None or first == second:
            continue
        if form.fullmatch(first) and form.fullmatch(second):
            del one[field], two[field]
            names.add(f"MLmodel {field}")


def _same_relation(one: dict[Any, Any], two: dict[Any, Any]) -> bool:
    """MLflow 3 writes one id as both `model_id` and `model_uuid`: on both sides, or on none."""
    equal = [_text(side.get("model_id")) == _text(side.get("model_uuid")) for side in (one, two)]
    return equal[0] == equal[1]


def _set_place_aside(one: dict[Any, Any], two: dict[Any, Any], names: set[str]) -> None:
    """`artifact_path` of MLflow 3 is where the store keeps the model, with the model's own id in it."""
    places = [_text(side.get("artifact_path")) for side in (one, two)]
    if places[0] == places[1] or None in places:
        return
    tails = [_tail(place or "", side) for place, side in zip(places, (one, two), strict=True)]
    if tails[0] is not None and tails[0] == tails[1]:
        del one["artifact_path"], two["artifact_path"]
        names.add("MLmodel artifact_path")


def _tail(place: str, document: dict[Any, Any]) -> str | None:
    """What follows the model's or run's own id in `place`, with the kind of id; None without one."""
    for field in ("model_id", "model_uuid", "run_id"):
        own = _text(document.get(field))
        if own and _FORMS[field].fullmatch(own) and f"/{own}/" in place:
            return f"{field}/{place.partition(f'/{own}/')[2]}"
    return None


def _set_size_aside(
    one: tuple[dict[Any, Any], Source], two: tuple[dict[Any, Any], Source], walk: Walk
) -> None:
    """`model_size_bytes` says nothing new where it is the size of the model's files beside it.

    Those files are compared by themselves. Where they are not there, nobody can tell.
    """
    field = "model_size_bytes"
    first, second = (_text(side.get(field)) for side, _ in (one, two))
    if first is None or second is None or first == second:
        return
    found = [_is_size_of_files(document, source) for document, source in (one, two)]
    if found == [True, True]:
        walk.names.add(f"MLmodel {field}, the size of the files beside it")
    elif None in found and False not in found:
        reason = "the model's files are not beside it, so that its size cannot be confirmed"
        walk.parts.add(
            Difference(
                subject=f"$.{field}",
                outcome=Outcome.UNKNOWN,
                summary=f"{first} -> {second}; {reason}",
                kind="number",
                expected=first,
                actual=second,
                evidence={"reason": reason},
            )
        )
    else:
        return
    del one[0][field], two[0][field]


def _is_size_of_files(document: dict[Any, Any], source: Source) -> bool | None:
    """Whether the size is that of the file or folder which a flavor names, or of all that was there by then.

    None where none of these files is there.
    """
    flavors = document.get("flavors")
    if source.path is None or source.length is not None or not isinstance(flavors, dict):
        return None
    sizes = {str(total) for total in _sizes_of_all(source.path.parent) if total}
    for flavor in flavors.values():
        for key in _MODEL_FILES:
            name = flavor.get(key) if isinstance(flavor, dict) else None
            size = _size_of(source.path.parent, name) if type(name) is str else None
            if size is not None:
                sizes.add(str(size))
    return _text(document["model_size_bytes"]) in sizes if sizes else None


def _sizes_of_all(folder: Path) -> Iterator[int]:
    """Bytes of what lies in a model's folder when MLflow takes its size; code is copied before or after that."""
    entries = [each.name for each in folder.iterdir() if each.name not in _WRITTEN_LATER]
    known = {name: size for name in entries if (size := _size_of(folder, name)) is not None}
    yield sum(known.values())
    yield sum(size for name, size in known.items() if name != _CODE)


def _size_of(folder: Path, name: str) -> int | None:
    """Bytes of the file, or of all files in the folder, `name`; None when it is not in `folder`."""
    place = folder / name
    if not name or ".." in place.parts or place.is_symlink():
        return None
    if place.is_file():
        return place.stat().st_size
    if not place.is_dir():
        return None
    total = 0
    for count, each in enumerate(place.rglob("*")):
        if count > _MAX_FILES:
            return None
        total += each.stat().st_size if each.is_file() and not each.is_symlink() else 0
    return total
