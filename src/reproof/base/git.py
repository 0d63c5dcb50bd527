"""Git, through the git program: reading a repository; nothing here writes to it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reproof.base.programs import Completed, call, pasteable
from reproof.errors import ProjectError, UsageError
from reproof.model.record import Submodule

#: Kept away from git: they would point it at another repository, index or meaning of paths.
_REDIRECTING = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_PREFIX",
        "GIT_NAMESPACE",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
        "GIT_CONFIG",
        "GIT_TEMPLATE_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_DIFF_OPTS",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_ATTR_SOURCE",
    }
)

_FIRST_COMMIT = 'git add -A && git commit -m "first commit"'

#: Settings of the user that would run programs of theirs or overlook a change with kept times.
_OVERRIDES = (
    "core.quotePath=false",
    "core.fsmonitor=false",
    "core.trustctime=true",
    "core.checkStat=default",
)

_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE)
_QUERY = re.compile(r"(?P<address>[a-z][a-z0-9+.-]*://[^?#\s]*)[?#]\S*", re.IGNORECASE)

#: Settings that decide which bytes a checkout writes.
_CHECKOUT = ("core.autocrlf", "core.eol", "core.symlinks")


class Head(NamedTuple):
    """What is checked out: full ids of commit and tree; the branch, None when detached."""

    commit: str
    tree: str
    branch: str | None


def git(
    directory: Path, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> Completed:
    """Run git in `directory` without prompts, pagers, optional locks or replaced objects.

    Args:
        directory: Where git looks for its repository.
        arguments: Command and options.
        stdin: What git reads.
        env: Variables to set in addition.
    """
    overrides = [word for setting in _OVERRIDES for word in ("-c", setting)]
    return call(["git", *overrides, *arguments], cwd=directory, env=git_environment(env), stdin=stdin)


def git_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables under which git asks nothing, locks nothing and reads the repository it is told to."""
    variables = {name: value for name, value in os.environ.items() if name not in _REDIRECTING}
    variables.update(
        GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", GIT_NO_REPLACE_OBJECTS="1", GIT_PAGER="cat"
    )
    variables.update(LC_ALL="C", **(changes or {}))
    return variables


