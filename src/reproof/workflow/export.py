"""`export`: one file that outlives the machine: record, verdicts, log proofs, code, data, packages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

from reproof.attest.archive import Part, json_bytes, write_bundle
from reproof.attest.crate import METADATA, describe, members_of
from reproof.attest.examine import Examined, examine
from reproof.attest.log import GitLog
from reproof.attest.merkle import inclusion_proof, leaf_hash
from reproof.attest.signers import FILE
from reproof.base import git
from reproof.base.digesting import digest_file
from reproof.base.files import copy_private
from reproof.capture.secrets import contains_secret
from reproof.errors import ProjectError, RecordError, StoreError, UsageError
from reproof.model.artifact import Artifact
from reproof.model.codec import encode
from reproof.model.event import Emit, Event, silent
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.project.dvc import read_config, tracked
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_cache import DvcSources, restore
from reproof.store.records import Found, RecordStore
from reproof.workflow.audit import committed_signers
from reproof.workflow.bundle_check import Checked, check_bundle
from reproof.workflow.lookup import Place, find_record, place_of
from reproof.workflow.wheels import fetch_wheels

Level = Literal["record", "code", "data"]
LEVELS: tuple[Level, ...] = ("record", "code", "data")

#: Members, by what they are.
FACTS, README, REPOSITORY, STORE, DVC, WHEELS, LOG = (
    "reproof.json",
    "README.txt",
    "code/repository.bundle",
    "store",
    "dvc",
    "wheels",
    "log",
)


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `export` may be told.

    Attributes:
        output: The file to be written.
        level: ``record``; ``code``: with code and lock; ``data``: with data, products and wheels too.
        check: Open it again at once, and with ``data`` re-create the run from it in an empty place.
    """

    output: Path
    level: Level = "data"
    check: bool = True


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was made.

    Attributes:
        path: The file.
        size: Bytes.
        record: Id of the record in it.
        level: What it holds.
        missing: What it lacks for a re-run without the original machine, each with the reason.
        secrets: Members of the user's own that hold something in the form of a secret.
        checked: What came of opening it again; None when that was not asked for.
    """

    path: Path
    size: int
    record: str
    level: Level
    missing: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    checked: Checked | None = None


def export(reference: str, options: ExportOptions, emit: Emit = silent) -> Exported:
    """Write the bundle of a run.

    Raises:
        RecordError: There is no such record, or its run has not ended.
        UsageError: It is the record of a whole pipeline.
        StoreError: The bundle cannot be written (the disk is full), or kept content is gone.
        ProjectError: The commit is not in the repository.
        EnvironmentBuildError: A package cannot be fetched.
        TrustError: The bundle did not pass its own check.
    """
    found = find_record(reference)
    if found.record.state == "unfinished":
        raise RecordError("cannot export a run that has not ended", details=[("record", found.id[:12])])
    if found.record.pipeline is not None and options.level != "record":
        raise UsageError(
            "cannot export a whole pipeline for a re-run: each of its stages has a record of its own",
            details=[
                (link.address, link.record[:12])
                for link in found.record.pipeline.stages
                if link.record is not None
            ],
            hint="export the stages one by one, or pass `--level record`",
        )
    place = place_of(found)
    with tempfile.TemporaryDirectory(prefix="reproof-export-") as folder:
        work = _Export(found, place, options.level, Path(folder), emit)
        parts = list(work.parts())
        emit(Event(kind="start", subject="export", message=f"writing {len(parts):,} members"))
        size = write_bundle(options.output, parts)
        emit(Event(kind="finish", subject="export", message=f"wrote {size:,} bytes"))
        secrets = tuple(sorted(part.name for part in parts if _holds_secret(part)))
    checked = check_bundle(options.output, options.level, place.top, emit) if options.check else None
    return Exported(
        path=options.output,
        size=size,
        record=found.id,
        level=options.level,
        missing=tuple(work.missing),
        secrets=secrets,
        checked=checked,
    )


class _Export:
    """Gathers the members of one bundle, in their order."""

    def __init__(self, found: Found, place: Place, level: Level, folder: Path, emit: Emit) -> None:
        self.missing: list[str] = []
        self._found = found
        self._record: Record = found.record
        self._place = place
        self._level = level
        self._folder = folder
        self._emit = emit

    def parts(self) -> Iterator[Part]:
        """Everything, sorted by name; what describes the rest is made last."""
        verdicts = RecordStore(self._place.own).verdicts(self._found.id)
        parts = [*self._papers(verdicts), *self._log()]
        if self._level != "record":
            parts += [*self._code(), *self._objects(self._needed())]
        if self._level == "data":
            parts += [*self._data(), *self._dvc(), *self._wheels()]
        members = members_of([part.name for part in parts], self._record)
        crate = describe(self._found.id, self._record, verdicts, members)
        facts = {
            "schema": "reproof/bundle-facts/1",
            "record": self._found.id,
            "project": self._record.project.name,
            "folder": self._place.top.name,
            "level": self._level,
            "missing": self.missing,
            "tool": f"reproof {version('reproof')}",
        }
        parts += [
            Part(name=METADATA, data=json_bytes(crate)),
            Part(name=FACTS, data=json_bytes(facts)),
            Part(name=README, data=_readme(self._found.id, self._record, self._level, self.missing).encode()),
        ]
        yield from sorted({part.name: part for part in parts}.values(), key=lambda part: part.name)

    def _papers(self, verdicts: tuple[Verdict, ...]) -> Iterator[Part]:
        yield Part(name=f"records/{self._found.id}.json", path=self._found.path)
        for number, verdict in enumerate(verdicts, 1):
            yield Part(name=f"records/{self._found.id}.verdict-{number}.json", data=encode(verdict))

    def _log(self) -> Iterator[Part]:
        """The entries about this run, and the proofs that they are in the log."""
        content = GitLog(self._place.top).read()
        if content is None:
            self.missing.append("log: the project has none; nobody has signed this record")
            return
        examined: Examined = examine(content, (), ())
        leaves = [leaf_hash(entry) for entry in content.entries]
        nonce = self._record.nonce
        about = [
            entry.sequence
            for entry in examined.entries
            if entry.kind == "opened" or entry.record == self._found.id or entry.nonce == nonce
        ]
        yield Part(name=f"{LOG}/checkpoint", data=content.checkpoint)
        yield Part(name=f"{LOG}/{FILE}", data=committed_signers(self._place.top))
        proofs = []
        for number in about:
            yield Part(name=f"{LOG}/{number:08d}.json", data=content.entries[number])
            proofs.append(
                {"sequence": number, "path": [node.hex() for node in inclusion_proof(leaves, number)]}
            )
        yield Part(name=f"{LOG}/proofs.json", data=json_bytes({"size": len(leaves), "entries": proofs}))

    def _code(self) -> Iterator[Part]:
        """The commit with its history, for Git; one thread, so that it comes out the same."""
        top, commit = self._place.top, self._record.code.commit
        if not git.has_commit(top, commit):
            raise ProjectError(f"commit `{commit}` is not in `{top}`")
        target = self._folder / "repository.bundle"
        objects = (top / git.git_text(top, "rev-parse", "--git-path", "objects")).absolute()
        aside = self._folder / "aside"
        aside.mkdir()
        git.git_bytes(aside, "-c", "init.templateDir=", "init", "--quiet", "--bare", ".")
        (aside / "objects/info").mkdir(exist_ok=True)
        (aside / "objects/info/alternates").write_text(f"{objects}\n")
        git.git_bytes(aside, "update-ref", f"refs/reproof/{commit}", commit)
        git.git_bytes(
            aside,
            *("-c", "pack.threads=1", "bundle", "create", "--quiet", "--version=2"),
            *(str(target), f"refs/reproof/{commit}"),
        )
        if self._record.code.submodules:
            self.missing.append("code: submodules are not in the bundle")
        yield Part(name=REPOSITORY, path=target)

    def _needed(self) -> Iterator[Artifact]:
        lock = self._record.environment.lock
        if lock is not None:
            yield lock.artifact
        if self._record.code.patch is not None:
            yield self._record.code.patch
        yield from (each for each in self._record.code.untracked if each.kind == "file")

    def _data(self) -> Iterator[Part]:
        kept = [each for each in (*self._record.materials, *self._record.products) if each.kept]
        yield from self._objects(kept)
        yield from self._objects(
            each for each in self._record.materials if each.origin == "external" and not each.kept
        )

    def _objects(self, artifacts: Iterator[Artifact] | list[Artifact]) -> Iterator[Part]:
        store = DirectoryStore(self._place.own)
        for artifact in artifacts:
            digest = artifact.digest
            if digest is None or digest.algorithm != "blake3":
                self.missing.append(f"{artifact.name}: its content was not recorded")
                continue
            source = store.path(digest)
            if digest not in store:
                source = self._place.top / artifact.name
                if artifact.name.startswith(("/", "$")) or not _is(source, digest.value):
                    self.missing.append(f"{artifact.name}: its content is not in the store")
                    continue
            elif not _is(source, digest.value):
                raise StoreError(
                    f"the content of `{artifact.name}` in the store is corrupted",
                    hint="run `reproof store check`",
                )
            name = f"{STORE}/objects/b3/{digest.value[:2]}/{digest.value[2:]}"
            if artifact.name.startswith("/"):
                self.missing.append(
                    f"{artifact.name}: a re-run reads it at this very path, outside the bundle"
                )
            yield Part(name=name, path=source)

    def _dvc(self) -> Iterator[Part]:
        """What DVC tracks and the run read, in the layout of DVC's own cache."""
        wanted = {each.name: each for each in self._record.materials if each.origin == "dvc"}
        known = {
            each.digests["md5"]: each.digests["blake3"] for each in wanted.values() if "md5" in each.digests
        }
        top = self._place.top
        for entry in tracked(top) if wanted else ():
            if not any(name == entry.path or name.startswith(f"{entry.path}/") for name in wanted):
                continue
            config = read_config(top / entry.root)
            sources = DvcSources(
                store=DirectoryStore(self._place.own),
                known=known,
                caches=(Path(config.cache),),
                remotes=config.remotes,
            )
            aside = self._folder / "dvc" / entry.md5
            aside.mkdir(parents=True)
            restored = restore(entry, aside, sources, self._emit)
            for artifact in restored.members or (restored.artifact,):
                md5 = artifact.digests["md5"]
                yield Part(name=_dvc_member(md5), path=aside / artifact.name)
            if entry.is_dir:
                yield from self._listing(entry.md5, Path(config.cache))

    def _listing(self, md5: str, cache: Path) -> Iterator[Part]:
        """DVC's list of the files in a folder."""
        for place in (cache / "files/md5" / md5[:2] / f"{md5[2:]}.dir", cache / md5[:2] / f"{md5[2:]}.dir"):
            if place.is_file():
                target = self._folder / f"{md5}.dir"
                copy_private(place, target)
                yield Part(name=f"{_dvc_member(md5)}.dir", path=target)
                return
        self.missing.append(f"{md5}.dir: DVC's list of files is in no cache here")

    def _wheels(self) -> Iterator[Part]:
        lock = self._record.environment.lock
        if lock is None or lock.artifact.digest is None:
            if self._record.environment.kind != "none":
                self.missing.append("packages: the environment was the user's own, and has no lock")
            return
        self._emit(Event(kind="start", subject="packages", message="fetching the packages by their hashes"))
        text = DirectoryStore(self._place.own).get_bytes(lock.artifact.digest).decode()
        wheels = fetch_wheels(self._record.environment, text, self._folder / "wheels")
        self._emit(Event(kind="finish", subject="packages"))
        self.missing += [f"packages: {line}" for line in wheels.missing]
        yield Part(name=f"{WHEELS}/requirements.txt", path=self._folder / "wheels" / "requirements.txt")
        for file in wheels.files:
            yield Part(name=f"{WHEELS}/{file.name}", path=file)


