from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.compare import compare, new_context
from reproof.compare.protocol import Limits, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def check(one: bytes, two: bytes, name: str = "it.json", tolerance: Tolerance = EXACT) -> Difference:
    sides = Source(name=name, data=one), Source(name=name, data=two)
    found = compare_sources(*sides, "it", new_context(*sides, tolerance=tolerance))
    back = compare_sources(sides[1], sides[0], "it", new_context(*sides, tolerance=tolerance))
    assert found.outcome is back.outcome
    return found


def parts(found: Difference) -> dict[str, str]:
    return {part.subject: part.summary for part in found.children}


@given(values)
def test_json_of_the_same_value_is_equivalent(value: object) -> None:
    one, two = json.dumps(value, sort_keys=True).encode(), json.dumps(value, indent=1, ensure_ascii=False)
    try:
        other = two.encode()
    except UnicodeEncodeError:
        return
    assert check(one, other).outcome <= Outcome.EQUIVALENT


@given(values, values)
def test_json_of_other_values_is_different(one: object, two: object) -> None:
    texts = [json.dumps(value, sort_keys=True).encode() for value in (one, two)]
    found = check(*texts)
    if texts[0] != texts[1]:
        notation = any(part.outcome is Outcome.EQUIVALENT for part in found.children)
        assert found.outcome is Outcome.DIFFERENT or notation


def test_json_differences_are_named_by_path() -> None:
    one = {"metrics": {"rmse": 0.5, "gone": 1}, "a b": [1, 2, 3], "type": "1", "list": [1]}
    two = {"metrics": {"rmse": 0.75, "new": None}, "a b": [1, 2], "type": 1, "list": {}}
    found = check(json.dumps(one).encode(), json.dumps(two).encode())
    assert found.outcome is Outcome.DIFFERENT
    assert parts(found) == {
        "$.metrics.rmse": "0.5 -> 0.75 (relative 0.333, absolute 0.25)",
        "$.metrics.gone": "is gone; it was 1",
        "$.metrics.new": "is new: null",
        "$['a b'][2]": "is gone; it was 3",
        "$.type": '"1" -> 1',
        "$.list": "list of 1 -> mapping of 0",
    }
    assert found.summary.startswith("6 values differ: $.metrics.rmse 0.5 -> 0.75")


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', ("key order",)),
        (b'{"a":1}', b'{ "a": 1 }\n', ("layout",)),
        (b'{"a":1}', b'{"a":1.0}', ("number notation",)),
        (b'{"a":10}', b'{"a":1e1}', ("number notation",)),
        (b'["\xc3\xa4"]', b'["\\u00e4"]', ("string escapes",)),
        ('["ä"]'.encode(), '["ä"]'.encode("utf-8-sig"), ("encoding",)),
        ('["ä"]'.encode(), '["ä"]'.encode("utf-16"), ("encoding",)),
        (b'{"a":1,"b":2}', b'{"b": 2.0, "a": 1}', ("key order", "layout", "number notation")),
    ],
)
def test_what_is_set_aside_in_json_is_named(one: bytes, two: bytes, names: tuple[str, ...]) -> None:
    found = check(one, two)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, names)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (b"[1, 2]", b"[2, 1]"),
        (b"[0.0]", b"[-0.0]"),
        (b"[NaN]", b"[Infinity]"),
        (b"[1e400]", b"[1e401]"),
        (b"[123456789012345678901]", b"[123456789012345678902]"),
        (b"[0.1]", b"[0.10000000000000000001]"),
        (b'["1"]', b"[1]"),
        (b"[true]", b"[1]"),
        (b"[null]", b"[false]"),
        (b'["a\\u0000"]', b'["a"]'),
        (b'{"a": {"b": 1}}', b'{"a": {"c": 1}}'),
        (b"[[]]", b"[{}]"),
    ],
)
def test_json_values_that_differ(one: bytes, two: bytes) -> None:
    assert check(one, two).outcome is Outcome.DIFFERENT


def test_json_within_a_tolerance_is_close() -> None:
    found = check(b'{"a": 0.1, "b": 1}', b'{"a": 0.10000000000000002, "b": 1}', tolerance=Tolerance(ulp=1))
    assert found.outcome is Outcome.CLOSE
    assert found.children[0].evidence["ulp"] == 1
    assert check(b"[1]", b"[2]", tolerance=Tolerance(ulp=9)).outcome is Outcome.DIFFERENT