def git_bytes(
    directory: Path, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> bytes:
    """Standard output of a git command that must succeed.

    Raises:
        ProjectError: Git said no; its words are in the details.
    """
    done = git(directory, *arguments, stdin=stdin, env=env)
    if not done.ok:
        verb = next((word for word in arguments if not word.startswith("-") and "=" not in word), "")
        complaint = without_secrets(done.complaint) or "no message"
        raise ProjectError(f"`git {verb}` failed in `{directory}`", details=[("git", complaint)])
    return done.stdout


def git_text(directory: Path, *arguments: str) -> str:
    """Standard output as text without the final newline; see :func:`git_bytes`."""
    return os.fsdecode(git_bytes(directory, *arguments)).rstrip("\n")


def git_names(directory: Path, *arguments: str) -> list[str]:
    """The NUL-separated names that a git command prints (given ``-z``), in its order."""
    return [os.fsdecode(name) for name in git_bytes(directory, *arguments).split(b"\0") if name]


def without_secrets(address: str) -> str:
    """A Git address (or text with addresses) without user name, password, token or query."""
    return _QUERY.sub(r"\g<address>", _USERINFO.sub(r"\g<scheme>", address))


def find_top(directory: Path) -> Path | None:
    """The top folder of the work tree that holds `directory`, or None outside any."""
    done = git(directory, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(done.stdout).rstrip("\n")) if done.ok and done.stdout.strip() else None


def require_top(directory: Path, *, reading: bool = False) -> Path:
    """The top folder of the work tree that holds `directory`.

    Args:
        directory: Where to look.
        reading: What is wanted are records that are there already: making a repository would not help.

    Raises:
        ProjectError: There is none, or Git refuses to read it.
    """
    done = git(directory, "rev-parse", "--show-toplevel")
    if done.ok and done.stdout.strip():
        return Path(os.fsdecode(done.stdout).rstrip("\n"))
    if "dubious ownership" in done.complaint:
        raise ProjectError(
            f"Git refuses to read `{directory}`: it belongs to another user",
            hint=f"run `git config --global --add safe.directory {directory}`",
        )
    first = f"git init && {_FIRST_COMMIT}"
    raise ProjectError(
        f"`{directory}` is not in a Git repository",
        details=[("needed for", "finding its records" if reading else "recording which code ran")],
        hint="go to the folder of the project" if reading else f"run `{pasteable(first, directory)}`",
    )


def head(top: Path) -> Head:
    """What is checked out in the repository at `top`.

    Raises:
        ProjectError: The repository has no commit yet.
    """
    done = git(top, "rev-parse", "HEAD^{commit}", "HEAD^{tree}")
    ids = done.text.split()
    if not done.ok or len(ids) != 2:
        raise ProjectError(
            f"the Git repository `{top}` has no commit yet",
            details=[("needed for", "recording which code ran")],
            hint=f"run `{pasteable(_FIRST_COMMIT, top)}`",
        )
    branch = git(top, "symbolic-ref", "--quiet", "--short", "HEAD")
    return Head(ids[0], ids[1], os.fsdecode(branch.stdout).strip() or None if branch.ok else None)


def ls_files(top: Path) -> set[str]:
    """Names of all files in the index, relative to `top`."""
    return set(git_names(top, "ls-files", "-z"))


def untracked(top: Path) -> list[str]:
    """Names of files that Git neither tracks nor ignores, sorted.

    A repository nested within `top` is one name with a final slash: Git does not look into it.
    """
    return sorted(git_names(top, "ls-files", "-z", "--others", "--exclude-standard"))


def submodules(top: Path) -> tuple[Submodule, ...]:
    """The submodules that are checked out, nested ones included, at the commits that they are at."""
    found = []
    for entry in git_names(top, "ls-files", "-z", "--stage"):
        facts, _, name = entry.partition("\t")
        if not facts.startswith("160000 ") or not (top / name / ".git").exists():
            continue
        inner = top / name
        found.append(
            Submodule(path=name, commit=git_text(inner, "rev-parse", "HEAD"), url=remote_address(inner))
        )
        found += [
            Submodule(path=f"{name}/{below.path}", commit=below.commit, url=below.url)
            for below in submodules(inner)
        ]
    return tuple(found)


def dirty_submodules(top: Path) -> tuple[str, ...]:
    """Paths of submodules with changes of their own, which no patch of `top` holds."""
    return tuple(sub.path for sub in submodules(top) if is_dirty(top / sub.path))


def remote_address(top: Path) -> str | None:
    """Address of the remote `origin` (else of the first one) without secrets, None without remotes."""
    names = git(top, "remote").text.split()
    if not names:
        return None
    name = "origin" if "origin" in names else names[0]
    done = git(top, "remote", "get-url", "--", name)
    return without_secrets(os.fsdecode(done.stdout).strip()) if done.ok else None


def has_commit(repository: Path, commit: str) -> bool:
    """Whether the repository at `repository` has this commit."""
    return git(repository, "cat-file", "-e", f"{commit}^{{commit}}").ok


def require_commit(top: Path, revision: str) -> str:
    """The commit that `revision` names, in full.

    Raises:
        UsageError: The repository has no such commit.
    """
    done = git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not done.ok:
        raise UsageError(
            f"cannot take the code of `{revision}`: the repository has no such commit",
            details=[("repository", str(top))],
            hint=f"run `git -C {top} log --oneline`",
        )
    return done.text.strip()


def is_pushed(top: Path, commit: str) -> bool:
    """Whether a remote-tracking branch contains `commit`; asks no server."""
    done = git(top, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes")
    return done.ok and bool(done.stdout.strip())


def is_dirty(top: Path) -> bool:
    """Whether anything that Git does not ignore differs from the commit that is checked out."""
    return bool(untracked(top)) or bool(diff_binary(top)) or bool(dirty_submodules(top))


def diff_binary(top: Path) -> bytes:
    """The patch from HEAD to the work tree, binary files included; empty when nothing changed.

    Not in it: files that Git does not track, what is within submodules, and the content of files
    with a filter (such as Git LFS), which :func:`altered` names. Files that the index is told to
    overlook (assume-unchanged, skip-worktree) are in it. No program of the user's runs.
    """
    filters = _filters(top)
    command = [
        *(word for name in filters for word in _disarmed(name)),
        *("diff", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color"),
        *("--no-renames", "--no-relative", "--ignore-submodules=all", "-O/dev/null"),
        *("--src-prefix=a/", "--dst-prefix=b/"),
    ]
    with _honest_index(top) as env:
        unfiltered = [f":(top,exclude,attr:filter={name})" for name in filters]
        patch = git_bytes(top, *command, "HEAD", "--", ":(top)", *unfiltered, env=env)
        if filters:
            filtered = [f":(top,attr:filter={name})" for name in filters]
            patch += git_bytes(top, *command, "--diff-filter=D", "HEAD", "--", *filtered, env=env)
    return patch


def altered(top: Path) -> dict[str, str]:
    """Tracked files whose bytes a clone with :func:`checkout_settings` would not have.

    Returns:
        Name to reason (``filter lfs``, ``line endings``): Git calls these files unchanged, or
        leaves them out of the patch, because it converts their content on the way in.
    """
    found = {
        name: f"filter {driver}"
        for driver in _filters(top)
        for name in git_names(top, "ls-files", "-z", f":(top,attr:filter={driver})")
        if os.path.lexists(top / name)
    }
    settings = checkout_settings(top)
    if settings.keys() & {"core.autocrlf", "core.eol"} or _has_attributes(top):
        for entry in git_names(top, "ls-files", "-z", "--eol"):
            facts, _, name = entry.partition("\t")
            if not _same_line_endings(facts, settings):
                found.setdefault(name, "line endings")
    return found


def checkout_settings(top: Path) -> dict[str, str]:
    """The user's settings that decide which bytes Git writes into a work tree, where they are set."""
    found = {}
    for name in _CHECKOUT:
        done = git(top, "config", "--get", name)
        if done.ok:
            found[name] = done.text.strip().lower()
    return found


def _same_line_endings(facts: str, settings: Mapping[str, str]) -> bool:
    """Judge a line of ``git ls-files --eol``: ``i/lf w/crlf attr/text=auto eol=crlf``."""
    in_index, _, rest = facts.removeprefix("i/").partition(" ")
    in_tree, _, rest = rest.strip().removeprefix("w/").partition(" ")
    attributes = rest.strip().removeprefix("attr/").split()
    if not in_tree:
        return True
    expected = "crlf" if in_index == "lf" and _writes_crlf(attributes, settings) else in_index
    return in_tree == expected


def _writes_crlf(attributes: list[str], settings: Mapping[str, str]) -> bool:
    """Whether a checkout turns LF into CRLF (gitattributes(5), "End-of-line conversion")."""
    if "-text" in attributes or "eol=lf" in attributes:
        return False
    if "eol=crlf" in attributes or settings.get("core.autocrlf") == "true":
        return True
    is_text = "text" in attributes or "text=auto" in attributes
    return is_text and settings.get("core.eol") == "crlf" and settings.get("core.autocrlf") != "input"


def _has_attributes(top: Path) -> bool:
    place = git(top, "rev-parse", "--git-path", "info/attributes")
    if place.ok and (top / os.fsdecode(place.stdout).rstrip("\n")).exists():
        return True
    if git(top, "config", "--get", "core.attributesFile").ok:
        return True
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return (config / "git" / "attributes").exists() or any(
        name.rpartition("/")[2] == ".gitattributes" for name in ls_files(top)
    )


def _filters(top: Path) -> list[str]:
    """Names of the filter drivers that are configured here: programs that change content."""
    done = git(top, "config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$")
    names = {line.split(".", 1)[1].rpartition(".")[0] for line in done.text.splitlines() if "." in line}
    return sorted(name for name in names if re.fullmatch(r"[\w.-]+", name))


def _disarmed(name: str) -> tuple[str, ...]:
    """Options that keep a filter's programs from running: refreshing an index looks at every file."""
    settings = (f"filter.{name}.clean=", f"filter.{name}.process=", f"filter.{name}.required=false")
    return tuple(word for setting in settings for word in ("-c", setting))


@contextmanager
def _honest_index(top: Path) -> Iterator[dict[str, str]]:
    """Variables under which git overlooks no file: a private index where ours has such flags."""
    flagged = [
        entry[2:]
        for entry in git_names(top, "ls-files", "-z", "-v")
        if entry[0] in "hs" or (entry[0] == "S" and os.path.lexists(top / entry[2:]))
    ]
    if not flagged:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="reproof-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        shutil.copyfile(top / git_text(top, "rev-parse", "--git-path", "index"), env["GIT_INDEX_FILE"])
        names = b"".join(os.fsencode(name) + b"\0" for name in flagged)
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            git_bytes(top, "update-index", flag, "-z", "--stdin", stdin=names, env=env)
        yield env
