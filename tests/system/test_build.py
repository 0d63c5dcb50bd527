"""`reproof build` on real projects with real backends: what is proven, which cause is named, what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from uv import find_uv_bin

import building
from building import BACKENDS, HELD, SURROUNDINGS, commit, together, write_in_tree, write_project
from projects import Result
from reproof.build.conditions import FACTORS, faketime
from reproof.errors import EnvironmentBuildError, ProjectError, UsageError
from reproof.model.build import BuildReport
from reproof.workflow.build.build import BuildOptions, build
from reproof.workflow.build.check import against, check, read_info

pytestmark = [pytest.mark.usefixtures("warm"), pytest.mark.needs("bwrap"), pytest.mark.xdist_group("build")]

MORE = {"pkg/more.py": "", "pkg/other.py": "", "notes.txt": "for the build alone\n"}
HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def names(report: BuildReport) -> set[str]:
    return {cause.name for cause in report.causes}


def faults(report: BuildReport) -> set[str]:
    return {cause.name for cause in report.findings}


def reproof(folder: Path, *words: str) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "reproof.cli.main", "build", *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def uv_build(folder: Path, *words: str | Path, **env: str) -> Path:
    """A wheel as `uv build` makes it in the work tree."""
    target = folder.parent / "by-uv"
    done = subprocess.run(
        [find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", target, *words],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_gives_the_same_bytes_under_control(tmp_path: Path, backend: str) -> None:
    project = write_project(tmp_path / "project", backend)
    report = build(BuildOptions(folder=project, lock=True))
    assert report.grade == ("controlled" if backend == "setuptools" else "identical")
    assert names(report) == ({"modes-from-umask", "file-times"} if backend == "setuptools" else set())
    assert faults(report) == {"backend-unpinned"}
    assert {output.kind for output in report.info.outputs} == {"wheel", "sdist"}
    document = project / "dist" / report.document
    assert check(document, BuildOptions(folder=project)).grade == "identical"
    assert "--hash=sha256:" in (project / "constraints.txt").read_text()


def test_a_committed_lock_is_used(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "hatchling")
    build(BuildOptions(folder=project, lock=True))
    commit(project, {"notes": "constraints.txt is committed now"})
    again = build(BuildOptions(folder=project))
    assert (again.findings, again.info.tools.locked_by) == ((), "constraints.txt")
    assert "pathspec==" in again.info.tools.requirements


def test_what_the_surroundings_bring_about_is_named(tmp_path: Path) -> None:
    project = write_in_tree(tmp_path / "project", together(SURROUNDINGS), MORE)
    report = build(BuildOptions(folder=project))
    assert report.grade == "different"
    expected = set(SURROUNDINGS)
    if faketime() is None:
        expected = expected - {"time-stamp", "random-value"} | {"changes-each-time"}
    assert names(report) == expected
    assert all(len(cause.files) == 1 for cause in report.causes)
    assert not (project / "dist").exists()
    assert report.difference is not None


def test_what_a_controlled_build_holds_is_named_too(tmp_path: Path) -> None:
    project = write_in_tree(tmp_path / "project", together(HELD), MORE)
    report = build(BuildOptions(folder=project))
    assert report.grade == "controlled"
    assert names(report) == set(HELD)
    assert faults(report) == {"pyc-time"}
    assert all(cause.held for cause in report.causes)
    document = project / "dist" / report.document
    assert check(document, BuildOptions(folder=project)).grade == "identical"


@pytest.mark.skipif(faketime() is None, reason="needs libfaketime")
def test_dates_of_members_and_times_in_files_are_told_apart(tmp_path: Path) -> None:
    project = write_in_tree(tmp_path / "project", building.FAULTS["archive-dates"])
    assert names(build(BuildOptions(folder=project))) == {"archive-dates"}


def test_untracked_files_are_refused_or_named(tmp_path: Path, golden: Callable[..., None]) -> None:
    project = write_project(tmp_path / "project", "hatchling")
    (project / "src/small_thing/scratch.txt").write_text("private\n")
    (project / "README.md").write_text("changed\n")
    with pytest.raises(ProjectError) as caught:
        build(BuildOptions(folder=project))
    golden("build/dirty", caught.value)
    report = build(BuildOptions(folder=project, dirty=True))
    assert "untracked-file-packed" in faults(report)
    dirty = read_info(project / "dist" / report.document).source.dirty
    assert dirty is not None
    assert dirty.changed == ("README.md",)
    assert list(dirty.untracked) == ["src/small_thing/scratch.txt"]
    document = project / "dist" / report.document
    assert check(document, BuildOptions(folder=project)).grade == "identical"
    (project / "README.md").write_text("changed again\n")
    with pytest.raises(ProjectError, match="is not the one that was built"):
        check(document, BuildOptions(folder=project))
    subprocess.run(["git", "checkout", "-q", "README.md"], cwd=project, check=True)
    other = uv_build(project)
    (project / "src/small_thing/scratch.txt").unlink()
    report = against(other, BuildOptions(folder=project))
    assert "content-differs" in names(report)  # nobody can tell any more where it came from


def test_a_wheel_made_elsewhere_is_explained(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "setuptools", extension=False)
    stale = project / "build/lib/small_thing/removed.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    other = uv_build(project)
    report = against(other, BuildOptions(folder=project))
    assert {"stale-build-folder", "archive-dates"} <= names(report)
    assert faults(report) == set()
    report = build(BuildOptions(folder=project))
    assert faults(report) == {"stale-build-folder", "backend-unpinned"}


def test_another_backend_is_named(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "hatchling")
    pins = tmp_path / "old.txt"
    pins.write_text("hatchling==1.27.0\n")
    other = uv_build(project, "--build-constraints", pins, SOURCE_DATE_EPOCH="1767225600")
    report = against(other, BuildOptions(folder=project))
    assert names(report) == {"backend-unpinned"}
    assert all(".dist-info/" in file for cause in report.causes for file in cause.files)


def test_a_tampered_output_is_noticed(tmp_path: Path) -> None:
    project = write_in_tree(tmp_path / "project")
    report = build(BuildOptions(folder=project))
    document = project / "dist" / report.document
    data = json.loads(document.read_text())
    data["outputs"][1]["sha256"] = "0" * 64
    document.write_text(json.dumps(data))
    result = reproof(project, "--check", str(document))
    assert result.status == 1
    assert "pkg-1.0-py3-none-any.whl" in result.out
    assert "another sha256" in result.out


def test_requirements_that_the_backend_asks_for_are_locked_too(tmp_path: Path) -> None:
    project = write_in_tree(
        tmp_path / "project",
        'def get_requires_for_build_wheel(config_settings=None):\n    return ["flit_core"]\n'
        "def extra(found):\n    import flit_core\n    return found\n",
    )
    report = build(BuildOptions(folder=project, lock=True))
    assert report.grade == "identical"
    assert "flit-core==" in (project / "constraints.txt").read_text()
    assert "flit-core==" in report.info.tools.requirements


def test_the_command_says_all_of_it(tmp_path: Path, golden: Callable[..., None]) -> None:
    project = write_in_tree(tmp_path / "project", building.FAULTS["hash-order"])
    result = reproof(project)
    assert result.status == 0
    text = re.sub(r"\d+(\.\d+)? m?s\b|\d+ min\b", "<time>", result.out)
    text = re.sub(r"tools .*", "tools <versions>", re.sub(r"\b[0-9a-f]{12}\b", "<commit>", text))
    text = re.sub(
        r"  varied .*?(?=\n  (condition|builds|not exercised))", "  varied <factors>", text, flags=re.DOTALL
    )
    text = re.sub(r"  not exercised.*\n", "", re.sub(r" +(?=<factors>|<versions>)", " ", text))
    golden("build/report", re.sub(r"(?m)^  (\w+) {2,}", r"  \1  ", text))
    assert reproof(project, "--strict").status == 1
    document = json.loads(reproof(project, "--output-format", "json").out)
    assert (document["schema"], document["exit_status"]) == ("reproof/build/1", 0)
    assert document["causes"][0]["name"] == "hash-order"
    assert set(document["info"]["exercised"]) <= set(FACTORS)


# each way to be wrong


def refused(project: Path, **options: object) -> ProjectError | EnvironmentBuildError:
    with pytest.raises((ProjectError, EnvironmentBuildError)) as caught:
        build(BuildOptions(folder=project, **options))  # type: ignore[arg-type]
    return caught.value


def test_an_unknown_backend(tmp_path: Path, golden: Callable[..., None]) -> None:
    text = HATCHLING.replace("hatchling.build", "nonsense.build")
    project = commit(tmp_path / "project", {"pyproject.toml": text})
    error = refused(project)
    details = [(label, text.splitlines()[-1]) for label, text in error.details]
    golden("build/backend_unknown", ProjectError(error.message, details=details[1:], hint=error.hint))


def test_a_source_archive_that_escapes(tmp_path: Path, golden: Callable[..., None]) -> None:
    code = building.IN_TREE.replace('"pkg-1.0/" + path', '"../" + path')
    project = write_in_tree(tmp_path / "project", more={"backend.py": code})
    golden("build/sdist_escapes", refused(project))


def test_a_build_that_needs_the_network(tmp_path: Path, golden: Callable[..., None]) -> None:
    code = "import socket\ndef extra(found):\n    socket.getaddrinfo('example.org', 443)\n    return found\n"
    project = write_in_tree(tmp_path / "project", code)
    error = refused(project)
    golden("build/network", ProjectError(error.message, hint=error.hint))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_hash(tmp_path: Path, backend: str) -> None:
    """The same file of constraints stops `reproof build` and the well-known line of `uv build`."""
    project = write_project(tmp_path / "project", backend)
    requires = BACKENDS[backend][0]
    lock = subprocess.run(
        [find_uv_bin(), "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "-"],
        input=requires,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wrong = re.sub(r"sha256:([0-9a-f]{64})", lambda match: f"sha256:{match[1][::-1]}", lock)
    commit(project, {"constraints.txt": wrong})
    error = refused(project)
    assert error.message.startswith("hash mismatch: `")
    done = subprocess.run(
        [find_uv_bin(), "build", "--build-constraint=constraints.txt", "--require-hashes", "--wheel"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "Hash mismatch" in done.stderr


def test_constraints_without_the_backend(tmp_path: Path, golden: Callable[..., None]) -> None:
    project = commit(tmp_path / "project", {"pyproject.toml": HATCHLING, "my.txt": "# nothing\n"})
    golden("build/constraints_without_backend", refused(project, constraints=project / "my.txt"))
    golden("build/constraints_missing", refused(project, constraints=Path("none.txt")))


def test_documents_that_are_none(tmp_path: Path, golden: Callable[..., None]) -> None:
    project = write_in_tree(tmp_path / "project")
    path = tmp_path / "x.buildinfo.json"
    newer = msgspec.structs.replace(build(BuildOptions(folder=project)).info, schema="reproof/buildinfo/9")
    for name, data in (("document_broken", b"{"), ("document_newer", msgspec.json.encode(newer))):
        path.write_bytes(data)
        with pytest.raises(ProjectError) as caught:
            check(path, BuildOptions(folder=project))
        golden(f"build/{name}", caught.value)


def test_a_commit_that_is_not_there(tmp_path: Path, golden: Callable[..., None]) -> None:
    golden("build/revision_unknown", refused(write_in_tree(tmp_path / "project"), revision="v9"))


def test_without_a_sandbox_less_is_varied_and_said(tmp_path: Path) -> None:
    project = write_in_tree(tmp_path / "project", building.FAULTS["path-in-file"])
    report = build(BuildOptions(folder=project, isolation="process"))
    assert names(report) == {"path-in-file"}
    assert {"user", "host name"} <= {each.name for each in report.info.not_exercised}
    assert any("nothing kept the build from the network" in each for each in report.info.conditions)


def test_docker_does_not_isolate_builds(tmp_path: Path, golden: Callable[..., None]) -> None:
    project = write_in_tree(tmp_path / "project")
    with pytest.raises(UsageError) as caught:
        build(BuildOptions(folder=project, isolation="docker"))
    golden("build/isolation", caught.value)
