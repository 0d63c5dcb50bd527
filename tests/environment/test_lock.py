from __future__ import annotations

import subprocess

import pytest

from reproof.environment import (
    EnvironmentRequest,
    LockSource,
    create,
    disagreements,
    make_lock,
    read_lock_file,
)
from reproof.environment.uv import find_uv, uv_environment
from reproof.errors import EnvironmentBuildError, ProjectError
from reproof.model.record import Distribution
from websites import Site


@pytest.fixture
def lock(index, project, python):
    """Make the lock for lines, or for a file of the project."""

    def make(*lines, kind="requirements", file="requirements.txt", **more):
        emit = more.pop("emit", lambda _: None)
        offline = more.pop("offline", False)
        return make_lock(
            LockSource(kind=kind, folder=project, file=file, lines=lines, **more),
            python,
            emit=emit,
            offline=offline,
        )

    return make


def uv(project, *arguments):
    subprocess.run(
        [find_uv(), *arguments], cwd=project, env=uv_environment(), check=True, capture_output=True
    )


def test_hashed_requirements_are_taken_verbatim(index, project, lock):
    text = f"# our lock\nalpha==1.0 \\\n    --hash=sha256:{index.wheel('alpha')}\n"
    (project / "requirements.txt").write_text(text)
    for made in (lock(), lock("-r requirements.txt")):
        assert (made.text, made.format, made.resolved, made.unhashed) == (text, "requirements", False, ())


def test_files_are_expanded_into_one_text(index, project, lock):
    first, second = index.wheel("alpha"), index.wheel("beta")
    (project / "more.txt").write_text(f"beta==1.0 --hash=sha256:{second}\n")
    (project / "requirements.txt").write_text(f"-r more.txt\nalpha==1.0 --hash=sha256:{first}\n")
    made = lock()
    assert (
        made.text == f"beta==1.0 \\\n    --hash=sha256:{second}\nalpha==1.0 \\\n    --hash=sha256:{first}\n"
    )
    assert not made.resolved


def test_what_has_no_hashes_is_resolved_with_hashes(index, lock):
    digest = index.wheel("alpha", "1.5")
    below = index.wheel("beta", requires=("alpha>=1",))
    made = lock("beta")
    assert made.resolved
    assert (
        made.text == f"alpha==1.5 \\\n    --hash=sha256:{digest}\nbeta==1.0 \\\n    --hash=sha256:{below}\n"
    )