def test_text_that_only_begins_like_json_is_text() -> None:
    found = check(b"[section]\nkey = 1\n", b"[section]\nkey = 2\n", "settings.ini")
    assert (found.kind, found.summary) == (
        "text",
        "first difference at line 2, column 7 (1 removed, 1 added)",
    )
    assert check(b"{\n", b"{}\n", "it.json").kind == "json"


def test_duplicate_keys_cannot_be_compared() -> None:
    found = check(b'{"a": 1, "a": 2}', b'{"a": 2}')
    assert found.outcome is Outcome.UNKNOWN
    assert "`a` stands twice" in found.summary


def test_broken_json_is_compared_as_text() -> None:
    found = check(b'{"a": 1', b'{"a": 1}')
    assert found.outcome is Outcome.DIFFERENT
    assert "the expected side is not json" in found.summary
    assert "compared as text" in found.summary
    assert check(b'["\xff"]', b'["\xfe"]').outcome is Outcome.DIFFERENT


@pytest.mark.parametrize("name", ["it.json", "it.yaml", "it.toml", "it.jsonl"])
@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b"- " * 20_000]
)
def test_depth_is_survived(name: str, text: bytes) -> None:
    found = check(text, text[:20_000] + b" " + text[20_000:], name)
    assert found.outcome in {Outcome.UNKNOWN, Outcome.DIFFERENT, Outcome.EQUIVALENT}


def test_documents_beyond_the_memory_are_refused_before_they_are_read() -> None:
    one = b"[" + b"{}," * 1_500_000 + b"0]"
    found = check(one, one[:-2] + b"1]")
    assert found.outcome is Outcome.UNKNOWN
    assert "MiB of memory" in found.summary


def test_number_of_values_is_limited() -> None:
    sides = [
        Source(name="a.json", data=json.dumps(list(range(start, start + 99_999))).encode())
        for start in (0, 1)
    ]
    context = new_context(sides[0], sides[1], limits=Limits(max_values=1000))
    assert compare_sources(sides[0], sides[1], "it", context).outcome is Outcome.UNKNOWN


def test_json_is_recognised_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b' {"a": 1}')
    (tmp_path / "two").write_bytes(b'{"a": 1}')
    assert compare(tmp_path / "one", tmp_path / "two").kind == "json"


def test_unprintable_and_lone_surrogates_are_escaped() -> None:
    found = check(b'{"\\ud800": "\\udfff\\n"}', b'{"\\ud800": "\\u001b"}')
    assert json.dumps(parts(found)).isascii()
    found.children[0].summary.encode()
    found.children[0].subject.encode()


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        ("a: 1 # c\n", "a: 1\n", ("yaml layout and comments",)),
        ("a: [x, y]\n", "a:\n- x\n- 'y'\n", ("yaml layout and comments",)),
        ("a: 1\nb: 2\n", "b: 2\na: 1\n", ("key order",)),
        ("a: &x [1]\nb: *x\n", "a: [1]\nb: [1]\n", ("yaml layout and comments",)),
        ("a: yes\n", "a: true\n", ("yaml layout and comments",)),
        ("a: ~\n", "a: \n", ("yaml layout and comments",)),
        ("a: 1.50\n", "a: 1.5\n", ("number notation",)),
        ('a: "x"\n', "a: !!str x\n", ("yaml layout and comments",)),
    ],
)
def test_what_is_set_aside_in_yaml_is_named(one: str, two: str, names: tuple[str, ...]) -> None:
    found = check(one.encode(), two.encode(), "it.yaml")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, names)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a: 1\n", "a: '1'\n"),
        ("a: 1\n", "a: 1.0\n"),
        ("a: 010\n", "a: 10\n"),
        ("a: 010\n", "a: 8\n"),
        ("a: 1_0\n", "a: 10\n"),
        ("a: [1, 2]\n", "a: [2, 1]\n"),
        ("a: !x 1\n", "a: !y 1\n"),
        ("a: !x [1]\n", "a: [1]\n"),
        ("a: 1\n---\nb: 1\n", "a: 1\n---\nb: 2\n"),
        ("a: 1\n", "a: 1\n---\na: 1\n"),
        ("a: 2001-01-01\n", "a: '2001-01-01'\n"),
        ("1: a\n", "'1': a\n"),
        ("a: &x [1, *x]\n", "a: &x [2, *x]\n"),
        ("<<: 1\n", "'>>': 1\n"),
    ],
)
def test_yaml_values_that_differ(one: str, two: str) -> None:
    assert check(one.encode(), two.encode(), "it.yaml").outcome is Outcome.DIFFERENT


