"""Keeps the bytes of logged files as they are at the moment of the call.

The code may log a file and change or delete it afterwards, and a store may lie anywhere; so each file
is copied into ``$REPROOF_ARTIFACTS/<run or model id>/<process>-<number of the call>/``.
"""

import hashlib
import itertools
import os
import posixpath
import re
import stat
import tempfile

import _reproof_lines as lines

_CHUNK = 1 << 20
_LIMIT = 1 << 30  # bytes; larger files are digested, not kept

_calls = itertools.count(1)


def note_any(source, folder, *, run="", model=None):
    """Note a file, or a folder under its own name, below the artifact folder `folder`."""
    source = os.fspath(source)
    if os.path.isdir(source):
        name = os.path.basename(os.path.normpath(source))
        note_tree(source, posixpath.join(folder, name) if folder else name, run=run, model=model)
    else:
        call = _Call(run, model)
        call.note(source, posixpath.join(str(folder or ""), os.path.basename(source)))


def note_tree(source, folder, *, run="", model=None):
    """Note each regular file below `source`, in the order of their names; links to files are followed."""
    source, call = os.fspath(source), _Call(run, model)
    for place, folders, names in os.walk(source):
        folders.sort()
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                lines.failed(
                    "mlflow artifact", "the folder {} is a link; its content is not noted".format(name)
                )
        within = os.path.relpath(place, source)
        for name in sorted(names):
            path = posixpath.normpath(posixpath.join(str(folder or ""), within, name))
            call.note(os.path.join(place, name), path)


def note_read(source, path, *, root, asked):
    """Note a file that was fetched: `path` is its place in the run or model `root`, `asked` the address given."""
    _Reading(root, asked).note(os.fspath(source), path)


def note_image(picture, filename, folder, *, run):
    """Note a PIL picture as MLflow will save it."""
    with tempfile.TemporaryDirectory() as place:
        source = os.path.join(place, filename)
        picture.save(source)
        note_any(source, folder, run=run)


class _Call:
    """One logging call: the folder for its copies is made when the first is needed."""

    def __init__(self, run, model):
        self.run = run
        self.model = model
        self.root = os.environ.get("REPROOF_ARTIFACTS", "")
        owner = re.sub(r"[^A-Za-z0-9_.-]", "_", model or run).strip(".") or "unknown"
        self.place = "{}/{}-{}".format(owner, os.getpid(), next(_calls))

    def note(self, source, path):
        """Digest and copy one file and write its line; `path` is its place among the artifacts."""
        try:
            mode = os.stat(source).st_mode
            if not stat.S_ISREG(mode):
                lines.failed("mlflow artifact", "{}: not a regular file".format(text(path)))
                return
            copy, size, sha256 = self._keep(source, path)
        except OSError as error:
            lines.failed("mlflow artifact", "{}: {}".format(text(path), error))
            return
        self.tell(source, path=text(path), copy=text(copy), size=size, sha256=sha256)

    def tell(self, source, **facts):
        """Write the line; the file itself may be gone soon."""
        del source
        lines.write("ml.artifact", run=self.run, model=self.model, **facts)

    def _keep(self, source, path):
        """Copy where there is a place for it; (place below the root or "", size in bytes, sha256)."""
        small = os.stat(source).st_size <= int(os.environ.get("REPROOF_ARTIFACT_LIMIT") or _LIMIT)
        # The copy's name is plain, so that it can be written down whatever the file is called.
        copy = "{}/{}".format(self.place, _plain(path))
        if not (self.root and small):
            return ("", *_read(source, None))
        target = os.path.join(self.root, copy)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "xb") as writer:
                return (copy, *_read(source, writer))
        except OSError as error:
            if os.path.exists(target):
                os.unlink(target)
            result = ("", *_read(source, None))  # an unreadable source raises here again
            lines.failed("mlflow artifact", "{} is not kept: {}".format(text(path), error))
            return result


class _Reading(_Call):
    """One file that was fetched."""

    def __init__(self, root, asked):
        super().__init__(root, None)
        self.asked = asked

    def tell(self, source, **facts):
        """Write the line, with where the code has the file."""
        place = text(os.path.abspath(source))
        lines.write("ml.read.file", root=self.run, asked=self.asked, place=place, **facts)


def _read(source, writer):
    digester, size = hashlib.sha256(), 0
    with open(source, "rb", buffering=0) as reader:
        while True:
            chunk = reader.read(_CHUNK)
            if not chunk:
                return size, digester.hexdigest()
            digester.update(chunk)
            size += len(chunk)
            if writer is not None:
                writer.write(chunk)


def _plain(path):
    parts = [part for part in text(path).split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "unnamed"


def text(value):
    """Text that any JSON reader takes: undecodable bytes of file names are spelled out."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
