"""Watches what the user's code logs to MLflow, at the narrow places that every way of logging passes.

Those are the methods of MLflow's own `TrackingServiceClient` (the same in 2.16 up to 3.x): the fluent
functions, `MlflowClient`, autologging and asynchronous logging all come through it, with the values as
they were given, before a store truncates or rounds them. Nothing here may ever break the user's code:
what cannot be noted becomes a `failed` line.
"""

import functools
import inspect
import os
import sys
import threading

import _reproof_lines as lines
import _reproof_mlflow_notes as notes

_CLIENT = "mlflow.tracking._tracking_service.client"

#: Methods of the client, and what is noted of each.
_WATCHED = (
    ("log_metric", notes.metric),
    ("log_param", notes.parameter),
    ("set_tag", notes.tag),
    ("log_batch", notes.batch),
    ("log_inputs", notes.datasets),
    ("log_artifact", notes.artifact),
    ("log_artifacts", notes.artifacts),
    ("_log_artifact_async", notes.image),
    ("set_terminated", notes.closed),
    ("update_run", notes.updated),
)

#: The same for what only MLflow 3 has.
_WATCHED_SINCE_3 = (
    ("create_logged_model", notes.model),
    ("log_model_artifact", notes.model_artifact),
    ("log_model_artifacts", notes.model_artifacts),
)

_thread = threading.local()


def install(mlflow):
    """Wrap the narrow places of the module `mlflow`, which has just been imported; at most once."""
    if getattr(mlflow, "_reproof_watched", False):
        return
    try:
        mlflow._reproof_watched = True
        if os.environ.get("REPROOF_ROOM_TRACKING_URI"):
            import _reproof_mlflow_room as room

            room.install()
        _watch()
        import _reproof_mlflow_reads as reads

        reads.install()
        notes.version(mlflow)
    except Exception as error:
        lines.failed("mlflow", "cannot be watched: {!r}".format(error))


def _watch():
    module = sys.modules.get(_CLIENT)
    client = getattr(module, "TrackingServiceClient", None)
    if client is None:
        lines.failed("mlflow", "has no tracking client; what is logged is not seen")
        return
    _wrap(client, "create_run", notes.opened, around=notes.first_run)
    for name, note in _WATCHED:
        _wrap(client, name, note)
    for name, note in _WATCHED_SINCE_3:
        if hasattr(client, name):
            _wrap(client, name, note)
    _watch_resumed_runs()
    _watch_rewritten_models()
    _watch_long_parameters()


def _watch_resumed_runs():
    """`start_run` of an existing run ends in an ActiveRun like any other, and in no create_run."""
    fluent = sys.modules.get("mlflow.tracking.fluent")
    if fluent is not None and hasattr(fluent, "ActiveRun"):
        _wrap(fluent.ActiveRun, "__init__", notes.activated)


def _watch_rewritten_models():
    """`set_signature` and the like upload a changed MLmodel past the client."""
    utilities = sys.modules.get("mlflow.tracking.artifact_utils")
    original = getattr(utilities, "_upload_artifact_to_uri", None)
    if original is not None:
        replace_everywhere("_upload_artifact_to_uri", original, _watched(original, notes.uploaded))


def _watch_long_parameters():
    """Autologging truncates long parameters before the client sees them."""
    module = sys.modules.get("mlflow.utils.autologging_utils.client")
    client = getattr(module, "MlflowAutologgingQueueingClient", None)
    if client is None:
        return
    _wrap(client, "log_params", notes.queued_parameters)
    outer = sys.modules.get("mlflow.tracking.client")
    if outer is not None and hasattr(outer, "MlflowClient"):
        outer.MlflowClient.log_batch = _carrying(outer.MlflowClient.log_batch)


def replace_everywhere(name, original, replacement):
    """Replace a function in each MLflow module that has imported it by name."""
    for module_name, module in list(sys.modules.items()):
        if (
            module_name.partition(".")[0] == "mlflow"
            and getattr(module, "__dict__", {}).get(name) is original
        ):
            setattr(module, name, replacement)


def _wrap(owner, name, note, around=None):
    original = getattr(owner, name, None)
    if original is None:
        lines.failed("mlflow", "has no `{}`; such calls are not seen".format(name))
        return
    setattr(owner, name, _watched(original, note, around))


def _watched(original, note, around=None):
    """A function that calls `original` and then notes the call, unless another noted call made it."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def watched(*args, **kwargs):
        if getattr(_thread, "busy", False):
            return original(*args, **kwargs)
        _thread.busy = True
        try:
            call = _bound(signature, args, kwargs, original)
            if call is None:
                return original(*args, **kwargs)
            if around is not None:
                return around(original, call, note)
            return _called(original, call, note)
        finally:
            _thread.busy = False

    return watched


def _called(original, call, note):
    try:
        result = original(*call.args, **call.kwargs)
    except Exception as error:
        if notes.is_fault_of_store(error):
            # The value was logged as far as the code is concerned; only the store did not take it.
            lines.failed("mlflow store", "{}: {}".format(original.__name__, notes.first_line(error)))
            notes.attempt(note, call, None)
        raise
    notes.attempt(note, call, result)
    return result


def _carrying(original):
    signature = inspect.signature(original)

    @functools.wraps(original)
    def carrying(*args, **kwargs):
        try:
            notes.carry(signature.bind(*args, **kwargs))
        except Exception:
            pass  # a wrong call is MLflow's to refuse; and what is carried only makes values longer
        try:
            return original(*args, **kwargs)
        finally:
            notes.carry(None)

    return carrying


def _bound(signature, args, kwargs, original):
    """The arguments by name; None for a call that does not fit, which MLflow itself will refuse."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError:
        return None
    except Exception as error:
        lines.failed("mlflow", "{}: {!r}".format(original.__name__, error))
        return None
