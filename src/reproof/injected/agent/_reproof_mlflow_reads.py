"""Watches what the user's code reads of earlier runs, of logged models and of the model registry.

Which version an alias stood for, and the bytes of each file that was fetched, are noted at the moment
of the call: a registry moves on. Nothing here may ever break the user's code, and nothing is loaded
that MLflow has not loaded itself.
"""

import functools
import inspect
import os
import posixpath
import sys
import threading

import _reproof_lines as lines
import _reproof_mlflow_files as files
import _reproof_mlflow_notes as notes

_TRACKING = "mlflow.tracking._tracking_service.client"
_REGISTRY = "mlflow.tracking._model_registry.client"

#: Runs, versions or models that one process tells of, each; searches may find any number.
_TOLD = 200

#: Tags that say who and where, not what.
_PRIVATE = {"mlflow.user", "mlflow.source.name", "mlflow.log-model.history"}

#: A file that MLflow itself writes beside a registered model when it is fetched.
_META = "registered_model_meta"

_thread = threading.local()  # `busy`: a call of MLflow's own, within one that is noted
_told = {"version": set(), "run": set(), "model": set()}
_own_versions = set()  # addresses of versions that this process registered
_places = {}  # address of files -> address of the run or model that they belong to
_files = set()  # (address, path) of files that were noted


def install():
    """Wrap the methods by which MLflow's client reads, and those that fetch files."""
    _wrap_all(
        sys.modules.get(_REGISTRY),
        "ModelRegistryClient",
        (
            ("get_model_version", _got_version),
            ("get_model_version_by_alias", _got_by_alias),
            ("get_latest_versions", _got_latest),
            ("search_model_versions", _found_versions),
            ("get_registered_model", _got_registered),
            ("search_registered_models", _found_registered),
            ("create_model_version", _registered),
            ("copy_model_version", _registered),
        ),
    )
    _wrap_all(
        sys.modules.get(_TRACKING),
        "TrackingServiceClient",
        (
            ("get_run", _got_run),
            ("search_runs", _found_runs),
            ("get_logged_model", _got_model),
            ("search_logged_models", _found_models),
        ),
    )
    for module, name in (
        ("artifact_repo", "ArtifactRepository"),
        ("local_artifact_repo", "LocalArtifactRepository"),
        ("runs_artifact_repo", "RunsArtifactRepository"),
        ("models_artifact_repo", "ModelsArtifactRepository"),
    ):
        owner = getattr(sys.modules.get("mlflow.store.artifact." + module), name, None)
        if owner is None:
            lines.failed("mlflow inputs", "has no `{}`; what it fetches is not seen".format(name))
        else:
            owner.download_artifacts = _fetching(owner.download_artifacts)


def _wrap_all(module, name, notings):
    owner = getattr(module, name, None)
    if owner is None:
        lines.failed("mlflow inputs", "has no `{}`; what is read is not seen".format(name))
        return
    for method, note in notings:
        original = getattr(owner, method, None)
        if original is not None:  # MLflow 2 has no logged models
            setattr(owner, method, _noting(original, note))


def _is_busy():
    """Whether MLflow calls itself, or we do: `_reproof_mlflow` is within a call that logs."""
    agent = sys.modules.get("_reproof_mlflow")
    return getattr(_thread, "busy", False) or getattr(getattr(agent, "_thread", None), "busy", False)


def _noting(original, note):
    signature = inspect.signature(original)

    @functools.wraps(original)
    def noting(*args, **kwargs):
        result = original(*args, **kwargs)
        if not _is_busy():
            _attempt(note, signature, args, kwargs, result)
        return result

    return noting


def _fetching(original):
    signature = inspect.signature(original)

    @functools.wraps(original)
    def fetching(*args, **kwargs):
        if _is_busy():
            return original(*args, **kwargs)
        _thread.busy = True
        try:
            result = original(*args, **kwargs)
            _attempt(_fetched, signature, args, kwargs, result)
            return result
        finally:
            _thread.busy = False

    return fetching


def _attempt(note, signature, args, kwargs, result):
    before, _thread.busy = getattr(_thread, "busy", False), True
    try:
        note(signature.bind(*args, **kwargs).arguments, result)
    except Exception as error:
        lines.failed("mlflow inputs", "{}: {!r}".format(note.__name__.lstrip("_"), error))
    finally:
        _thread.busy = before