def _dvc_member(md5: str) -> str:
    return f"{DVC}/files/md5/{md5[:2]}/{md5[2:]}"


def _is(path: Path, blake3: str) -> bool:
    try:
        return digest_file(path)["blake3"] == blake3
    except OSError:
        return False


def _holds_secret(part: Part) -> bool:
    """Whether a member of the user's own has something in the form of a token or a password."""
    if part.path is None or part.name.startswith((f"{WHEELS}/", "code/")):
        return False
    if part.path.stat().st_size > 1 << 24:
        return False
    return contains_secret(part.path.read_bytes().decode("utf-8", "replace"))


def _readme(identity: str, record: Record, level: Level, missing: list[str]) -> str:
    commit = record.code.commit
    lines = [
        f"A run of {record.project.name}, recorded on {record.created} ({record.state}).",
        f"Record: sha256:{identity}",
        f"Command: {record.project.command}",
        "",
        "To have it verified: pip install reproof, then: reproof verify THIS_FILE.zip --offline",
        "",
        "By hand, with nothing but git, Python and uv:",
        f"  git clone {REPOSITORY} work && git -C work checkout {commit}"
        if level != "record"
        else "  (no code in it)",
    ]
    if level == "data" and record.environment.python is not None:
        lines += [
            f"  uv venv --python {record.environment.python.version} env",
            f"  uv pip install --python env --offline --no-index --find-links {WHEELS} --require-hashes -r {WHEELS}/requirements.txt",
            f"  data: {METADATA} says which file below {STORE}/ and {DVC}/ is what",
        ]
    lines += ["", "Missing in this bundle:", *(f"  {line}" for line in missing)] if missing else []
    return "\n".join(lines) + "\n"
