"""The code of a run that reproof did not record: which commit, where it is, and whether it is the user's own."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from reproof.base import cloning, git
from reproof.base.files import remove_tree
from reproof.base.locations import data_directory
from reproof.errors import MissingError, ProjectError, UsageError
from reproof.model.event import Emit, Event
from reproof.model.record import Submodule
from reproof.model.verdict import Condition
from reproof.project.location import locate
from reproof.tracking.values import Run
from reproof.workflow.room import Trust

#: Tags of MLflow that name a commit and its repository, the newest first (mlflow/utils/mlflow_tags.py).
_COMMIT = "mlflow.source.git.commit"
_REMOTES = ("mlflow.source.git.repoURL", "mlflow.gitRepoURL")
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a run.

    Attributes:
        source: Top of a repository that has the commit.
        commit: Full id.
        aside: A clone of our own with that commit checked out, to read from.
        own: The commit is in a branch of the repository that the user stands in or named.
        assumed: What had to be assumed.
    """

    source: Path
    commit: str
    aside: Path
    own: bool
    assumed: tuple[Condition, ...] = ()

    def trust(self, *, given: bool) -> Trust:
        """Whose code it is; `given` where the user said that they trust it."""
        if self.own:
            return "own"
        return "given" if given else "none"


def find_code(run: Run, wish: str | None, scratch: Path, emit: Emit) -> Code:
    """Find the commit of a run: in the repository here, in the one that was named, or at the run's remote.

    Args:
        run: As the store has it.
        wish: ``--code``: a repository; or a revision here, where the run names no commit.
        scratch: An empty folder for the clone.
        emit: Told about the work.

    Raises:
        MissingError: The run names no commit, or it is nowhere.
        UsageError: `wish` is neither.
    """
    here = git.find_top(Path.cwd())
    named = _repository(wish)
    commit = run.tags.get(_COMMIT, "")
    assumed: list[Condition] = []
    if wish is not None and named is None:
        if commit:
            raise UsageError(
                f"`{wish}` is no repository, and the run names its commit itself",
                details=[("commit", commit)],
                hint="pass `--code PATH` with a repository that has it, or leave it out",
            )
        commit = _resolved(here, wish)
        assumed.append(
            Condition("assumed code", f"commit {commit[:12]}", f"`--code {wish}`: the run names none")
        )
    elif not commit and named is not None:
        commit = _resolved(named, "HEAD")
        assumed.append(
            Condition(
                "assumed code",
                f"commit {commit[:12]}",
                f"what is checked out in `{wish}`: the run names none",
            )
        )
    if not commit:
        raise _no_commit(run)
    if not _HASH.fullmatch(commit):
        raise MissingError("code", f"the run names `{commit[:80]}` for a commit, which is none", hint=_HINT)
    source, local = _source(run, commit, [each for each in (named, here) if each is not None], emit)
    emit(Event(kind="start", subject="code", message=f"cloning commit {commit[:12]}"))
    aside = scratch / "work" / source.name
    aside.parent.mkdir(parents=True)
    checkout = cloning.Checkout(submodules=_submodules(source, commit))
    cloned = cloning.clone_at(source, aside, commit, checkout)
    emit(Event(kind="finish", subject="code"))
    lacking = [f"content of `{name}` (Git LFS)" for name in cloned.pointers]
    lacking += [f"submodule `{name}`" for name in cloned.absent]
    assumed += [Condition("assumed code", f"{name} was not needed", "it is not here") for name in lacking]
    return Code(
        source=source,
        commit=commit,
        aside=aside,
        own=local and _is_in_branch(source, commit),
        assumed=(
            Condition("assumed code", "nothing was changed besides the commit", "MLflow does not say"),
            *assumed,
        ),
    )


_HINT = "pass `--code REVISION`, if you know which commit it was"