def test_yaml_tags_are_never_obeyed(tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    text = f"a: !!python/object/apply:os.system ['touch {proof}']\n"
    found = check(text.encode(), text.replace("a:", "a: \n ").encode(), "it.yaml")
    assert found.outcome is Outcome.EQUIVALENT
    other = check(text.encode(), text.replace("touch", "rm").encode(), "it.yaml")
    assert parts(other).keys() == {"$.a[0]"}
    assert not proof.exists()


def test_yaml_that_unfolds_without_end_costs_what_it_holds() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    bomb = "\n".join(rows).encode()
    found = check(bomb, bomb.replace(b"[x, x]", b"[x, y]"), "it.yaml")
    assert (found.outcome, list(parts(found))) == (Outcome.DIFFERENT, ["$.a0[1]"])


@pytest.mark.parametrize("text", ["{a: 1}: 2\n", "[a]: 2\n", "a: 1\na: 2\n"])
def test_yaml_keys_that_cannot_be_compared(text: str) -> None:
    assert check(text.encode(), (text + "# x\n").encode(), "it.yml").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("text", ["a: *nothing\n", "a: [\n", "\tb: 1\n", "a: 1\n  b: 2\n", "%YAML 9\n"])
def test_broken_yaml_is_compared_as_text(text: str) -> None:
    found = check(text.encode(), b"a: 1\n", "it.yml")
    assert (found.outcome, "is not yaml" in found.summary) == (Outcome.DIFFERENT, True)


@pytest.mark.parametrize(
    ("one", "two", "outcome"),
    [
        ("a = 1\n", "a=1 # c\n", Outcome.EQUIVALENT),
        ("a = 16\n", "a = 0x10\n", Outcome.EQUIVALENT),
        ("a = 1.50\n", "a = 1.5\n", Outcome.EQUIVALENT),
        ("[b]\nx = 1\n[a]\n", "[a]\n[b]\nx = 1\n", Outcome.EQUIVALENT),
        ("a = 1\n", "a = 1.0\n", Outcome.DIFFERENT),
        ("a = 1\n", "a = true\n", Outcome.DIFFERENT),
        ("a = 1979-05-27\n", "a = '1979-05-27'\n", Outcome.DIFFERENT),
        ("a = 07:32:00\n", "a = 07:32:01\n", Outcome.DIFFERENT),
        ("a = nan\n", "a = inf\n", Outcome.DIFFERENT),
        ("a = 1\na = 2\n", "a = 2\n", Outcome.DIFFERENT),
        ("a = [1, 2]\n", "a = [2, 1]\n", Outcome.DIFFERENT),
    ],
)
def test_toml(one: str, two: str, outcome: Outcome) -> None:
    assert check(one.encode(), two.encode(), "it.toml").outcome is outcome


def test_json_lines_are_named_by_line() -> None:
    one, two = b'{"a": 1}\n{"b": 2}\n{"c": 3}\n', b'{"a":1.0}\n{"b": 3}\n'
    found = check(one, two, "it.jsonl")
    assert parts(found) == {
        "line 1 $.a": "1 -> 1.0",
        "line 2 $.b": "2 -> 3 (relative 0.333, absolute 1)",
        "line 3": "is gone",
    }
    assert found.evidence["lines"] == [3, 2]


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        (b'{"a": 1}\n', b'{"a":1}\n', ("layout",)),
        (b'{"a": 1}\n', b'{"a": 1}\r\n', ("layout",)),
        (b'{"a": 1}\n\n', b'{"a": 1}\n\r\n', ("layout",)),
        (b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}', ("key order",)),
    ],
)
def test_what_is_set_aside_in_json_lines_is_named(one: bytes, two: bytes, names: tuple[str, ...]) -> None:
    found = check(one, two, "it.jsonl")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, names)


def test_broken_lines_are_compared_as_text() -> None:
    found = check(b'{"a": 1}\n{"b"\n', b'{"a": 1}\n{"c"\n', "it.ndjson")
    assert (found.outcome, list(parts(found))) == (Outcome.DIFFERENT, ["line 2"])


def test_a_line_beyond_the_limit_is_refused() -> None:
    sides = [Source(name="a.jsonl", data=b"[" + b"1," * 1000 + end) for end in (b"1]", b"2]")]
    context = new_context(sides[0], sides[1], limits=Limits(max_bytes_in_memory=1000))
    assert compare_sources(sides[0], sides[1], "it", context).outcome is Outcome.UNKNOWN
