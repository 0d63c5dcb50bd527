from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import msgspec
import pytest

from reproof import injected
from reproof.environment import (
    EnvironmentRequest,
    LockSource,
    check,
    check_contents,
    create,
    environment_key,
    find_cached,
    find_python,
    make_lock,
)
from reproof.environment.install import link_mode
from reproof.environment.uv import find_uv, uv_environment
from reproof.errors import EnvironmentBuildError


def imported(environment, code):
    done = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def cached_files(tmp_path, name):
    return [path for path in (tmp_path / "uv-cache").rglob(name) if "archive" in path.as_posix()]


def test_an_environment_holds_the_lock_and_the_bootstrap(index, request_for, python, events):
    index.wheel(
        "alpha", "1.5", files={"alpha-1.5.dist-info/entry_points.txt": "[console_scripts]\ngo = alpha:go\n"}
    )
    made = create(request_for("alpha\n"), emit=events.append)
    assert imported(made, "import alpha, sys; print(alpha.VERSION, sys.prefix)") == f"1.5 {made.folder}"
    (item,) = made.distributions
    assert (item.name, item.version, item.editable, item.source) == ("alpha", "1.5", False, None)
    assert (made.base, made.conditions, made.reused) == (python, (), False)
    assert (made.scripts / "go").exists()
    assert (made.site_packages / "reproof.pth").exists()
    assert [event.kind for event in events] == ["start", "finish"]


def test_nothing_is_shared_with_the_package_cache(index, request_for, monkeypatch, tmp_path):
    index.wheel("alpha")
    monkeypatch.setenv("UV_LINK_MODE", "hardlink")
    made = create(request_for("alpha\n"))
    assert (made.site_packages / "alpha.py").stat().st_nlink == 1
    (cached,) = cached_files(tmp_path, "alpha.py")
    assert not cached.samefile(made.site_packages / "alpha.py")


def test_link_mode_is_tried(tmp_path, index):
    assert link_mode(tmp_path) in {"clone", "copy"}


def test_the_same_request_gets_the_same_environment(index, request_for, events):
    index.wheel("alpha")
    first = create(request_for("alpha\n"))
    again = create(request_for("alpha\n"), emit=events.append)
    assert again == msgspec.structs.replace(first, reused=True)
    assert events == []


def test_looking_for_an_environment_makes_none(index, request_for, tmp_path):
    index.wheel("alpha")
    request = request_for("alpha\n")
    assert find_cached(request) is None
    assert not (tmp_path / "cache" / "environments").exists()
    made = create(request)
    assert find_cached(request) == msgspec.structs.replace(made, reused=True)


def test_the_key_holds_all_that_decides(index, request_for, monkeypatch):
    index.wheel("alpha", "1.0")
    index.wheel("alpha", "2.0")
    request = request_for("alpha==1.0\n")
    other = msgspec.structs.replace(request.python.build, build="another build")
    requests = [
        request,
        request_for("alpha==2.0\n"),
        msgspec.structs.replace(request, python=msgspec.structs.replace(request.python, build=other)),
        msgspec.structs.replace(request, extras=("fast",)),
    ]
    keys = [environment_key(item) for item in requests]
    monkeypatch.setattr(injected, "version", lambda: "another")
    keys.append(environment_key(request))
    assert len(set(keys)) == len(keys)


def test_a_private_environment_lies_where_it_is_asked_for(index, request_for, tmp_path):
    index.wheel("alpha")
    made = create(request_for("alpha\n"), tmp_path / "room" / "env")
    assert made.folder == tmp_path / "room" / "env"
    assert check(made) == []
    with pytest.raises(EnvironmentBuildError, match="something is there"):
        create(request_for("alpha\n"), tmp_path / "room" / "env")


@pytest.mark.parametrize("missing", ["reproof-environment.json", "bin/python"])
def test_a_half_built_environment_is_never_reused(index, request_for, missing):
    index.wheel("alpha")
    first = create(request_for("alpha\n"))
    (first.folder / missing).unlink()
    (first.site_packages / "alpha.py").unlink()
    again = create(request_for("alpha\n"))
    assert not again.reused
    assert imported(again, "import alpha; print(alpha.VERSION)") == "1.0"


def test_a_failed_build_leaves_nothing(index, request_for, tmp_path):
    request = request_for(f"alpha==1.0 --hash=sha256:{index.wheel('alpha')}\n")
    for path in index.folder.iterdir():
        path.unlink()
    with pytest.raises(EnvironmentBuildError, match="`alpha` is in none of the indexes") as caught:
        create(request, tmp_path / "env")
    assert "alpha" in dict(caught.value.details)["uv"]
    assert not (tmp_path / "env").exists()


