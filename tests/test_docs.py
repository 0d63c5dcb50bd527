"""The documentation says what the code does: links, options, settings, fields, kinds, recipes, examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from reproof.build.causes import KNOWN
from reproof.cli.main import VERBS, program
from reproof.compare.registry import TABLE
from reproof.errors import ProjectError
from reproof.model import artifact, difference, policy, record, survey, verdict
from reproof.project.settings import EnvironmentSettings, Settings, read_settings

TOP = Path(__file__).parents[1]
PAGES = sorted([TOP / "README.md", TOP / "CHANGELOG.md", *(TOP / "docs").glob("*.md")])
NAMES = [str(page.relative_to(TOP)) for page in PAGES]

#: One accepted value for each key of the settings, as TOML.
VALUES = {
    "tool.reproof": {
        "seed": "7",
        "max-uploaded-bytes": '"1 MB"',
        "entropy": '"forbid"',
        "determinism": '"strict"',
        "experiment": '"e"',
        "products": '["out/*"]',
        "materials": '["data"]',
        "network": "true",
        "pass-env": '["KNOB"]',
        "record-env": '["KNOB"]',
        "max-kept-bytes": '"1 GiB"',
        "max-untracked-bytes": "1",
        "max-store-bytes": '"2 GB"',
        "resources": "{cpus = 2, GPU = 1}",
    },
    "tool.reproof.environment": {
        "python": '"3.11"',
        "extras": '["x"]',
        "groups": '["g"]',
        "base-image": '"i:1"',
    },
    "tool.reproof.compare": {"accept": '"close"', "rtol": "1e-9", "atol": "0.0", "ulp": "2", "rules": "[]"},
    "tool.reproof.compare.rules": {
        "pattern": '"*"',
        "accept": '"close"',
        "rtol": "0.1",
        "atol": "0.1",
        "ulp": "1",
        "ignore": '"reason"',
        "stable": '"name"',
    },
}


def _text(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def _prose(text: str) -> str:
    """Without code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _first_column(table: str) -> list[str]:
    """The first cell of each row of the first table in `table`, its head left out."""
    lines = table[table.index("\n|") + 1 :].splitlines()
    rows = lines[: next((index for index, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [row.split("|")[1].strip() for row in rows[2:]]


def _section(name: str, heading: str) -> str:
    return _text(name).partition(f"\n{heading}\n")[2]


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name: str) -> None:
    page = TOP / name
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(_text(name))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        linked = (page.parent / place).resolve() if place else page
        assert linked.exists(), f"{name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", _prose(linked.read_text(encoding="utf-8")), re.MULTILINE)
            assert anchor in map(_anchor, headings), f"{name} links to {target}"


def test_every_page_is_reachable_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", _text("README.md")))
    assert linked == {name for name in NAMES if name.startswith("docs/")}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_one_machine_is_in_a_page(name: str) -> None:
    text = _text(name)
    for pattern in (r"/(root|work|tmp/[a-z])\b", r"/home/\w", r"#\d+\b", r"localhost", r"\bTODO\b"):
        assert re.search(pattern, text) is None, (name, pattern)


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    """The options of a command and of those below it, by their words."""
    context = click.Context(command)
    found = {
        words: {
            name for parameter in command.get_params(context) for name in parameter.opts if name[0] == "-"
        }
    }
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            found.update(_commands(below, (*words, verb)))
    return found


def _lines_with_reproof(text: str) -> list[list[str]]:
    """The words after each `reproof` in code, inline or in blocks."""
    code = re.findall(r"^```[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    code += re.findall(r"`(reproof [^`\n]+)`", _prose(text))
    lines = [line.removeprefix("$ ") for block in code for line in block.splitlines()]
    parts = [part.partition("#")[0].split() for line in lines for part in re.split(r"&&|;", line)]
    return [words[1:] for words in parts if words[:1] == ["reproof"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_exists(name: str) -> None:
    known = _commands(program)
    for words in _lines_with_reproof(_text(name)):
        if words[0] == "VERB" or words[0].startswith("-"):
            continue
        assert words[0] in VERBS, f"{name}: reproof {' '.join(words)}"
        verb = tuple(words[:2]) if tuple(words[:2]) in known else (words[0],)
        ours = words[: words.index("--")] if "--" in words else words
        for word in ours:
            option = word.partition("=")[0]
            if re.match(r"--?[A-Za-z]", option):
                assert option in known[verb], f"{name}: reproof {' '.join(words)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_in_prose_exists_somewhere(name: str) -> None:
    known = set().union(*_commands(program).values())
    foreign = {
        "--require-hashes",
        "--timestamp",
        "--invalidation-mode",
        "--name",
        "--reproof-seed",
        "--universal",
        "--generate-hashes",
        "--verbose",
        "--xla",
    }  # of other programs, pytest among them
    for option in re.findall(r"`(--[a-z][a-z-]*)", _prose(_text(name))):
        assert option in known | foreign, (name, option)


