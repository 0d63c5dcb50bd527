"""What is written down of each call that logs to MLflow: one function for each kind of call.

Each takes the call (an `inspect.BoundArguments`) and what it returned, and may raise: see `attempt`.
"""

import json
import math
import os
import re
import struct
import sys
import threading

import _reproof_lines as lines
import _reproof_mlflow_files as files

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)

#: Errors that say that the store failed, not that the call was wrong.
_STORE_FAULTS = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "IO_ERROR"}

#: Errors about the file that was to be logged.
_FILE_FAULTS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)

#: Tags of MLflow's own that come from the code all the same.
_TAGS_OF_CODE = {"mlflow.note.content"}

_QUIET_NAN = "7ff8000000000000"

_carried = threading.local()  # `values`: whole values of parameters that autologging truncated
_known = set()  # ids of the runs that this process has told about
_experiments = {}  # (address, experiment id) to experiment name
_locations = {}  # artifact address to (run id, model id)


def attempt(note, call, result):
    """Note one call; a failure to do so becomes a line, never an exception in the user's code."""
    try:
        note(call.arguments, result)
    except Exception as error:
        lines.failed("mlflow", "{}: {!r}".format(note.__name__, error))


def is_fault_of_store(error):
    """Whether a call failed because the store could not be reached or written."""
    if isinstance(error, OSError):
        return not isinstance(error, _FILE_FAULTS)
    return getattr(error, "error_code", None) in _STORE_FAULTS


def first_line(error):
    """The first line of an exception's message, without user names or passwords in addresses."""
    return without_secrets((str(error).splitlines() or [repr(error)])[0])[:300]


def without_secrets(address):
    """An address without its user part."""
    return _USERINFO.sub(r"\g<scheme>", str(address))


def exact(value):
    """A number as `float.hex`; ``nan`` (with its bits unless they are the usual ones), ``inf``, ``-inf``."""
    number = value if type(value) is float else float(_plain(value))
    if math.isnan(number):
        bits = struct.pack(">d", number).hex()
        return "nan" if bits == _QUIET_NAN else "nan:" + bits
    return number.hex()


def version(mlflow):
    """MLflow was imported."""
    module = sys.modules.get("mlflow.tracking._tracking_service.utils")
    address = module.get_tracking_uri() if module is not None else ""
    lines.write("ml.version", version=str(mlflow.__version__), uri=without_secrets(address))


def first_run(original, call, note):
    """Create a run; the first of the whole run is given the name and tags that reproof was told."""
    elected = _elect()
    if elected:
        try:
            _dress(call)
        except Exception as error:
            lines.failed("mlflow", "the run keeps its own name and tags: {!r}".format(error))
    try:
        result = original(*call.args, **call.kwargs)
    except BaseException as error:
        if elected:
            _withdraw()
        if isinstance(error, Exception) and is_fault_of_store(error):
            lines.failed("mlflow store", "create_run: {}".format(first_line(error)))
        raise
    call.arguments["elected"] = elected
    attempt(note, call, result)
    return result


def opened(given, run):
    """A run was created."""
    tags = given.get("reproof_tags", given.get("tags")) or {}
    name = given.get("reproof_name", given.get("run_name")) or tags.get("mlflow.runName")
    _tell_run(given["self"], run, name, primary=given["elected"])
    for key, value in tags.items():
        _tell_tag(run.info.run_id, key, value)


def activated(given, _result):
    """`start_run` made a run the active one: a resumed one when no creation came before."""
    run = given["run"]
    if run.info.run_id not in _known:
        _tell_resumed(_client(), run)


def metric(given, _result):
    """One metric."""
    run = _run_of(given)
    model = given.get("model_id")
    lines.write(
        "ml.metric",
        run=run,
        key=str(given["key"]),
        value=exact(given["value"]),
        step=int(given.get("step") or 0),
        model=model,
    )


def parameter(given, _result):
    """One parameter."""
    lines.write("ml.param", run=_run_of(given), key=str(given["key"]), value=str(given["value"]))


def tag(given, _result):
    """One tag."""
    _tell_tag(_run_of(given), given["key"], given["value"])


