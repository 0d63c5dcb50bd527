from __future__ import annotations

import pytest

from reproof.environment.requirements import logical_lines, normalise, read_lines, without_userinfo
from reproof.errors import ProjectError

HASH = "sha256:" + "0" * 64


def one(text, folder):
    (line,) = read_lines([text], folder, "requirements.txt")
    return line


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("six", "six", None),
        ("six==1.16.0", "six", "1.16.0"),
        ("Zope.Interface[test] == 5.0 ; python_version > '3'", "zope-interface", "5.0"),
        ("six===1.0+local", "six", "1.0+local"),
        ("six==1.*", "six", None),
        ("six>=1,<2", "six", None),
        ("six (==1.0)", "six", "1.0"),
        ("six==1.0,>0.1", "six", None),
        ("pkg @ https://example.org/pkg-1.whl", "pkg", None),
    ],
)
def test_names_and_pins(tmp_path, text, name, version):
    line = one(text, tmp_path)
    assert (line.name, line.version) == (name, version)
    assert line.requirement


def test_hashes_comments_and_continuations(tmp_path):
    texts = ["# head", "six==1.16.0 \\", f"    --hash={HASH} \\", f"    --hash={HASH}  # why", "", "idna"]
    six, idna = read_lines(texts, tmp_path, "r.txt")
    assert six.hashes == (HASH, HASH)
    assert six.hashed
    assert six.render() == f"six==1.16.0 \\\n    --hash={HASH} \\\n    --hash={HASH}"
    assert not idna.hashed


def test_a_trailing_continuation_is_no_trap():
    assert list(logical_lines(["six \\"])) == ["six"]


def test_a_comment_ends_in_a_backslash():
    assert list(logical_lines(["# a \\", "six"])) == ["six"]


@pytest.mark.parametrize(
    "form", ["-r more.txt", "-rmore.txt", "--requirement more.txt", "--requirement=more.txt"]
)
def test_nested_files(tmp_path, form):
    (tmp_path / "sub").mkdir()
    (tmp_path / "more.txt").write_text("-c sub/limits.txt\nidna\n-e ./sub\n")
    (tmp_path / "sub" / "limits.txt").write_text("idna<9\n")
    limit, idna, editable = read_lines([form], tmp_path, "r.txt")
    assert limit.constraint
    assert not limit.requirement
    assert idna.text == "idna"
    assert editable.path == tmp_path / "sub"
    assert editable.at(tmp_path).text == "-e ./sub"


def test_paths_keep_extras_and_markers(tmp_path):
    line = one("./lib[fast] ; python_version > '3'", tmp_path)
    assert line.path == tmp_path / "lib"
    assert line.at(tmp_path).text == "./lib[fast] ; python_version > '3'"
    assert one("lib @ file:lib", tmp_path).path == tmp_path / "lib"


def test_a_file_that_names_itself(tmp_path):
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\n")
    with pytest.raises(ProjectError, match=r"`a.txt` refers to itself"):
        read_lines(["-r a.txt"], tmp_path, "python_env.yaml")


def test_a_missing_file_is_named_with_the_one_that_asks(tmp_path):
    with pytest.raises(ProjectError) as caught:
        read_lines(["-r nowhere.txt"], tmp_path, "python_env.yaml")
    assert (
        caught.value.message == "cannot read the requirements file `nowhere.txt`: No such file or directory"
    )
    assert caught.value.details == (("named in", "python_env.yaml"),)


def test_credentials_are_set_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "t0p")
    line = one("--extra-index-url https://me:${TOKEN}@example.org/simple", tmp_path)
    assert line.text == "--extra-index-url https://example.org/simple"
    assert line.secret == "https://me:t0p@example.org/simple"
    line = one("pkg @ git+https://x:y@example.org/pkg.git@main", tmp_path)
    assert line.text == "pkg @ git+https://example.org/pkg.git@main"


def test_what_counts_as_locked(tmp_path):
    commit = "a" * 40
    assert one(f"pkg @ git+https://example.org/pkg.git@{commit}", tmp_path).locked
    assert not one("pkg @ git+https://example.org/pkg.git@main", tmp_path).locked
    assert one("./lib", tmp_path).locked
    assert not one("pkg @ https://example.org/pkg-1.whl", tmp_path).locked
    assert one(f"pkg @ https://example.org/pkg-1.whl --hash={HASH}", tmp_path).locked
    assert not one(f"six --hash={HASH}", tmp_path).locked


def test_addresses_without_their_users():
    assert without_userinfo("https://a:b@h/x git+ssh://git@h/y") == "https://h/x git+ssh://git@h/y"
    assert without_userinfo("https://h/a@b") == "https://h/a@b"
    assert normalise("A.b__C") == "a-b-c"