def test_a_resolution_is_made_once_for_one_question(index, lock, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{site.uri}/simple")
    site.add_wheel("alpha", "1.0")
    told = []
    first = lock("alpha", emit=told.append)
    site.add_wheel("alpha", "2.0")
    assert lock("alpha", emit=told.append) == first
    assert [event.kind for event in told] == ["start", "finish"]
    assert "alpha==2.0" in lock("alpha>1").text
    site.close()


def test_what_a_folder_offers_is_part_of_the_question(index, lock):
    index.wheel("alpha", files={"note": "1"})
    first = lock("alpha")
    digest = index.wheel("alpha", files={"note": "2"})
    assert lock("alpha") != first
    assert lock("alpha").text == f"alpha==1.0 \\\n    --hash=sha256:{digest}\n"


@pytest.mark.parametrize(
    ("lines", "settings"),
    [
        (("--find-links wheels", "alpha"), {}),
        (("alpha",), {"uv.toml": 'find-links = ["wheels"]\n'}),
        (("alpha",), {"pyproject.toml": '[tool.uv]\nfind-links = ["./wheels"]\n'}),
        (("alpha",), {"uv.toml": '[[index]]\nurl = "./wheels"\nformat = "flat"\n'}),
    ],
)
def test_projects_with_other_wheels_of_one_name(index, tmp_path, python, lines, settings):
    """Neither the resolution nor the environment of one is that of the other."""
    found = []
    for number in (1, 2):
        folder = tmp_path / f"project-{number}"
        folder.mkdir()
        index.folder = folder / "wheels"
        index.folder.mkdir()
        digest = index.wheel("alpha", files={"alpha_value.py": f"VALUE = {number}\n"})
        for name, text in settings.items():
            (folder / name).write_text(text)
        lock = make_lock(
            LockSource(kind="requirements", folder=folder, file="requirements.txt", lines=lines), python
        )
        assert digest in lock.text
        made = create(EnvironmentRequest(lock=lock, python=python, folder=folder))
        found.append((made.site_packages / "alpha_value.py").read_text())
    assert found == ["VALUE = 1\n", "VALUE = 2\n"]


def test_constraints_bind_a_resolution(index, project, lock):
    index.wheel("alpha", "1.0")
    index.wheel("alpha", "2.0")
    (project / "limits.txt").write_text("alpha<2\n")
    assert lock("alpha", "-c limits.txt").text.startswith("alpha==1.0 ")


def test_what_a_constraint_pins_is_part_of_the_resolution(index, project, lock):
    index.wheel("below", "1.0")
    index.wheel("alpha", "1.0", requires=("below",))
    (project / "limits.txt").write_text("below==1.0\n")
    assert "below==1.0" in lock("alpha", "-c limits.txt").text


def test_a_pin_against_its_constraint(index, project, lock):
    (project / "limits.txt").write_text("alpha<2\n")
    with pytest.raises(ProjectError, match=r"`alpha==2\.0` contradicts the constraint `alpha<2`"):
        lock(f"alpha==2.0 --hash=sha256:{index.wheel('alpha', '2.0')}", "-c limits.txt")


def test_build_dependencies_join_a_hashed_lock(index, lock):
    digest = index.wheel("alpha")
    tool = index.wheel("tool", "3.0", requires=("alpha",))
    made = lock(f"alpha==1.0 --hash=sha256:{digest}", build_lines=("tool==3.0", "alpha==0.9"))
    assert made.text == f"alpha==1.0 \\\n    --hash=sha256:{digest}\ntool==3.0 \\\n    --hash=sha256:{tool}\n"
    assert made.resolved


def test_versions_that_a_run_is_known_to_have_had(index, project, lock):
    """They bind what is open, tools come besides and move nothing, and what has hashes stays as it is."""
    digest = index.wheel("alpha")
    later = index.wheel("alpha", "2.0")
    index.wheel("tool", "3.0", requires=("alpha",))
    known = {"constraints": ("alpha==1.0", "beta==9"), "tools": ("tool==3.0", "alpha==2.0")}
    open_ = lock("alpha", **known)
    (project / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\ndependencies = ["alpha"]\n'
    )
    for made in (open_, lock(kind="pyproject", file="pyproject.toml", **known)):
        assert [line.split()[0] for line in made.text.splitlines() if "==" in line] == [
            "alpha==1.0",
            "tool==3.0",
        ]
        assert f"sha256:{digest}" in made.text
    locked = lock(f"alpha==2.0 --hash=sha256:{later}", **known)
    assert locked.text.startswith(f"alpha==2.0 \\\n    --hash=sha256:{later}\ntool==3.0")
    assert locked.resolved
    with pytest.raises(EnvironmentBuildError):
        lock("alpha>1", **known)


def test_a_wrong_hash_among_lines_without_any_is_not_passed_over(index, lock):
    index.wheel("alpha")
    index.wheel("beta")
    with pytest.raises(EnvironmentBuildError, match=r"hash mismatch: `alpha==1\.0`") as caught:
        lock(f"alpha==1.0 --hash=sha256:{'0' * 64}", "beta")
    assert dict(caught.value.details)["expected"] == f"sha256:{'0' * 64}"


def test_no_requirements_are_an_empty_lock(lock, project):
    (project / "requirements.txt").write_text("# nothing\n")
    assert lock().text == "# nothing\n"


def test_what_does_not_exist_cannot_be_resolved(lock):
    with pytest.raises(EnvironmentBuildError, match="`no-such-package` is in none of the indexes") as caught:
        lock("no-such-package")
    assert "no-such-package" in dict(caught.value.details)["uv"]


def test_credentials_reach_uv_and_no_lock(index, lock):
    digest = index.wheel("alpha")
    made = lock(
        "--extra-index-url https://me:secret@example.org/simple", f"alpha==1.0 --hash=sha256:{digest}"
    )
    assert "secret" not in made.text
    assert made.text.startswith("--extra-index-url https://example.org/simple\n")
    assert made.private_indexes == ("https://me:secret@example.org/simple",)


def test_folders_are_named_as_unhashed(index, project, lock):
    (project / "lib").mkdir()
    (project / "lib" / "pyproject.toml").write_text(
        '[project]\nname = "lib"\nversion = "1"\ndependencies = ["alpha"]\n'
    )
    index.wheel("alpha")
    made = lock("-e ./lib", "alpha")
    assert "-e ./lib\n" in made.text
    assert made.unhashed == ("-e ./lib: a folder of the project",)


def test_pyproject_without_a_lock(index, project, lock):
    index.wheel("alpha")
    index.wheel("beta")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\ndependencies = ["alpha"]\n'
        '[dependency-groups]\ntrain = ["beta"]\n[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n'
    )
    made = lock(kind="pyproject", file="pyproject.toml", groups=("train",))
    assert "alpha==1.0" in made.text
    assert "beta==1.0" in made.text
    assert made.text.endswith("-e .\n")