FILLED = """
import json, os, subprocess, sys
from pathlib import Path
from reproof.environment import EnvironmentRequest, LockSource, check, check_contents, create, find_python, make_lock
from reproof.errors import EnvironmentBuildError

disk, project = Path(sys.argv[1]), Path(sys.argv[2])
source = LockSource(kind="requirements", folder=project, file="requirements.txt")
python = find_python()
request = EnvironmentRequest(lock=make_lock(source, python), python=python, folder=project)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=True)
os.environ["REPROOF_CACHE_DIR"] = str(disk)
failures = []
for size in (16, 48, *range(256, 4096, 256)):
    subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
    try:
        made = create(request)
    except EnvironmentBuildError as error:
        left = sorted(path.name for path in disk.glob("environments/*") if path.is_dir())
        failures.append([error.message, error.hint, left])
    else:
        print(json.dumps([failures, made.reused, not check(made) and not check_contents(made)]))
        break
"""


@pytest.mark.needs("bwrap")
def test_a_full_disk_is_named_and_leaves_nothing(index, project, tmp_path):
    """Made on ever larger disks: whatever it is that does not fit, the error is the same."""
    for number in range(3):
        index.wheel(f"part{number}", files={f"part{number}/{i}.py": "#" * 3000 for i in range(40)})
    (project / "requirements.txt").write_text("part0\npart1\npart2\n")
    (tmp_path / "disk").mkdir()
    words = [
        "unshare",
        "--mount",
        *(["--map-root-user"] if os.getuid() else []),
        sys.executable,
        "-c",
        FILLED,
    ]
    done = subprocess.run(
        [*words, tmp_path / "disk", project], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    failures, reused, whole = json.loads(done.stdout)
    assert (reused, whole) == (False, True)
    assert {message.partition(": ")[2] for message, _, _ in failures} == {"the disk is full"}
    assert len({message for message, _, _ in failures}) > 1, failures  # in several steps of the work
    assert all("another disk" in hint and left == [] for _, hint, left in failures)


def test_an_edited_package_is_named_and_made_anew(index, request_for, events):
    index.wheel("alpha")
    made = create(request_for("alpha\n"))
    (made.site_packages / "alpha.py").write_text("VERSION = 'evil'\n")
    assert [str(change) for change in check(made)] == ["`alpha.py` of alpha changed"]
    assert [str(change) for change in check_contents(made)] == ["`alpha.py` of alpha changed"]
    again = create(request_for("alpha\n"), emit=events.append)
    assert not again.reused
    assert imported(again, "import alpha; print(alpha.VERSION)") == "1.0"
    assert events[0].kind == "warning"
    assert events[0].message == (
        "package `alpha` was changed in the cached environment since it was made (`alpha.py` of alpha changed); it is made anew"
    )


def test_files_that_are_added_or_removed_are_noticed(index, request_for):
    index.wheel("alpha")
    made = create(request_for("alpha\n"))
    (made.site_packages / "sitecustomize.py").write_text("raise SystemExit\n")
    (made.site_packages / "alpha.py").unlink()
    assert sorted(map(str, check(made))) == ["`alpha.py` of alpha missing", "`sitecustomize.py` added"]


def test_running_and_touching_change_nothing(index, request_for):
    index.wheel("alpha")
    made = create(request_for("alpha\n"))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([made.python, "-c", "import alpha"], env=env, check=True)
    assert list(made.site_packages.glob("__pycache__/alpha*.pyc"))
    os.utime(made.site_packages / "alpha.py", (1, 1))
    assert check(made) == []
    assert create(request_for("alpha\n")).reused


def test_an_edit_in_another_environment_does_not_arrive(index, request_for, project, tmp_path, events):
    """The way it happens: uv links files into an environment, and somebody edits them there."""
    index.wheel("alpha")
    index.wheel("beta")
    other = tmp_path / "other"
    env = uv_environment()
    subprocess.run([find_uv(), "venv", "-q", other, "--python", sys.executable], check=True, env=env)
    request = request_for("alpha\nbeta\n")
    (project / "lock.txt").write_text(request.lock.text)
    install = [
        find_uv(),
        "pip",
        "install",
        "-q",
        "--require-hashes",
        "--link-mode",
        "hardlink",
        "-r",
        project / "lock.txt",
    ]
    subprocess.run([*install, "--python", other / "bin/python"], check=True, env=env)
    (edited,) = other.rglob("alpha.py")
    with edited.open("a") as file:
        file.write("VERSION = 'evil'\n")
    assert "evil" in cached_files(tmp_path, "alpha.py")[0].read_text()
    made = create(request, emit=events.append)
    assert imported(made, "import alpha; print(alpha.VERSION)") == "1.0"
    assert [event.message for event in events if event.kind == "warning"] == [
        "package cache held a changed `alpha.py`; taken afresh"
    ]
    assert made.conditions == ()


@pytest.fixture
def served(index, monkeypatch):
    """The packages behind HTTP: what uv has of them then stays in its cache."""
    place = index.folder / "simple" / "alpha"
    place.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(index.folder / "simple")))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.delenv("UV_FIND_LINKS")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/")
    index.wheel("alpha")
    next(index.folder.glob("*.whl")).rename(place / "alpha-1.0-py3-none-any.whl")
    yield
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        """Not on standard error."""