def batch(given, _result):
    """Metrics, parameters and tags at once."""
    run = _run_of(given)
    metrics = () if _is_copying_to_model() else given.get("metrics") or ()
    active = _active_model() if metrics else None
    for item in metrics:
        model = getattr(item, "model_id", None) or active
        step = int(item.step or 0)
        lines.write("ml.metric", run=run, key=str(item.key), value=exact(item.value), step=step, model=model)
    whole = getattr(_carried, "values", {})
    for item in given.get("params") or ():
        value = whole.get(item.key, item.value)
        lines.write("ml.param", run=run, key=str(item.key), value=str(value))
    for item in given.get("tags") or ():
        _tell_tag(run, item.key, item.value)


def queued_parameters(given, _result):
    """Parameters entered autologging's queue, maybe truncated: the whole value goes along with each."""
    whole = [str(value) for value in given["params"].values()]
    queue = given["self"]._get_pending_operations(given["run_id"]).params_queue
    for item, value in zip(queue[len(queue) - len(whole) :], whole):  # noqa: B905 - Python 3.9
        if item.value != value:
            item._reproof_whole = value


def carry(call):
    """Before a batch of parameters is made anew for the client: keep what goes along with each; None after it."""
    items = (call.arguments.get("params") or ()) if call is not None else ()
    _carried.values = {item.key: item._reproof_whole for item in items if hasattr(item, "_reproof_whole")}


def datasets(given, _result):
    """Inputs of a run."""
    run = _run_of(given)
    for item in given.get("datasets") or ():
        context = [each.value for each in item.tags or () if each.key == "mlflow.data.context"]
        lines.write(
            "ml.dataset",
            run=run,
            name=str(item.dataset.name),
            digest=str(item.dataset.digest),
            source=_source(item.dataset),
            context=str(context[0]) if context else "",
        )


def artifact(given, _result):
    """A file or a folder among the artifacts of a run."""
    files.note_any(given["local_path"], given.get("artifact_path"), run=_run_of(given))


def artifacts(given, _result):
    """What is in a folder, among the artifacts of a run."""
    files.note_tree(given["local_dir"], given.get("artifact_path"), run=_run_of(given))


def image(given, _result):
    """A picture that MLflow will write in another thread, from an object of PIL."""
    if given.get("artifact") is not None:
        files.note_image(given["artifact"], given["filename"], given.get("artifact_path"), run=_run_of(given))


def uploaded(given, _result):
    """A file was put at an address: noted when it lies among the artifacts of a run or model we know."""
    local, address = given["local_path"], str(given["artifact_uri"])
    for root, (run, model) in _locations.items():
        if address == root or address.startswith(root + "/"):
            files.note_any(local, address[len(root) :].strip("/"), run="" if model else run, model=model)
            return


def closed(given, _result):
    """A run was set to its final status: by the code, or by MLflow as the process ends, which knows none."""
    at_exit = _is_called_by("_safe_end_run")
    status = str(given.get("status") or "FINISHED")
    lines.write("ml.close", run=_run_of(given), status=status, at_exit=at_exit)


def updated(given, _result):
    """A run's name or status was changed."""
    status = given.get("status")
    if status in ("FINISHED", "FAILED", "KILLED"):
        lines.write("ml.close", run=_run_of(given), status=status)


def model(given, created):
    """A logged model was created (MLflow 3)."""
    if created is None:
        return
    location = str(getattr(created, "artifact_location", "") or "").rstrip("/")
    run = str(given.get("source_run_id") or "")
    if location:
        _locations[location] = (run, created.model_id)
    lines.write("ml.model", model=created.model_id, name=str(created.name or ""), run=run)


def model_artifact(given, _result):
    """A file among the artifacts of a logged model."""
    files.note_any(given["local_path"], given.get("artifact_path"), model=given["model_id"])


def model_artifacts(given, _result):
    """What is in a folder, among the artifacts of a logged model."""
    files.note_tree(given["local_dir"], given.get("artifact_path"), model=given["model_id"])


def _plain(value):
    """MLflow's own conversion of arrays and tensors of one element."""
    module = sys.modules.get("mlflow.tracking.metric_value_conversion_utils")
    return value if module is None else module.convert_metric_value_to_float_if_possible(value)


def _ballot():
    return os.path.join(os.path.dirname(os.environ["REPROOF_OBSERVATIONS"]), "primary-run")