def _got_version(given, version):
    _tell_version(given["self"], version)


def _got_by_alias(given, version):
    _tell_version(given["self"], version, aliases=[str(given["alias"])])


def _got_latest(given, versions):
    newest = max((int(each.version) for each in versions), default=None)
    whole = not given.get("stages")
    for each in versions:
        _tell_version(given["self"], each, latest=whole and int(each.version) == newest)


def _found_versions(given, versions):
    for each in versions:
        _tell_version(given["self"], each, searched=True)


def _got_registered(given, model, searched=False):
    client = given["self"]
    for alias, version in (getattr(model, "aliases", None) or {}).items():
        found = client.get_model_version(model.name, str(version))
        _tell_version(client, found, aliases=[str(alias)], searched=searched)
    for each in getattr(model, "latest_versions", None) or ():
        _tell_version(client, each, searched=searched)


def _found_registered(given, models):
    for each in models:
        _got_registered(given, each, searched=True)


def _registered(_given, version):
    _own_versions.add(_version_address(version))
    lines.write("ml.registered", name=str(version.name), version=str(version.version))


def _got_run(given, run):
    _tell_run(given["self"], run)


def _found_runs(given, runs):
    for each in runs:
        _tell_run(given["self"], each, searched=True)


def _got_model(given, model):
    _tell_model(given["self"], model)


def _found_models(given, models):
    for each in models:
        _tell_model(given["self"], each, searched=True)


def _version_address(version):
    return "models:/{}/{}".format(version.name, version.version)


def _is_new(kind, key):
    """Whether to tell of it: once for each process, and not of more than so many."""
    told = _told[kind]
    if key in told:
        return False
    if len(told) >= _TOLD:
        lines.failed(
            "mlflow inputs", "the code read more than {} {}s; only those are noted".format(_TOLD, kind)
        )
        return False
    told.add(key)
    return True


def _tell_version(client, version, aliases=(), latest=False, searched=False):
    address = _version_address(version)
    aliases = sorted({*aliases, *map(str, getattr(version, "aliases", None) or ())})
    if address in _own_versions or not _is_new("version", (address, tuple(aliases), latest)):
        return
    location = _location(client, version)
    if location:
        _places[location.rstrip("/")] = address
    model = _model_of(version)
    lines.write(
        "ml.read.version",
        name=str(version.name),
        version=str(version.version),
        uri=notes.without_secrets(getattr(client, "registry_uri", "") or ""),
        aliases=aliases,
        latest=bool(latest),
        searched=bool(searched),
        stage=str(getattr(version, "current_stage", None) or ""),
        source=notes.without_secrets(version.source or ""),
        location=notes.without_secrets(location),
        run=str(version.run_id) if version.run_id else None,
        model=model,
        status=str(version.status or "READY"),
        description=str(version.description or ""),
        created=int(version.creation_timestamp or 0),
        tags=_texts(version.tags),
    )


def _location(client, version):
    try:
        return str(client.get_model_version_download_uri(version.name, version.version) or "")
    except Exception:
        return str(version.source or "")


def _model_of(version):
    """The id of the logged model that a version was registered from, where it says so."""
    if getattr(version, "model_id", None):
        return str(version.model_id)
    source = str(version.source or "")
    return source[len("models:/") :] if source.startswith("models:/m-") else None


def _tell_run(client, run, searched=False):
    info, key = run.info, str(run.info.run_id)
    if key in notes._known or not _is_new("run", key):
        return
    if info.artifact_uri:
        _places[str(info.artifact_uri).rstrip("/")] = "runs:/" + key
    lines.write(
        "ml.read.run",
        run=key,
        uri=notes.without_secrets(client.tracking_uri),
        experiment=notes._experiment(client, str(client.tracking_uri), info.experiment_id),
        experiment_id=str(info.experiment_id),
        name=str(info.run_name or ""),
        status=str(info.status or ""),
        started=int(info.start_time or 0),
        ended=int(info.end_time) if info.end_time else None,
        searched=bool(searched),
        tags=_texts(run.data.tags),
        parameters=_texts(run.data.params),
        metrics=_metrics(run),
    )


def _metrics(run):
    """Key, exact value, step and time of the last value of each metric."""
    try:
        items = list(run.data._metric_objs)
    except AttributeError:
        return [[str(key), notes.exact(value), 0, 0] for key, value in run.data.metrics.items()]
    return [
        [str(each.key), notes.exact(each.value), int(each.step or 0), int(each.timestamp or 0)]
        for each in items
    ]