def test_shared_options_are_those_of_the_verbs_that_are_named() -> None:
    known = _commands(program)
    rows = _section("docs/settings.md", "## Options").partition("\n## ")[0].splitlines()
    checked = 0
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")]
        options = re.findall(r"`(--?[a-z-]+)`", cells[1]) if len(cells) > 2 else []
        verbs = re.findall(r"`([a-z]+)`", cells[2]) if options else []
        for option in options:
            having = {words[0] for words, names in known.items() if len(words) == 1 and option in names}
            assert set(verbs) <= having, (option, verbs)
            checked += 1
    assert checked > 8


def _documented(table: str) -> set[str]:
    heading = f"## `[[{table}]]`" if table.endswith("rules") else f"## `[{table}]`"
    return {cell.strip("`") for cell in _first_column(_section("docs/settings.md", heading))}


def _accepted(table: str) -> set[str]:
    names = {
        "tool.reproof": [
            each for each in Settings.__struct_fields__ if each not in ("policy", "source", "environment")
        ],
        "tool.reproof.environment": EnvironmentSettings.__struct_fields__,
        "tool.reproof.compare": ["accept", "rtol", "atol", "ulp", "rules"],
        "tool.reproof.compare.rules": [
            *(each for each in policy.Rule.__struct_fields__ if each != "tolerance"),
            *policy.Tolerance.__struct_fields__,
        ],
    }[table]
    return {each.replace("_", "-") for each in names}


@pytest.mark.parametrize("table", VALUES)
def test_every_setting_is_documented_and_accepted(table: str, tmp_path: Path) -> None:
    assert _documented(table) == _accepted(table) == VALUES[table].keys()
    lines = "\n".join(f"{key} = {value}" for key, value in VALUES[table].items())
    heading = f"[[{table}]]" if table.endswith("rules") else f"[{table}]"
    (tmp_path / "pyproject.toml").write_text(f"{heading}\n{lines}\n")
    assert read_settings(tmp_path).source is not None
    (tmp_path / "pyproject.toml").write_text(f"{heading}\n{lines}\nno-such-key = 1\n")
    with pytest.raises(ProjectError, match="no-such-key"):
        read_settings(tmp_path)