def test_pyproject_that_names_no_project(project, lock):
    (project / "pyproject.toml").write_text("[tool.ruff]\n")
    with pytest.raises(ProjectError, match=r"`pyproject.toml` has no \[project\] table"):
        lock(kind="pyproject", file="pyproject.toml")


def write_project(project, *names):
    listed = ", ".join(f'"{name}"' for name in names)
    text = f'[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = [{listed}]\n'
    (project / "pyproject.toml").write_text(text)


def test_uv_lock_is_taken_as_it_stands(index, project, lock):
    index.wheel("alpha")
    write_project(project, "alpha")
    uv(project, "lock")
    made = lock(kind="uv.lock", file="uv.lock")
    assert made.format == "uv.lock"
    assert made.text == (project / "uv.lock").read_text()


def test_uv_lock_against_pyproject_and_its_cure(index, project, lock):
    index.wheel("alpha")
    index.wheel("beta")
    write_project(project, "alpha")
    uv(project, "lock")
    write_project(project, "alpha", "beta")
    with pytest.raises(EnvironmentBuildError, match=r"the lock does not match pyproject.toml") as caught:
        lock(kind="uv.lock", file="uv.lock")
    assert caught.value.hint == f"run `(cd {project} && uv lock)`"  # we are elsewhere
    reason = "The lockfile at `uv.lock` needs to be updated, but `--check` was provided."
    assert " ".join(dict(caught.value.details)["uv"].split()) == reason  # uv wraps where it likes
    uv(project, "lock")
    assert "beta" in lock(kind="uv.lock", file="uv.lock").text


@pytest.fixture
def member(index, project):
    """A project within a workspace that has two more; one of them it needs."""
    for name in ("alpha", "beta", "gamma", "delta"):
        index.wheel(name)
    write_project(project)
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    (project / "packages").mkdir()
    index.tree(project / "packages/near", "near")
    for name, needs in (("app", ("alpha", "near")), ("other", ("delta",))):
        (project / "packages" / name).mkdir()
        write_project(project / "packages" / name, *needs)
    path = project / "packages/app/pyproject.toml"
    more = '[project.optional-dependencies]\nmore = ["gamma"]\n[dependency-groups]\ndev = ["beta"]\n'
    path.write_text(
        path.read_text().replace("demo", "app") + more + "[tool.uv.sources]\nnear = {workspace = true}\n"
    )
    other = project / "packages/other/pyproject.toml"
    other.write_text(other.read_text().replace("demo", "other"))
    uv(project, "lock")
    return path.parent


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({}, ["-e ../near", "alpha==1.0", "beta==1.0"]),
        ({"groups": ()}, ["-e ../near", "alpha==1.0"]),
        ({"groups": (), "extras": ("more",)}, ["-e ../near", "alpha==1.0", "gamma==1.0"]),
    ],
)
def test_a_member_gets_its_part_of_the_lock_of_the_workspace(member, python, choice, names):
    source = LockSource(kind="uv.lock", folder=member, file="../../uv.lock", **choice)
    made = make_lock(source, python)
    assert (made.format, made.source, made.resolved) == ("requirements", "../../uv.lock", False)
    lines = [line for line in made.text.splitlines() if not line.startswith("    --hash=")]
    assert [line.removesuffix(" \\") for line in lines] == names
    # uv has no hashes of what a folder of wheels holds, either
    assert made.unhashed[0] == "-e ../near: a folder of the project"


