"""Objects of buckets that a program reads through Arrow's own clients in C++ (S3, Google Cloud, Azure).

Nothing of Python sees those bytes. What Arrow can be asked for is what a store says of an object, its ETag and
version: when a program first names it, and again when the process ends. The same twice is what was read.
"""

import atexit
import os
from _collections import deque

import _reproof_lines as lines
import _reproof_objects as objects

LIMIT = 1000  # objects of which a process asks the store; others are noted by name

_SCHEMES = {"s3": "s3", "gcs": "gs", "abfs": "az"}  # by what Arrow calls its file systems
_ADDRESSES = frozenset(("s3", "gs", "gcs", "az", "abfs", "abfss"))
_KINDS = ("S3FileSystem", "GcsFileSystem", "AzureFileSystem")
_THREADS = 16

_noted = {}  # (scheme, endpoint, path): (file system, path, what the store said)
_counts = {"process": 0, "asked": 0}


def filesystems(module):
    """Note what is opened by hand with the file systems of ``pyarrow.fs``, or copied from them."""
    for name in _KINDS:
        kind = module.__dict__.get(name)
        if isinstance(kind, type):
            setattr(module, name, _listening(kind))
    copy_files = module.copy_files

    def copying(*args, **kwargs):
        source, filesystem = _given(args, kwargs, (0, "source"), (2, "source_filesystem"))
        if _is_stored(source, filesystem):
            _note(lambda: _below(module, source, filesystem))
        return copy_files(*args, **kwargs)

    module.copy_files = objects._like(copy_files, copying)


def parquet(module):
    """Note what ``pyarrow.parquet.core`` is asked to read."""
    open_data, open_file = module.ParquetDataset.__init__, module.ParquetFile.__init__

    def opening(self, *args, **kwargs):
        open_data(self, *args, **kwargs)
        if _is_stored(*_given(args, kwargs, (0, "path_or_paths"), (1, "filesystem"))):
            _note(lambda: (self.filesystem, self.files))

    def opening_file(self, *args, **kwargs):
        open_file(self, *args, **kwargs)
        source, filesystem = _given(args, kwargs, (0, "source"), (None, "filesystem"))
        if _is_stored(source, filesystem):
            _note(lambda: _named(module, source, filesystem))

    module.ParquetDataset.__init__ = objects._like(open_data, opening)
    module.ParquetFile.__init__ = objects._like(open_file, opening_file)


def dataset(module):
    """Note the files of what ``pyarrow.dataset`` opens, whichever of them are read then."""
    original = module.dataset

    def dataset(*args, **kwargs):
        made = original(*args, **kwargs)
        if _is_stored(*_given(args, kwargs, (0, "source"), (3, "filesystem"))):
            _note(lambda: (made.filesystem, made.files))
        return made

    module.dataset = objects._like(original, dataset)


def _listening(kind):
    """A file system like `kind` that notes what is opened; all instances of `kind` count as its own."""

    class Meta(type(kind)):
        def __instancecheck__(cls, instance):
            return type.__instancecheck__(kind if cls is ours else cls, instance)

        def __subclasscheck__(cls, other):
            return type.__subclasscheck__(kind if cls is ours else cls, other)

    def listening(original):
        def opening(self, *args, **kwargs):
            opened = original(self, *args, **kwargs)
            _note(lambda: (self, [os.fspath(args[0] if args else kwargs["path"])]), opened)
            return opened

        return objects._like(original, opening)

    names = ("open_input_file", "open_input_stream")
    fields = {name: listening(getattr(kind, name)) for name in names}
    fields.update({name: getattr(kind, name, None) for name in ("__doc__", "__module__")})
    ours = Meta(kind.__name__, (kind,), fields)
    return ours


def _given(args, kwargs, *wanted):
    """Arguments by position (None: never) and name; None for those that were not given."""
    return [
        args[position] if position is not None and position < len(args) else kwargs.get(name)
        for position, name in wanted
    ]


def _is_stored(source, filesystem):
    """Whether a path, or many, lead to a bucket; only then is Arrow asked for anything.

    A dataset that was not made of paths must not be: without a file system of its own it would crash.
    """
    try:
        paths = source if isinstance(source, (list, tuple)) else [source]
        if not paths or not all(isinstance(path, (str, os.PathLike)) for path in paths):
            return False
        if filesystem is None or isinstance(filesystem, str):
            return str(filesystem or paths[0]).partition("://")[0] in _ADDRESSES
        return _unwrapped(filesystem, "")[0] is not None
    except Exception as error:
        _failed(error)
        return False


def _named(module, source, filesystem):
    """The file system and path that Arrow itself makes of what it was given."""
    filesystem, path = module._resolve_filesystem_and_path(source, filesystem)
    return filesystem, [path]