def _tell_model(client, model, searched=False):
    key = str(model.model_id)
    own = any(each[1] == key for each in notes._locations.values())
    if own or not _is_new("model", key):
        return
    if model.artifact_location:
        _places[str(model.artifact_location).rstrip("/")] = "models:/" + key
    lines.write(
        "ml.read.model",
        model=key,
        uri=notes.without_secrets(client.tracking_uri),
        name=str(model.name or ""),
        run=str(model.source_run_id) if model.source_run_id else None,
        experiment=notes._experiment(client, str(client.tracking_uri), model.experiment_id),
        experiment_id=str(model.experiment_id),
        type=str(model.model_type or ""),
        status=str(model.status),
        created=int(model.creation_timestamp or 0),
        searched=bool(searched),
        tags=_texts(model.tags),
        parameters=_texts(model.params),
    )


def _texts(values):
    return {str(key): str(value) for key, value in (values or {}).items() if str(key) not in _PRIVATE}


def _fetched(given, place):
    """Files were fetched, or are read where they lie."""
    found = _root_of(given["self"])
    if found is None:
        return
    root, folder, tell = found
    if root in _own_versions or _is_own(root):
        return
    tell()
    asked = str(getattr(given["self"], "artifact_uri", "") or "")
    path = posixpath.join(folder, str(given.get("artifact_path") or "")).strip("/")
    for source, name in _below(os.fspath(place), path):
        if (root, name) not in _files:
            _files.add((root, name))
            files.note_read(source, name, root=root, asked=notes.without_secrets(asked))


def _is_own(root):
    name = root.partition(":/")[2]
    return name in notes._known or any(each[1] == name for each in notes._locations.values())


def _root_of(repository):
    """The run or model that a repository of artifacts belongs to, the folder within it, and how to tell of it."""
    address = str(getattr(repository, "artifact_uri", "") or "").rstrip("/")
    if address.startswith("runs:/"):
        run, folder = type(repository).parse_runs_uri(address)
        return "runs:/" + run, folder or "", lambda: _look_up_run(repository, run)
    if address.startswith("models:/"):
        if getattr(repository, "model_name", None):
            name, version = str(repository.model_name), str(repository.model_version)
            root = "models:/{}/{}".format(name, version)
            return root, "", lambda: _look_up_version(repository, name, version)
        return address, "", lambda: _look_up_model(repository, address[len("models:/") :])
    for start, root in _places.items():
        if address == start or address.startswith(start + "/"):
            return root, address[len(start) :].strip("/"), lambda: None
    own = any(address == start or address.startswith(start + "/") for start in notes._locations)
    if not own and ":/" in address and not address.startswith("file:"):
        told = "fetched {}: of which run or model is not known, so it is not kept"
        lines.failed("mlflow inputs", told.format(notes.without_secrets(address)))
    return None


def _look_up_run(repository, run):
    client = _client(repository)
    _tell_run(client, client.get_run(run))


def _look_up_model(repository, model):
    client = _client(repository)
    _tell_model(client, client.get_logged_model(model))


def _look_up_version(repository, name, version):
    registry = sys.modules["mlflow.tracking._model_registry.utils"].get_registry_uri()
    tracking = sys.modules["mlflow.tracking._tracking_service.utils"].get_tracking_uri()
    registry = getattr(repository, "registry_uri", None) or registry
    client = sys.modules[_REGISTRY].ModelRegistryClient(registry, tracking)
    found = client.get_model_version(name, version)
    _tell_version(client, found)
    if _model_of(found):
        _look_up_model(repository, _model_of(found))


def _client(repository):
    tracking = sys.modules["mlflow.tracking._tracking_service.utils"].get_tracking_uri()
    return sys.modules[_TRACKING].TrackingServiceClient(getattr(repository, "tracking_uri", None) or tracking)


def _below(place, path):
    """Each regular file of what was fetched, with its path below the run or model."""
    if not os.path.isdir(place):
        yield place, path
        return
    for folder, folders, names in os.walk(place):
        folders.sort()
        for name in sorted(names):
            inner = posixpath.normpath(posixpath.join(path, os.path.relpath(folder, place), name))
            if not (name == _META and folder == place):
                yield os.path.join(folder, name), inner