def test_what_a_member_gets_is_installed_from_the_folders_of_the_workspace(member, python, tmp_path):
    lock = make_lock(LockSource(kind="uv.lock", folder=member, file="../../uv.lock"), python)
    (tmp_path / "project/.git").mkdir()
    made = create(EnvironmentRequest(lock=lock, python=python, folder=member), tmp_path / "made")
    assert [(each.name, each.source) for each in made.distributions] == [
        ("alpha", None),
        ("beta", None),
        ("near", "${PROJECT}/../near"),
    ]


def test_a_member_that_the_lock_of_the_workspace_does_not_fit(member, python):
    text = (member / "pyproject.toml").read_text()
    (member / "pyproject.toml").write_text(text.replace('"alpha"', '"gamma"'))
    with pytest.raises(EnvironmentBuildError, match=r"the lock does not match pyproject.toml") as caught:
        make_lock(LockSource(kind="uv.lock", folder=member, file="../../uv.lock"), python)
    assert caught.value.hint == f"run `(cd {member} && uv lock)`"
    uv(member, "lock")
    assert "gamma" in make_lock(LockSource(kind="uv.lock", folder=member, file="../../uv.lock"), python).text


def test_pylock_names_what_has_no_hash(project, lock):
    (project / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "demo"\ndirectory = { path = ".", editable = true }\n'
    )
    made = lock(kind="pylock.toml", file="pylock.toml")
    assert made.unhashed == ("demo: from the folder `.` of the project",)


@pytest.mark.parametrize(
    ("kind", "file"),
    [("uv.lock", "uv.lock"), ("pylock.toml", "pylock.toml"), ("pyproject", "pyproject.toml")],
)
def test_a_missing_file_is_the_projects_fault(lock, kind, file):
    with pytest.raises(ProjectError, match=f"cannot read `{file}`"):
        lock(kind=kind, file=file)


def test_a_lock_that_is_not_toml(project, lock):
    (project / "pylock.toml").write_text("= nothing\n")
    with pytest.raises(ProjectError, match=r"`pylock.toml` is not TOML"):
        lock(kind="pylock.toml", file="pylock.toml")


def test_requirements_beside_a_lock_disagree_by_their_pins(project):
    (project / "more.txt").write_text("beta==2.0\n")
    text = "-r more.txt\n--index-url https://packages.example.org/simple\nalpha>=1\n-e .\n"
    (project / "requirements.txt").write_text(text)
    held = read_lock_file(project / "requirements.txt", "requirements.txt")
    installed = [Distribution(name="alpha", version="1.0"), Distribution(name="beta", version="3.0")]
    assert disagreements(held, installed) == ("`requirements.txt` has beta 2.0, the environment 3.0",)


def test_disagreements_name_both_versions(project):
    (project / "uv.lock").write_text(
        '[[package]]\nname = "alpha"\nversion = "1.0"\n[[package]]\nname = "beta"\nversion = "2.0"\n'
    )
    held = read_lock_file(project / "uv.lock", "uv.lock")
    installed = [
        Distribution(name="alpha", version="1.0.0"),
        Distribution(name="beta", version="3.0"),
        Distribution(name="own", version="1"),
    ]
    assert disagreements(held, installed) == ("`uv.lock` has beta 2.0, the environment 3.0",)