@pytest.mark.usefixtures("served")
def test_a_poisoned_cache_and_no_way_to_the_index(request_for, tmp_path, events):
    request = request_for("alpha\n")
    create(request)
    offline = msgspec.structs.replace(request, offline=True)
    assert create(offline, tmp_path / "sound").conditions == ()
    cached_files(tmp_path, "alpha.py")[0].write_text("VERSION = 'evil'\n")
    with pytest.raises(EnvironmentBuildError) as caught:
        create(offline, tmp_path / "env")
    expected = "the package cache held a changed `alpha.py` of `alpha`, and it cannot be taken afresh"
    assert caught.value.message == expected
    assert caught.value.hint == "go online and run `uv cache clean alpha`"
    assert not (tmp_path / "env").exists()
    create(request, tmp_path / "env", events.append)
    assert [event.kind for event in events] == ["start", "warning", "finish"]
    assert create(offline, tmp_path / "healed").conditions == ()


@pytest.mark.usefixtures("served")
def test_offline_without_the_package(request_for, tmp_path):
    request = request_for("alpha\n", offline=True)
    shutil.rmtree(tmp_path / "uv-cache")
    with pytest.raises(EnvironmentBuildError, match="packages are missing from uv's cache") as caught:
        create(request)
    assert caught.value.hint == "run it once without `--offline`, or with UV_OFFLINE unset"


def test_a_package_whose_own_record_is_wrong_is_a_condition(index, request_for):
    index.wheel("alpha", record={"alpha.py": "sha256=" + "A" * 43})
    made = create(request_for("alpha\n"))
    assert made.conditions == ("`alpha.py` of `alpha` is changed in the published package itself",)
    assert create(request_for("alpha\n")).reused


def test_two_packages_with_one_file(index, request_for):
    index.wheel("alpha", files={"shared.py": "A = 1\n"})
    index.wheel("beta", files={"shared.py": "A = 2\n"})
    made = create(request_for("alpha\nbeta\n"))
    assert made.conditions == ()
    assert check_contents(made) == []


def test_a_hash_that_does_not_match(index, request_for):
    digest = index.wheel("alpha")
    with pytest.raises(EnvironmentBuildError) as caught:
        create(request_for(f"alpha==1.0 --hash=sha256:{'1' * 64}\n"))
    assert caught.value.message == "hash mismatch: `alpha==1.0` is not the file that the lock names"
    facts = dict(caught.value.details)
    assert facts == {
        "source": "requirements.txt",
        "expected": f"sha256:{'1' * 64}",
        "got": f"sha256:{digest}",
    }


def test_a_lock_for_another_platform(index, request_for):
    digest = index.wheel("alpha")
    next(index.folder.iterdir()).rename(index.folder / "alpha-1.0-py3-none-win_amd64.whl")
    with pytest.raises(
        EnvironmentBuildError, match=r"`alpha==1\.0` has no file for this Python and platform"
    ):
        create(request_for(f"alpha==1.0 --hash=sha256:{digest}\n"))


def test_a_release_that_is_gone(index, request_for):
    digest = index.wheel("alpha")
    with pytest.raises(EnvironmentBuildError, match=r"`alpha==2\.0` is in none of the indexes"):
        create(request_for(f"alpha==2.0 --hash=sha256:{digest}\n"))


