"""The finishing agent: writes to an MLflow store through the MLflow of the interpreter that runs it.

Started as a program of its own when a run has ended. It reads one JSON object from standard input and
writes one to standard output::

    {"action": "finish", "uri": ..., "schema": ..., "finish": {...}}  ->  {"status": "written", "run_id": ...}
    {"action": "create", "uri": ...}                                  ->  {"status": "written"}

`schema` is the revision that this MLflow works with: a database that has another one is left alone,
because MLflow would migrate it. With ``"lean": true`` MLflow is imported without the large packages
that it can do without. Artifacts come as base64.
"""

import base64
import gc
import json
import os
import sys
import tempfile
import time

_BATCH = 100  # parameters and tags in one call, MLflow's limit
_METRICS = 1000  # metrics in one call
_NESTED_KEY = "reproof.replicate"
_RECORD = "reproof/record.json"
_OPEN = ("RUNNING", "SCHEDULED")

#: MLflow imports these where they are (a second or more), and does without them as mlflow-skinny.
_HEAVY = ("pandas", "numpy", "scipy", "sklearn", "skops", "pyarrow", "matplotlib", "flask", "docker", "graphene",
          "huey", "aiohttp", "torch", "tensorflow", "keras", "pyspark", "transformers", "IPython")  # fmt: skip


class _RefusedError(Exception):
    """What was asked for must not be done, now or later."""


class _UnfitError(Exception):
    """This MLflow must not touch the store."""


def main():
    """Answer the one request on standard input."""
    gc.disable()  # a sixth of the time goes into looking through what MLflow's modules hold, for nothing
    # MLflow prints to standard output; only the answer belongs there.
    answers = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    known = {}
    if request.get("lean"):
        for name in _HEAVY:
            sys.modules[name] = None  # for `import`: it is not installed
    try:
        _check_schema(request["uri"], request.get("schema"))
        if request["action"] == "create":
            _create(request["uri"])
        else:
            _finish(request["uri"], request["finish"], known)
        answer = {"status": "written"}
    except _RefusedError as error:
        answer = {"status": "refused", "reason": str(error)}
    except _UnfitError as error:
        answer = {"status": "unfit", "reason": str(error)}
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        answer = {"status": "failed", "reason": "{}: {}".format(type(error).__name__, lines[0][:300])}
    os.write(answers, json.dumps(dict(answer, **known)).encode())


def _check_schema(uri, schema):
    """Refuse a database of another revision; one without tables is MLflow's to fill."""
    if schema is None:
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        if not sqlalchemy.inspect(engine).get_table_names():
            return
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()
    finally:
        engine.dispose()
    if found != schema:
        raise _UnfitError("the store has schema {}, this MLflow needs {}".format(found, schema))


def _create(uri):
    """Make MLflow lay out a new, empty store."""
    import mlflow

    mlflow.MlflowClient(tracking_uri=uri).search_experiments()


