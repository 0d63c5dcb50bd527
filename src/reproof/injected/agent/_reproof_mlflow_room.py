"""In the clean room every address of a tracking store or model registry leads to the room's own.

Whatever the code says (`set_tracking_uri`, `MlflowClient("http://...")`, environment variables, a
registry address), the re-run reads and writes the store named by REPROOF_ROOM_TRACKING_URI only.
Each address that was turned away is told once, with the place in the code.
"""

import functools
import inspect
import os
import sys
import tempfile
from urllib.parse import unquote

import _reproof_lines as lines
import _reproof_mlflow_notes as notes

_TRACKING = "mlflow.tracking._tracking_service.utils"
_REGISTRY = "mlflow.tracking._model_registry.utils"

_told = set()


def install():
    """Redirect all that resolves an address; called before anything else of MLflow is used."""
    room = os.environ["REPROOF_ROOM_TRACKING_URI"]
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        _turn(os.environ.get(name), room, where="${" + name + "}")
        os.environ[name] = room
    run = os.environ.get("MLFLOW_RUN_ID")
    if run and not _is_in(room, run):
        # It lies in the store that must not be touched: the re-run makes its own.
        del os.environ["MLFLOW_RUN_ID"]
        _turn("run " + run, room, where="${MLFLOW_RUN_ID}")
    if os.environ.get("REPROOF_SERVED"):
        _name_without_chance()
    tracking, registry = sys.modules.get(_TRACKING), sys.modules.get(_REGISTRY)
    if tracking is None or registry is None:
        lines.failed("mlflow redirection", "this version of mlflow resolves addresses elsewhere")
        return
    # The functions that resolve ask these first, so copies of them imported by name obey as well.
    tracking._tracking_uri = room
    registry._registry_uri = room
    for module, names in (
        (tracking, ("set_tracking_uri", "_resolve_tracking_uri", "get_tracking_uri")),
        (registry, ("set_registry_uri", "_resolve_registry_uri", "get_registry_uri")),
    ):
        for name in names:
            _replace(module, name, room)
    _guard_stores(room)
    _guard_artifacts(room)


class _Names:
    """In place of the module `random`, for names that MLflow makes up."""

    def __init__(self):
        self.count = 0

    def choice(self, words):
        """The next word."""
        self.count += 1
        return words[self.count % len(words)]

    def randint(self, least, most):
        """The next number."""
        self.count += 1
        return least + self.count % (most - least + 1)


def _name_without_chance():
    """Keep a local store from drawing names of runs from `random`: the server of the recorded run drew its own.

    Code that seeds, opens a run and then draws would get other numbers here than it got there.
    """
    try:
        import mlflow.utils.name_utils as names
    except ImportError:
        return  # an MLflow that makes up no names
    names.random = _Names()


def _is_in(room, run):
    """Whether the re-run itself made this run, for a process that it starts: a step of `mlflow.projects.run`."""
    if not room.startswith("sqlite:///"):
        return False
    try:
        import sqlite3

        store = sqlite3.connect("file:{}?mode=ro".format(room[len("sqlite:///") :]), uri=True, timeout=10)
        try:
            return store.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run,)).fetchone() is not None
        finally:
            store.close()
    except Exception:
        return False


def _replace(module, name, room):
    from _reproof_mlflow import replace_everywhere

    original = getattr(module, name, None)
    if original is None:
        lines.failed("mlflow redirection", "has no `{}`".format(name))
        return
    setter = name.startswith("set_")

    @functools.wraps(original)
    def redirected(*args, **kwargs):
        for given in args + tuple(kwargs.values()):
            _turn(given, room)
        if not setter:
            _turn_environment(room)
            return room
        return original(room)

    replace_everywhere(name, original, redirected)


def _guard_stores(room):
    """The registries of stores are the last place before a connection is made."""
    for module_name, class_name in (
        ("mlflow.tracking._tracking_service.registry", "TrackingStoreRegistry"),
        ("mlflow.tracking._model_registry.registry", "ModelRegistryStoreRegistry"),
    ):
        owner = getattr(sys.modules.get(module_name), class_name, None)
        if owner is None:
            lines.failed("mlflow redirection", "has no `{}`".format(class_name))
            continue
        _argue(owner, "get_store", {"store_uri": room, "tracking_uri": room, **_artifact_root(room)}, room)


def _artifact_root(room):
    """Where experiments that the code makes keep their artifacts: beside the store, not in the project."""
    if not room.startswith("sqlite:///"):
        return {}
    return {"artifact_uri": os.path.join(os.path.dirname(room[len("sqlite:///") :]), "artifacts")}


def _guard_artifacts(room):
    """Experiments made in the room keep their artifacts there, whatever address the code gives."""
    client = sys.modules["mlflow.tracking._tracking_service.client"].TrackingServiceClient
    _argue(client, "__init__", {"tracking_uri": room}, room)
    _argue(client, "create_experiment", {"artifact_location": None}, room)
    registry = sys.modules.get("mlflow.store.artifact.artifact_repository_registry")
    owner = getattr(registry, "ArtifactRepositoryRegistry", None)
    if owner is None:
        lines.failed("mlflow redirection", "artifact addresses are not watched")
    else:
        _watch_repositories(owner)


def _argue(owner, name, forced, room):
    """Replace a method by one whose arguments named in `forced` always have that value."""
    original = getattr(owner, name)
    signature = inspect.signature(original)
    names = [each for each in forced if each in signature.parameters]

    @functools.wraps(original)
    def redirected(*args, **kwargs):
        try:
            call = signature.bind(*args, **kwargs)
        except TypeError:
            return original(*args, **kwargs)  # raises as MLflow does
        for each in names:
            if call.arguments.get(each) != forced[each]:
                _turn(call.arguments.get(each), room)
            call.arguments[each] = forced[each]
        return original(*call.args, **call.kwargs)

    setattr(owner, name, redirected)


def _watch_repositories(owner):
    """Artifacts outside of the room are reached as the code says (they may be inputs), and told."""
    original = owner.get_artifact_repository
    places = os.environ.get("REPROOF_ROOM") or os.getcwd(), tempfile.gettempdir()
    roots = tuple(os.path.realpath(place) for place in places)

    @functools.wraps(original)
    def watched(self, artifact_uri, *args, **kwargs):
        try:
            _tell_outside(str(artifact_uri), roots)
        except Exception as error:
            lines.failed("mlflow redirection", repr(error))
        return original(self, artifact_uri, *args, **kwargs)

    owner.get_artifact_repository = watched


def _tell_outside(address, roots):
    scheme = address.partition(":")[0] if ":" in address else ""
    if scheme in ("runs", "models", "mlflow-artifacts"):
        return
    if scheme in ("", "file"):
        path = os.path.realpath(unquote(address[5:]).replace("//", "", 1) if scheme else address)
        if any(path == root or path.startswith(root + os.sep) for root in roots):
            return
    key = (address, "")
    if key not in _told:
        _told.add(key)
        place = notes.without_secrets(address)
        lines.failed("mlflow artifacts", "the code reached {}, outside of the clean room".format(place))


def _turn_environment(room):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        if os.environ.get(name) != room:
            _turn(os.environ.get(name), room)
            os.environ[name] = room


def _turn(address, room, where=None):
    """Tell once that `address` was given and the room's own taken instead."""
    if not address or str(address) == room:
        return
    try:
        where = where or lines.caller()
        key = (str(address), where)
        if key not in _told:
            _told.add(key)
            lines.write("ml.redirect", address=notes.without_secrets(address), where=where or "")
    except Exception as error:
        lines.failed("mlflow redirection", repr(error))