@pytest.mark.parametrize("name", ["docs/settings.md", "docs/verdict.md"])
def test_examples_of_settings_are_accepted(name: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```$", _text(name), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "pyproject.toml").write_text(block)
        assert read_settings(tmp_path).source is not None


def test_every_variable_is_one_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (TOP / "src/reproof").rglob("*.py"))
    for name in NAMES:
        for variable in re.findall(r"`(REPROOF_[A-Z_]*[A-Z])`", _text(name)):
            assert variable in code, (name, variable)


def _struct_tables(name: str) -> dict[str, list[str]]:
    parts = re.split(r"<!-- struct: (\w+) -->", _text(name))
    return {
        struct: [cell.strip("`") for cell in _first_column(f"\n{text}")]
        for struct, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _structs_below(root: type[Any]) -> set[type[Any]]:
    """`root` and every struct that its fields can hold."""
    found: set[type[Any]] = set()
    pending: list[Any] = [root]
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind not in found:
                found.add(kind)
                pending += [field.type for field in msgspec.structs.fields(kind)]
        else:
            pending += [each for each in getattr(kind, "__args__", ()) if each is not ...]
    return found


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("docs/record.md", record.Record),
        ("docs/verdict.md", verdict.Verdict),
        ("docs/unrecorded.md", survey.Survey),
    ],
)
def test_every_field_of_a_document_is_documented(name: str, root: type[Any]) -> None:
    tables = _struct_tables(name)
    structs = {kind.__name__: kind for kind in _structs_below(root)}
    assert tables.keys() == structs.keys()
    for struct, kind in structs.items():
        assert tables[struct] == list(kind.__struct_fields__), struct
    assert {artifact.Artifact, difference.Difference, survey.SurveyRow} & set(structs.values())


def test_the_schemas_are_named() -> None:
    assert f"`{record.SCHEMA}`" in _text("docs/record.md")
    assert f"`{verdict.SCHEMA}`" in _text("docs/verdict.md")
    assert f"`{survey.SCHEMA}`" in _text("docs/unrecorded.md")


def test_every_kind_of_content_is_in_the_table() -> None:
    rows = _first_column(_section("docs/comparison.md", "## Kinds"))
    assert [row.strip("`") for row in rows] == [entry.kind for entry in TABLE]


def test_every_cause_of_a_build_is_documented() -> None:
    rows = _first_column(_section("docs/builds.md", "## Causes"))
    assert [row.strip("`") for row in rows] == list(KNOWN)


def test_outcomes_words_and_statuses_are_those_of_the_code() -> None:
    text = _text("docs/verdict.md")
    for outcome in difference.Outcome:
        assert f"| `{outcome.word}` |" in text
    for word in verdict.Word.__args__:
        assert f"| *{word}* |" in text
    for stability in verdict.Stability.__args__:
        assert f"- `{stability}`:" in text


def test_the_commands_of_the_readme_are_recipes() -> None:
    recipes = set(re.findall(r"^([a-z][\w-]*)(?: [^\n]*)?:(?:[ ]|$)", _text("justfile"), re.MULTILINE))
    wanted = re.findall(r"^    pip install uv rust-just && just (\w+)", _text("README.md"), re.MULTILINE)
    assert wanted == ["demo", "test"]
    for name in NAMES:
        for recipe in re.findall(r"`just ([a-z][a-z-]*)", _text(name)):
            assert recipe in recipes, (name, recipe)
    assert set(wanted) <= recipes


def _python_blocks(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", _text(name), re.MULTILINE | re.DOTALL)


def test_the_examples_of_comparison_say_what_is_printed(tmp_path: Path) -> None:
    maker = next(block for block in _python_blocks("docs/comparison.md") if "zipfile" in block)
    subprocess.run([sys.executable, "-c", maker], cwd=tmp_path, check=True)
    blocks = re.findall(
        r"^```\n\$ reproof (.*?)\n(.*?)^```$", _text("docs/comparison.md"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) >= 7
    for words, shown in blocks:
        done = subprocess.run(
            [sys.executable, "-m", "reproof.cli.main", *words.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout == shown, words
        assert done.stderr == ""


def test_the_comparator_of_the_documentation_passes_its_suite(tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    for block in _python_blocks("docs/comparison.md"):
        if "zipfile" not in block:
            exec(compile(block, "docs/comparison.md", "exec"), space)
    space["test_it"](tmp_path)


def test_each_module_of_the_workflow_has_its_topic() -> None:
    text = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8")
    topics = text.partition("## `workflow/` by topic")[2].partition("\n## ")[0]
    folder = TOP / "src" / "reproof" / "workflow"
    modules = {path.stem for path in folder.glob("[!_]*.py")}
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    named = re.findall(r"`([a-z_/]+)`", topics.partition("|---|---|")[2])
    assert sorted(named) == sorted(modules | packages)