def _below(module, source, filesystem):
    """The files that a copy of `source` takes."""
    filesystem, paths = _named(module, source, filesystem)
    if filesystem.get_file_info(paths[0]).is_file:
        return filesystem, paths
    found = filesystem.get_file_info(module.FileSelector(paths[0], recursive=True))
    return filesystem, [each.path for each in found if each.is_file]


def _note(find, opened=None):
    """Note the objects that `find` gives: a file system and paths in it; `opened` is the one of them, open."""
    try:
        filesystem, paths = find()
        _prepare()
        new = []
        for path in paths:
            store, place = _unwrapped(filesystem, path)
            key = store and (_SCHEMES[store.type_name], _endpoint(store), place)
            if key and key not in _noted and objects._is_welcome():
                _noted[key] = (store, place, None)
                new.append(key)
        if new:
            where = lines.caller()
            if opened is not None:
                _tell(new[0], _said(opened), where)
            else:
                _ask(new, where)
    except Exception as error:
        _failed(error)


def _failed(error):
    # What Arrow says may hold an address, and that a secret.
    lines.failed("objects", "Arrow could not be asked for a version: %s" % type(error).__name__)


def _unwrapped(filesystem, path):
    """The store behind a file system, and the path there; None where it is none."""
    kind = getattr(filesystem, "type_name", "")
    while kind == "subtree":
        path = "%s/%s" % (filesystem.base_path.rstrip("/"), path)
        filesystem = filesystem.base_fs
        kind = filesystem.type_name
    return (filesystem if kind in _SCHEMES else None), path


def _endpoint(store):
    """Where a store is, but for the usual one."""
    try:
        options = store.__reduce__()[1][0]
    except Exception:
        options = {}
    place = options.get("endpoint_override") or options.get("blob_storage_authority") or ""
    if "account_name" in options:
        place = (
            "%s%s" % (options["account_name"], place)
            if place[:1] in (".", "")
            else "%s/%s" % (place, options["account_name"])
        )
    scheme = options.get("scheme") or options.get("blob_storage_scheme") or "https"
    return "%s://%s" % (scheme, place) if place and "://" not in place else place


def _prepare():
    if not _counts["process"]:
        atexit.register(_ask_again)
    if _counts["process"] != os.getpid():
        _counts["process"] = os.getpid()
        _noted.clear()  # a fork must not ask by the clients of its parent at its end


def _said(opened):
    """Version, ETag and size, as the store told them when a file was opened."""
    said = {
        name.lower().replace("-", ""): value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in (opened.metadata() or {}).items()
    }
    version = said.get("versionid") or said.get("generation")
    return (
        version if version != "null" else None,
        (said.get("etag") or "").strip('"') or None,
        int(said.get("contentlength") or said.get("size") or 0),
    )


def _open(store, place):
    with store.open_input_file(place) as opened:  # noted already: this says nothing of itself
        return _said(opened)


def _ask(keys, where):
    _counts["asked"] += len(keys)
    answers = {}
    if _counts["asked"] <= LIMIT:
        answers = _answers(keys)
    else:
        lines.failed("objects", "more than %d read by Arrow; the others are noted by name" % LIMIT)
    for key in keys:
        _tell(key, answers.get(key), where)


def _answers(keys):
    """What the stores say of each object now; without those of which they say nothing."""
    waiting, answers = deque(keys), {}

    def work():
        while waiting:
            try:
                key = waiting.popleft()
            except IndexError:
                return
            try:
                answers[key] = _open(*_noted[key][:2])
            except Exception as error:
                waiting.clear()  # nobody waits long for a store that does not answer
                _failed(error)

    workers = []
    if len(keys) > 1:
        import threading

        try:
            for _ in range(min(_THREADS, len(keys)) - 1):
                worker = threading.Thread(target=work, daemon=True)
                worker.start()
                workers.append(worker)
        except RuntimeError:
            pass  # too late for threads
    work()
    for worker in workers:
        worker.join()
    return answers


def _tell(key, answer, where):
    store, place, _ = _noted[key]
    _noted[key] = (store, place, answer)
    version, etag, size = answer or (None, None, 0)
    bucket, _, name = place.lstrip("/").partition("/")
    lines.write(
        "object",
        scheme=key[0] if key[0] != "s3" else None,
        bucket=bucket,
        key=name,
        version=version,
        etag=etag,
        size=size,
        whole=False,
        endpoint=key[1] or None,
        where=where or None,
    )


def _ask_again():
    """At the end of the process: an object that is not what it was may have been read in either state."""
    try:
        if _counts["process"] != os.getpid():
            return
        before = {key: noted[2] for key, noted in _noted.items() if noted[2]}
        after = _answers(list(before)[:LIMIT])
        for key, answer in after.items():
            if answer[:2] != before[key][:2]:
                _tell(key, answer, None)
        unknown = len(before) - len(after)
        _noted.clear()  # the clients end before Arrow does
        if unknown:
            lines.failed("objects", "whether %d stayed what they were cannot be known" % unknown)
    except Exception as error:
        _failed(error)