def _elect():
    """Whether this run is the first that any process of the whole run opens: whoever makes the file wins."""
    if "REPROOF_OBSERVATIONS" not in os.environ:
        return False
    try:
        os.close(os.open(_ballot(), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return False
    except OSError as error:
        lines.failed("mlflow", "the first run cannot be told from the others: {}".format(error))
        return False
    return True


def _withdraw():
    """The elected run was not created after all; the next one may stand."""
    try:
        os.unlink(_ballot())
    except OSError:
        pass


def _dress(call):
    """Add reproof's name and tags to a call of create_run, keeping those of the code for the record."""
    tags = dict(call.arguments.get("tags") or {})
    name = os.environ.get("REPROOF_RUN_NAME")
    call.arguments["reproof_tags"] = dict(tags)
    call.arguments["reproof_name"] = call.arguments.get("run_name")
    if name and not call.arguments.get("run_name") and "mlflow.runName" not in tags:
        call.arguments["run_name"] = name
        tags["mlflow.runName"] = name
    for key, value in json.loads(os.environ.get("REPROOF_RUN_TAGS") or "{}").items():
        # MLflow guesses the source from the script's name; reproof knows.
        if key.startswith(("mlflow.source.", "mlflow.project.")) or key not in tags:
            tags[key] = value
    call.arguments["tags"] = tags


def _run_of(given):
    """The id of the run that a call is for; told about before, if this process has not yet."""
    run = str(given["run_id"])
    if run not in _known:
        _known.add(run)
        try:
            _tell_resumed(given["self"], given["self"].get_run(run))
        except Exception as error:
            lines.failed("mlflow", "run {} is unknown: {}".format(run, first_line(error)))
    return run


def _tell_resumed(client, run):
    elected = _elect()
    _tell_run(client, run, run.info.run_name, primary=elected, resumed=True)


def _tell_run(client, run, name, *, primary=False, resumed=False):
    info = run.info
    _known.add(info.run_id)
    _locations[str(info.artifact_uri).rstrip("/")] = (info.run_id, None)
    address = str(client.tracking_uri)
    lines.write(
        "ml.run",
        run=info.run_id,
        uri=without_secrets(address),
        experiment=_experiment(client, address, info.experiment_id),
        experiment_id=str(info.experiment_id),
        name=None if name is None else str(name),
        parent=run.data.tags.get("mlflow.parentRunId"),
        artifact_uri=without_secrets(info.artifact_uri),
        resumed=resumed,
        primary=primary,
    )


def _experiment(client, address, experiment_id):
    key = (address, str(experiment_id))
    if key not in _experiments:
        try:
            _experiments[key] = str(client.get_experiment(experiment_id).name)
        except Exception as error:
            lines.failed("mlflow", "experiment {}: {}".format(experiment_id, first_line(error)))
            return ""
    return _experiments[key]


def _tell_tag(run, key, value):
    """Tags of the code; those that MLflow sets, and ours (see reproof/integrations), are not."""
    if not str(key).startswith(("mlflow.", "reproof.")) or key in _TAGS_OF_CODE:
        lines.write("ml.tag", run=run, key=str(key), value=str(value))


def _client():
    """A client of the current store, for what the fluent functions do without one."""
    return sys.modules["mlflow.tracking._tracking_service.client"].TrackingServiceClient(
        sys.modules["mlflow.tracking._tracking_service.utils"].get_tracking_uri()
    )


def _active_model():
    """The id of the active logged model (MLflow 3), which metrics without one go to."""
    active = getattr(sys.modules.get("mlflow.tracking.fluent"), "get_active_model_id", None)
    return active() if active is not None else None


def _is_copying_to_model():
    """Whether MLflow 3 logs a run's metrics once more, to tie them to a model, as the store gave them back."""
    return _is_called_by("log_model_metrics_for_step")


def _is_called_by(name):
    """Whether a function of MLflow with this name is among the nearest callers."""
    frame = sys._getframe(2)
    for _ in range(12):
        if frame is None:
            return False
        if frame.f_code.co_name == name:
            return True
        frame = frame.f_back
    return False


def _source(dataset):
    """Where a dataset comes from: its type, and its address without secrets."""
    kind = str(dataset.source_type or "")
    try:
        known = json.loads(dataset.source)
    except (TypeError, ValueError):
        return str(kind)
    for key in ("uri", "url", "path", "repo_id", "table_name", "delta_table_name"):
        if isinstance(known, dict) and isinstance(known.get(key), str):
            return str("{} {}".format(kind, _QUERY.sub("", without_secrets(known[key]))))
    return str(kind)