def _no_commit(run: Run) -> MissingError:
    name = run.tags.get("mlflow.source.name", "")
    return MissingError(
        "code",
        f"the code of run `{run.run_id}` is not known: it has no Git commit",
        details=[
            ("tag", f"`{_COMMIT}` is missing: MLflow sets it for a script in a Git repository"),
            ("source", name or "none"),
        ],
        hint=_HINT,
    )


def _repository(wish: str | None) -> Path | None:
    """The repository that ``--code`` names; None where it names none."""
    if wish is None or not Path(wish).is_dir():
        return None
    return git.find_top(Path(wish).absolute())


def _resolved(top: Path | None, revision: str) -> str:
    if top is None:
        raise UsageError(
            f"cannot take the code of `{revision}`: it is no folder, and this is not a Git repository",
            hint="pass `--code PATH`, PATH being a repository that has the code of the run",
        )
    return git.require_commit(top, revision)


def _source(run: Run, commit: str, repositories: list[Path], emit: Emit) -> tuple[Path, bool]:
    """A repository that has the commit, and whether it is one of the user's own."""
    for repository in repositories:
        if git.has_commit(repository, commit):
            return repository, True
    address = next((run.tags[tag] for tag in _REMOTES if run.tags.get(tag)), None) or _project_address(run)
    facts = [("commit", commit)]
    facts += [("searched", f"`{repository}`") for repository in repositories] or [
        ("searched", "no repository here")
    ]
    if address is None:
        facts.append(("remote", "the run names none"))
        raise _nowhere(facts)
    try:
        return _cloned(address, commit, emit), False
    except ProjectError as error:
        facts.append(("remote", f"`{git.without_secrets(address)}`: {error.message}"))
        facts += error.details
        raise _nowhere(facts) from error


def _nowhere(facts: list[tuple[str, str]]) -> MissingError:
    return MissingError(
        "code",
        "the code of the run is nowhere: no repository here has its commit",
        details=facts,
        hint="pass `--code PATH`, PATH being a clone that has the commit (it may never have been pushed)",
    )


def _project_address(run: Run) -> str | None:
    """The address that `mlflow run` was given, where it is one of Git."""
    name = run.tags.get("mlflow.source.name", "").partition("#")[0]
    return name if "://" in name or name.startswith("git@") else None


def _cloned(address: str, commit: str, emit: Emit) -> Path:
    """A clone of our own, kept for the next run of the same repository."""
    location = locate(address)
    if location.kind == "folder" and location.folder is not None:
        top = git.require_top(location.folder, reading=True)
        if not git.has_commit(top, commit):
            raise ProjectError("it does not have the commit")
        return top
    place = location.address or address
    name = git.without_secrets(place).rstrip("/").rpartition("/")[2].removesuffix(".git") or "project"
    target = data_directory() / "runs" / hashlib.sha256(place.encode()).hexdigest()[:16] / name
    if target.is_dir() and git.has_commit(target, commit):
        return target
    remove_tree(target)
    emit(Event(kind="start", subject="clone", message=f"cloning `{git.without_secrets(place)}`"))
    try:
        cloning.clone(place, target, commit)
    except ProjectError:
        remove_tree(target)
        raise
    emit(Event(kind="finish", subject="clone"))
    return target


def _is_in_branch(top: Path, commit: str) -> bool:
    """Whether a local branch, or what is checked out, contains the commit."""
    done = git.git(top, "for-each-ref", "--count=1", f"--contains={commit}", "refs/heads")
    return (done.ok and bool(done.stdout.strip())) or git.git(
        top, "merge-base", "--is-ancestor", commit, "HEAD"
    ).ok


def _submodules(source: Path, commit: str) -> tuple[Submodule, ...]:
    entries = git.git_names(source, "ls-tree", "-r", "-z", commit)
    pairs = [entry.partition("\t") for entry in entries if entry.startswith("160000 ")]
    return tuple(Submodule(path=name, commit=facts.split()[2]) for facts, _, name in pairs)