@pytest.mark.usefixtures("served")
def test_a_yanked_release(index, request_for, events):
    """Where a lock names it, it is installed and said; else it is not taken."""
    place = index.folder / "simple/alpha"
    (wheel,) = place.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    link = f'<a href="{wheel.name}#sha256={digest}" data-yanked="wrong numbers">{wheel.name}</a>'
    (place / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    made = create(request_for(f"alpha==1.0 --hash=sha256:{digest}\n"), emit=events.append)
    assert [item.version for item in made.distributions] == ["1.0"]
    told = [event.message for event in events if event.kind == "warning"]
    assert told == ["`alpha==1.0` was yanked by its publisher: wrong numbers"]
    with pytest.raises(EnvironmentBuildError) as caught:
        create(request_for("alpha\n"))
    assert caught.value.message == "`alpha==1.0` was yanked: wrong numbers"
    assert caught.value.hint == "name another version, or this one exactly: `alpha==1.0`"


def test_a_source_distribution_is_a_condition(index, request_for):
    index.sdist("gamma")
    made = create(request_for("gamma\n"))
    assert imported(made, "import gamma; print(gamma.VERSION)") == "1.0"
    assert made.conditions == (
        "`gamma==1.0` was built from source, with build requirements that no hash locks",
    )
    again = create(request_for("gamma\n# the built wheel is in uv's cache now\n"))
    assert again.conditions == made.conditions


def test_wheels_only_refuses_to_build(index, request_for):
    index.sdist("gamma")
    with pytest.raises(EnvironmentBuildError, match="has no wheel for this Python and platform"):
        create(request_for("gamma\n", wheels_only=True))


def test_a_build_that_fails_shows_its_output(index, request_for):
    index.sdist("gamma", backend="raise SystemExit('no compiler in sight')\n")
    with pytest.raises(EnvironmentBuildError, match=r"cannot build `gamma==1\.0` from source") as caught:
        create(request_for("gamma\n"))
    assert "no compiler in sight" in dict(caught.value.details)["uv"]


def test_a_folder_of_the_project_shows_later_edits(index, request_for, project):
    index.wheel("alpha")
    lib = project / "lib"
    index.tree(lib, "lib")
    request = request_for("./lib\nalpha\n")
    first = create(request)
    assert imported(first, "import lib; print(lib.VERSION)") == "1.0"
    assert {item.name: item.source for item in first.distributions} == {
        "alpha": None,
        "lib": "${PROJECT}/lib",
    }
    (lib / "lib.py").write_text("VERSION = 'new'\n")
    second = create(request)
    assert second.key != first.key
    assert imported(second, "import lib; print(lib.VERSION)") == "new"


def test_uv_lock_is_synchronised(index, project, python, tmp_path):
    index.wheel("alpha")
    index.wheel("beta")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["alpha"]\n'
        '[dependency-groups]\ndev = ["beta"]\n[project.optional-dependencies]\nmore = ["gamma"]\n'
    )
    index.wheel("gamma")
    subprocess.run([find_uv(), "lock", "-q"], cwd=project, env=uv_environment(), check=True)
    before = sorted(project.rglob("*"))
    lock = make_lock(LockSource(kind="uv.lock", folder=project, file="uv.lock"), python)
    names = {}
    for groups, extras in ((None, ()), ((), ()), ((), ("more",))):
        request = EnvironmentRequest(lock=lock, python=python, folder=project, groups=groups, extras=extras)
        names[groups, extras] = [item.name for item in create(request).distributions]
    assert names == {(None, ()): ["alpha", "beta"], ((), ()): ["alpha"], ((), ("more",)): ["alpha", "gamma"]}
    assert sorted(project.rglob("*")) == before
    (project / "uv.lock").write_text(lock.text + "\n# edited\n")
    with pytest.raises(EnvironmentBuildError, match="is not the lock to be installed"):
        create(EnvironmentRequest(lock=lock, python=python, folder=project), tmp_path / "env")


def test_pylock_is_installed(index, project, python):
    digest = index.wheel("alpha")
    wheel = next(index.folder.iterdir())
    (project / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "alpha"\nversion = "1.0"\n'
        f'wheels = [{{ path = "{wheel}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    )
    lock = make_lock(LockSource(kind="pylock.toml", folder=project, file="pylock.toml"), python)
    made = create(EnvironmentRequest(lock=lock, python=python, folder=project))
    assert [item.name for item in made.distributions] == ["alpha"]


@pytest.mark.slow
def test_a_real_package_from_the_real_index(project, tmp_path, monkeypatch):
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    python = find_python()
    (project / "requirements.txt").write_text("six==1.17.0\n")
    lock = make_lock(LockSource(kind="requirements", folder=project, file="requirements.txt"), python)
    assert "://" not in lock.text
    made = create(EnvironmentRequest(lock=lock, python=python, folder=project))
    assert [(item.name, item.version) for item in made.distributions] == [("six", "1.17.0")]
