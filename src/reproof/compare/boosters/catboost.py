"""CatBoost's models: the binary one (a FlatBuffer and parts behind it) and the one in JSON.

Format: the schemas `model.fbs`, `features.fbs` and `ctr_data.fbs` of CatBoost's sources.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reproof.compare.boosters.flatbuffer import FlatBuffer, Schema
from reproof.compare.documents import read_json
from reproof.compare.pickles.comparator import conclude
from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Mapping, Raw, Sequence
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.tensors import Tensor
from reproof.compare.trees import Walk, compare_trees
from reproof.compare.walks import conclude_walk
from reproof.model.difference import Difference, Outcome

#: The tables of CatBoost's ``model.fbs``, ``features.fbs`` and ``ctr_data.fbs``, as of version 1.2.
_SCHEMA: Schema = {
    "model": {"FormatVersion": "text", "ModelTrees": "trees", "InfoMap": "[pair]", "ModelPartIds": "[text]"},
    "pair": {"Key": "text", "Value": "text"},
    "trees": {
        "ApproxDimension": "i32", "TreeSplits": "[i32]", "TreeSizes": "[i32]", "TreeStartOffsets": "[i32]",
        "CatFeatures": "[category]", "FloatFeatures": "[float]", "OneHotFeatures": "[one hot]",
        "CtrFeatures": "[ctr feature]", "LeafValues": "[f64]", "LeafWeights": "[f64]",
        "NonSymmetricStepNodes": "[struct:4]", "NonSymmetricNodeIdToLeafId": "[u32]",
        "TextFeatures": "[category]", "EstimatedFeatures": "[estimated]", "Scale": "f64", "Bias": "f64",
        "MultiBias": "[f64]", "RepackedBins": "[struct:4]", "EmbeddingFeatures": "[embedding]",
    },
    "float": {
        "HasNans": "u8", "Index": "i32", "FlatIndex": "i32", "Borders": "[f32]", "FeatureId": "text",
        "NanValueTreatment": "i8",
    },
    "category": {"Index": "i32", "FlatIndex": "i32", "FeatureId": "text", "UsedInModel": "u8"},
    "embedding": {
        "Index": "i32", "FlatIndex": "i32", "FeatureId": "text", "Dimension": "i32", "UsedInModel": "u8",
    },
    "estimated": {"SourceFeatureIndex": "i32", "CalcerId": "struct:16", "LocalIndex": "i32", "Borders": "[f32]"},
    "one hot": {"Index": "i32", "Values": "[i32]", "StringValues": "[text]"},
    "combination": {"CatFeatures": "[i32]", "FloatSplits": "[struct:8]", "OneHotSplits": "[struct:8]"},
    "ctr base": {"FeatureCombination": "combination", "CtrType": "i8"},
    "ctr": {
        "Base": "ctr base", "TargetBorderIdx": "i32", "PriorNum": "f32", "PriorDenom": "f32", "Shift": "f32",
        "Scale": "f32",
    },
    "ctr feature": {"Ctr": "ctr", "Borders": "[f32]"},
}  # fmt: skip
_GUID = re.compile(r"[0-9a-f]{1,8}(-[0-9a-f]{1,8}){3}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_RUN = {"model_guid": _GUID, "train_finish_time": _TIME}
_MAX_DEPTH = 32  # of a symmetric tree


class CatboostComparator:
    """CatBoost `.cbm`: children are named by tree: ``trees[3].leaf_values``."""

    name = "catboost"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of the format."""
        return all(side.head(4) == b"CBM1" for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """The model's guid and the time of training are set aside by name."""
        with expected.view() as one, actual.view() as two:
            sides = Sides(context, (Folder(), Folder()), plain_keys=True)
            sides.shared = (set(), set())
            left, right = _Model(one), _Model(two)
            for name in _RUN:
                if _set_aside(left.info, right.info, name):
                    sides.names.add(f"{name} of CatBoost")
            _compare_info(left.info, right.info, sides)
            sides.compare(left.tree, right.tree)
            sides.raw((None, "text", "(parts)"), Raw("bytes", left.parts), Raw("bytes", right.parts), None)
            if left.unread != right.unread:
                reason = "bytes that no known field of the format owns differ"
                sides.add((None, "text", "(unknown)"), Outcome.UNKNOWN, reason, kind="bytes",
                          evidence={"reason": reason})  # fmt: skip
            sides.finish()
            return conclude(sides, subject, self.name)


class CatboostJsonComparator:
    """CatBoost's models in JSON: as JSON, but the guid and the time of training are set aside."""

    name = "catboost-json"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """JSON objects that begin like the model of CatBoost."""
        start = re.compile(rb'\s*\{\s*"(ctr_data|features_info|model_info)"\s*:')
        return all(
            side.name.lower().endswith(".json") and start.match(side.head(64)) for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path."""
        limit = context.limits.max_bytes_in_memory
        one, two = (read_json(side.read(limit), context) for side in (expected, actual))
        walk = Walk(context)
        infos = [side.get("model_info") if isinstance(side, dict) else None for side in (one, two)]
        if isinstance(infos[0], dict) and isinstance(infos[1], dict):
            for name in _RUN:
                if _set_aside(infos[0], infos[1], name):
                    walk.names.add(f"{name} of CatBoost")
        compare_trees(one, two, context, walk)
        return conclude_walk(walk, subject, self.name)


class _Model:
    """A binary model taken apart: trees, facts about it as text, parts behind the FlatBuffer."""

    def __init__(self, view: memoryview) -> None:
        if len(view) < 8:
            raise ContentError("it is cut short")
        (length,) = struct.unpack_from("<I", view, 4)
        if 8 + length > len(view):
            raise ContentError("it is cut short")
        buffer = FlatBuffer(view[8 : 8 + length], _SCHEMA)
        fields = dict(buffer.root("model").pairs)
        self.parts = view[8 + length :]
        self.unread = buffer.unread()
        self.info = _pairs(fields.pop("InfoMap", None))
        trees = fields.get("ModelTrees")
        if isinstance(trees, Mapping):
            fields["ModelTrees"] = _by_tree(trees)
        self.tree = Mapping()
        self.tree.pairs = list(fields.items())


def _pairs(listed: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in listed.items if isinstance(listed, Sequence) else []:
        pair = dict(item.pairs)
        key, value = pair.get("Key"), pair.get("Value")
        if type(key) is not str or type(value) is not str or key in found:
            raise ContentError("its facts are damaged")
        found[key] = value
    return found


def _set_aside(one: dict[str, Any], two: dict[str, Any], name: str) -> bool:
    """Take a field out of both where both have CatBoost's form and differ; whether that was so."""
    first, second = one.get(name), two.get(name)
    if type(first) is not str or type(second) is not str or first == second:
        return False
    if not _RUN[name].fullmatch(first) or not _RUN[name].fullmatch(second):
        return False
    del one[name], two[name]
    return True


def _compare_info(one: dict[str, str], two: dict[str, str], sides: Sides) -> None:
    """Facts about the model: parameters and the like are JSON of their own."""
    for name in sorted({*one, *two}):
        place = (None, "attribute", name)
        if name not in one or name not in two:
            sides.one_sided(place, one.get(name, two.get(name)), gone=name in one)
        elif one[name] != two[name]:
            both = [Source(name=f"{name}.json", data=side[name].encode()) for side in (one, two)]
            if all(side.data is not None and side.data[:1] == b"{" for side in both):
                sides.parts.add(sides.context.compare(both[0], both[1], name))
            else:
                sides.changed(place, one[name], two[name])


def _by_tree(trees: Mapping) -> Mapping:
    """Splits, leaf values and weights of symmetric trees tree by tree; others stay as they are."""
    fields = dict(trees.pairs)
    sizes = _numbers(fields.get("TreeSizes"))
    steps = fields.get("NonSymmetricStepNodes")
    symmetric = not isinstance(steps, Raw) or not len(steps.data)
    if sizes is None or not symmetric or any(not 0 <= size <= _MAX_DEPTH for size in sizes):
        return trees
    dimension = (_numbers(fields.get("ApproxDimension")) or [1])[0]
    needed = {
        "TreeSplits": sizes,
        "LeafValues": [dimension << size for size in sizes],
        "LeafWeights": [1 << size for size in sizes],
    }
    parts: list[list[tuple[str, Any]]] = [[] for _ in sizes]
    for name, lengths in needed.items():
        array = fields.get(name)
        if not isinstance(array, Array) or array.tensor is None or array.tensor.count != sum(lengths):
            if name == "LeafWeights":
                continue
            return trees
        del fields[name]
        _share_out(array.tensor, lengths, name, parts)
    made = Mapping()
    listed = Sequence("list", [_mapping(part) for part in parts])
    made.pairs = [*fields.items(), ("trees", listed)]
    return made


def _share_out(tensor: Tensor, lengths: list[int], name: str, parts: list[list[tuple[str, Any]]]) -> None:
    start = 0
    data = memoryview(tensor.data)
    for length, part in zip(lengths, parts, strict=True):
        end = start + length * tensor.size
        assert tensor.layout is not None
        piece = Tensor.of(tensor.layout, (length,), data[start:end])
        part.append((name, Array("array", tensor=piece, shape=(length,), encoding="flatbuffer")))
        start = end


def _mapping(pairs: list[tuple[str, Any]]) -> Mapping:
    made = Mapping()
    made.pairs = list(pairs)
    return made


def _numbers(node: Any) -> list[int] | None:
    import numpy as np

    if not isinstance(node, Array) or node.tensor is None or node.tensor.layout is None:
        return None
    return [int(number) for number in np.frombuffer(node.tensor.data, node.tensor.layout)]