def _finish(uri, finish, known):
    """Write what `finish` says; `known` receives the ids as soon as they are."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(tracking_uri=uri)
    artifacts = {path: base64.b64decode(text) for path, text in (finish.get("artifacts") or {}).items()}
    if finish.get("run_id"):
        run = _existing(client, finish["run_id"])
        known.update(run_id=run.info.run_id, experiment_id=run.info.experiment_id)
        artifacts = _without_written(client, run, artifacts)
    else:
        run = _new(client, finish)
        known.update(run_id=run.info.run_id, experiment_id=run.info.experiment_id)
    _log(client, run, finish)
    _log_inputs(client, run, finish.get("inputs") or ())
    _log_metrics(client, run.info.run_id, finish.get("metrics") or {}, finish.get("ended"))
    below = known["nested"] = {}
    for nested in _to_nest(client, run, finish.get("nested") or (), below):
        below[nested["key"]] = _nest(client, run, nested)
    with tempfile.TemporaryDirectory() as place:
        for path, content in sorted(artifacts.items()):
            _upload(client, run, path, content, place)
    status = finish.get("status")
    if status and (run.info.status in _OPEN or (finish.get("overrule") and run.info.status != status)):
        client.set_terminated(run.info.run_id, status, finish.get("ended") or int(time.time() * 1000))


def _existing(client, run_id):
    try:
        return client.get_run(run_id)
    except Exception as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            raise _RefusedError("the store has no run {}".format(run_id)) from error
        raise


def _new(client, finish):
    experiment_id = finish.get("experiment_id") or "0"
    if finish.get("experiment") and not finish.get("experiment_id"):
        found = client.get_experiment_by_name(finish["experiment"])
        experiment_id = found.experiment_id if found else client.create_experiment(finish["experiment"])
    started = finish.get("started") or int(time.time() * 1000)
    return client.create_run(experiment_id, start_time=started, run_name=finish.get("run_name"))


def _without_written(client, run, artifacts):
    """Leave out a record that is there already; another record is never replaced."""
    if _RECORD not in artifacts:
        return artifacts
    folder = _RECORD.rpartition("/")[0]
    if _RECORD not in [item.path for item in client.list_artifacts(run.info.run_id, folder)]:
        return artifacts
    with tempfile.TemporaryDirectory() as place:
        local = client.download_artifacts(run.info.run_id, _RECORD, place)
        with open(local, "rb") as file:
            same = file.read() == artifacts[_RECORD]
    if not same:
        raise _RefusedError("run {} holds another record already".format(run.info.run_id))
    return {path: content for path, content in artifacts.items() if path != _RECORD}


def _log(client, run, finish):
    from mlflow.entities import Param, RunTag

    missing = {
        key: value for key, value in finish.get("parameters", {}).items() if key not in run.data.params
    }
    items = [("params", Param(key, value)) for key, value in missing.items()]
    items += [("tags", RunTag(key, value)) for key, value in finish.get("tags", {}).items()]
    for start in range(0, len(items), _BATCH):
        batch = {"params": [], "tags": []}
        for kind, item in items[start : start + _BATCH]:
            batch[kind].append(item)
        client.log_batch(run.info.run_id, **batch)


def _log_inputs(client, run, inputs):
    """Datasets that the run read; those that it has already are left as they are."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    datasets = []
    for each in inputs:
        dataset = Dataset(each["name"], each["digest"], "local", each["source"], profile=each["profile"])
        datasets.append(DatasetInput(dataset, [InputTag(key, value) for key, value in each["tags"].items()]))
    if datasets:
        client.log_inputs(run.info.run_id, datasets)


def _log_metrics(client, run_id, metrics, at):
    """Write one value of each metric; values come as texts."""
    from mlflow.entities import Metric

    at = at or int(time.time() * 1000)
    items = [Metric(key, float(value), at, 0) for key, value in metrics.items()]
    for start in range(0, len(items), _METRICS):
        client.log_batch(run_id, metrics=items[start : start + _METRICS])


def _to_nest(client, parent, wanted, ids):
    """The runs to be made below `parent`, with the id of one that is there and was not finished.

    `ids` receives those of the others.
    """
    if not wanted:
        return []
    below = "tags.mlflow.parentRunId = '{}'".format(parent.info.run_id)
    found = client.search_runs([parent.info.experiment_id], below, max_results=10000)
    known = {run.data.tags.get(_NESTED_KEY): run for run in found}
    todo = []
    for nested in wanted:
        there = known.get(nested["key"])
        if there is None:
            todo.append(nested)
        elif there.info.status in _OPEN:
            todo.append(dict(nested, run_id=there.info.run_id))
        else:
            ids[nested["key"]] = there.info.run_id
    return todo


def _nest(client, parent, nested):
    """Make one run below another, whole; its id."""
    tags = dict(nested.get("tags") or {})
    tags.update({"mlflow.parentRunId": parent.info.run_id, _NESTED_KEY: nested["key"]})
    if nested.get("run_id"):
        run = client.get_run(nested["run_id"])
    else:
        run = client.create_run(
            parent.info.experiment_id,
            start_time=nested["started"],
            tags=tags,
            run_name=nested["run_name"],
        )
    _log(client, run, {"parameters": nested.get("parameters") or {}, "tags": tags})
    _log_metrics(client, run.info.run_id, nested.get("metrics") or {}, nested["ended"])
    with tempfile.TemporaryDirectory() as place:
        for path, content in sorted((nested.get("artifacts") or {}).items()):
            _upload(client, run, path, base64.b64decode(content), place)
    client.set_terminated(run.info.run_id, nested["status"], nested["ended"])
    return run.info.run_id


def _upload(client, run, path, content, place):
    folder, _, name = path.rpartition("/")
    local = os.path.join(place, name)
    with open(local, "wb") as file:
        file.write(content)
    client.log_artifact(run.info.run_id, local, folder or None)
    os.unlink(local)


if __name__ == "__main__":
    main()
