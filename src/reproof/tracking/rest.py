"""The few calls of MLflow's REST interface that are needed, by the standard library alone.

Interface: https://mlflow.org/docs/latest/api_reference/rest-api.html (the same in 2.x and 3.x).
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from reproof.errors import TrackingError
from reproof.tracking.address import Address
from reproof.tracking.values import SOURCE_TYPE, DatasetInput, Run

_ID_LENGTH = 32  # of the run ids that MLflow makes
_PAGE = 1000  # runs or experiments a page; servers accept up to 50,000
_BATCH = 100  # parameters and tags in one request, the server's limit
_METRICS = 1000  # metrics in one request, the server's limit
_JSON = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as Protocol Buffers write them
_PARAMETER = 6000  # characters of a parameter's value, the server's limit
_TAG = 8000  # characters of a tag's value, the server's limit
PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
_PAUSES = (0.3, 1.0)  # seconds before a request is tried again, where that is safe
_TRANSIENT = (429, 502, 503, 504)


class RestError(TrackingError):
    """The server answered with an error.

    Attributes:
        status: HTTP status.
        code: MLflow's error code, ``RESOURCE_DOES_NOT_EXIST``; empty where it sent none.
    """

    status: int = 0
    code: str = ""


class RestClient:
    """A tracking server.

    Args:
        address: The server.
        environment: Variables with credentials: MLFLOW_TRACKING_TOKEN, or
            MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (a user part in the address wins),
            MLFLOW_TRACKING_INSECURE_TLS, MLFLOW_TRACKING_SERVER_CERT_PATH; and MLFLOW_WORKSPACE.
        timeout: Seconds that one request may take.

    All methods raise TrackingError when the server cannot be reached, and RestError when it answers
    with an error; the constructor when a certificate cannot be read.
    """

    def __init__(self, address: Address, environment: Mapping[str, str], timeout: float = 30.0) -> None:
        parts = urlsplit(address.access)
        self.uri = address.uri
        self._root = address.access.replace(f"{parts.netloc}", parts.netloc.rpartition("@")[2], 1)
        self._timeout = timeout
        self._authorization = _authorization(parts.username, parts.password, environment)
        self._workspace = environment.get("MLFLOW_WORKSPACE")
        self._opener = urllib.request.build_opener(
            _SameHost(), urllib.request.HTTPSHandler(context=_tls(environment))
        )

    def check(self) -> None:
        """Make sure that the server is there, is MLflow and accepts our credentials."""
        self.call("POST", "experiments/search", {"max_results": 1})

    def get_run(self, run_id: str) -> Run:
        """The run with this id."""
        return self._run(self.call("GET", "runs/get?" + urlencode({"run_id": run_id}))["run"])

    def read(self, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a question of the API, as it came: ``runs/get``."""
        return self.call("GET", f"{name}?{urlencode(query)}")

    def read_pages(self, name: str, query: Mapping[str, str], part: str) -> Iterator[dict[str, Any]]:
        """The items named `part` of all pages of an answer."""
        token = ""
        while True:
            answer = self.read(name, {**query, **({"page_token": token} if token else {})})
            yield from answer.get(part) or []
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def search_runs(self, condition: str) -> list[Run]:
        """All runs, in all experiments, that fulfil a condition of MLflow's search language."""
        experiments = [item["experiment_id"] for item in self._experiments()]
        body = {"experiment_ids": experiments, "filter": condition, "max_results": _PAGE}
        return [self._run(item) for item in self._pages("runs/search", body)]

    def find_runs(self, prefix: str) -> list[Run]:
        """All runs whose id begins with `prefix` (letters, digits, ``_`` and ``-``)."""
        if len(prefix) >= _ID_LENGTH:
            return self._whole(prefix)
        names = {item["experiment_id"]: item["name"] for item in self._experiments()}
        body = {"experiment_ids": list(names), "max_results": _PAGE}
        try:
            found = list(
                self._pages("runs/search", {**body, "filter": f"attributes.run_id LIKE '{prefix}%'"})
            )
        except RestError as error:
            if error.status != http.client.BAD_REQUEST:
                raise
            found = list(self._pages("runs/search", body))
        return [
            self._run(item, names.get(item["info"]["experiment_id"], ""))
            for item in found
            if item["info"]["run_id"].startswith(prefix)
        ]

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, which is made when there is none."""
        try:
            found = self.call("GET", "experiments/get-by-name?" + urlencode({"experiment_name": name}))
        except RestError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return str(self.call("POST", "experiments/create", {"name": name})["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    def create_run(self, experiment_id: str, name: str | None, started: int) -> Run:
        """Make a run; `started` in milliseconds since the epoch."""
        body = {"experiment_id": experiment_id, "start_time": started, **({"run_name": name} if name else {})}
        return self._run(self.call("POST", "runs/create", body)["run"])

    def children(self, run: Run) -> list[Run]:
        """The runs below a run, in its experiment."""
        wanted = f"tags.mlflow.parentRunId = '{run.run_id}'"
        body = {"experiment_ids": [run.experiment_id], "filter": wanted, "max_results": _PAGE}
        return [self._run(item) for item in self._pages("runs/search", body)]

    def log_metrics(self, run_id: str, metrics: Mapping[str, str], at: int) -> None:
        """Write one value of each metric, given as text; `at` in milliseconds since the epoch."""
        numbers = {key: float(text) for key, text in metrics.items()}
        items = [
            {"key": key, "value": value if math.isfinite(value) else _JSON[repr(value)], "timestamp": at}
            for key, value in numbers.items()
        ]
        for start in range(0, len(items), _METRICS):
            self.call(
                "POST", "runs/log-batch", {"run_id": run_id, "metrics": items[start : start + _METRICS]}
            )

    def log(self, run_id: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Write parameters and tags; values beyond the server's limits are cut off, as MLflow does."""
        items = [("params", key, value[:_PARAMETER]) for key, value in parameters.items()]
        items += [("tags", key, value[:_TAG]) for key, value in tags.items()]
        for start in range(0, len(items), _BATCH):
            body: dict[str, Any] = {"run_id": run_id, "params": [], "tags": []}
            for kind, key, value in items[start : start + _BATCH]:
                body[kind].append({"key": key, "value": value})
            self.call("POST", "runs/log-batch", body)

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Show datasets as inputs of a run; those that it has already are left as they are."""
        datasets = [
            {
                "dataset": {
                    "name": each.name,
                    "digest": each.digest,
                    "source_type": SOURCE_TYPE,
                    "source": each.source,
                    "profile": each.profile,
                },
                "tags": [{"key": key, "value": value} for key, value in each.tags.items()],
            }
            for each in inputs
        ]
        self.call("POST", "runs/log-inputs", {"run_id": run_id, "datasets": datasets})

    def terminate(self, run_id: str, status: str, ended: int) -> None:
        """Set a run's final status; `ended` in milliseconds since the epoch."""
        self.call("POST", "runs/update", {"run_id": run_id, "status": status, "end_time": ended})

    def artifact_paths(self, run: Run, folder: str = "") -> list[str]:
        """Paths of the files below a folder of a run's artifacts, in order."""
        query = {"run_id": run.run_id, **({"path": folder} if folder else {})}
        paths: list[str] = []
        for item in self.read_pages("artifacts/list", query, "files"):
            paths += self.artifact_paths(run, item["path"]) if item.get("is_dir") else [item["path"]]
        return sorted(paths)

    def download(self, run: Run, path: str) -> bytes:
        """The content of one artifact, through the server."""
        if (place := _proxied(run, path)) is not None:
            return self.request("GET", place)
        query = urlencode({"run_uuid": run.run_id, "path": path})
        return self.request("GET", f"/get-artifact?{query}")

    def upload(self, run: Run, path: str, content: bytes) -> None:
        """Write one artifact through the server.

        Raises:
            TrackingError: The server does not pass artifacts on (its runs lie at an address of their own).
        """
        place = _proxied(run, path)
        if place is None:
            raise TrackingError(
                f"the server `{self.uri}` does not take artifacts itself",
                details=[("artifacts", run.artifact_uri)],
            )
        self.request("PUT", place, content, "application/octet-stream")

    def _whole(self, run_id: str) -> list[Run]:
        """A run by its whole id, as a list of one or none."""
        try:
            item = self.call("GET", "runs/get?" + urlencode({"run_id": run_id}))["run"]
        except RestError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return []
        if item["info"].get("lifecycle_stage") == "deleted":
            raise TrackingError(
                f"run `{run_id}` was deleted",
                details=[("server", self.uri)],
                hint=f"run `mlflow runs restore --run-id {run_id}`",
            )
        return [self._run(item)]

    def _experiments(self) -> Iterator[dict[str, Any]]:
        yield from self._pages("experiments/search", {"max_results": _PAGE, "view_type": "ACTIVE_ONLY"})

    def _pages(self, name: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """All items of a search, page by page."""
        token: str | None = None
        while True:
            answer = self.call("POST", name, {**body, **({"page_token": token} if token else {})})
            yield from answer.get("runs") or answer.get("experiments") or []
            token = answer.get("next_page_token")
            if not token:
                return

    def _run(self, item: Mapping[str, Any], experiment: str = "") -> Run:
        info, data = item["info"], item.get("data") or {}
        return Run(
            run_id=info["run_id"],
            experiment_id=str(info.get("experiment_id", "")),
            experiment=experiment,
            name=info.get("run_name") or "",
            status=info.get("status") or "",
            artifact_uri=info.get("artifact_uri") or "",
            tags={each["key"]: each.get("value", "") for each in data.get("tags") or ()},
            parameters={each["key"]: each.get("value", "") for each in data.get("params") or ()},
            started=int(info.get("start_time") or 0),
            ended=int(info.get("end_time") or 0),
        )

    def call(self, method: str, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of MLflow's interface: `name` is what follows ``/api/2.0/mlflow/``."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.request(method, f"/api/2.0/mlflow/{name}", data, "application/json")
        try:
            value = json.loads(answer or b"{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise TrackingError(
                f"the server at `{self.uri}` is not an MLflow server",
                details=[("answer", answer[:80].decode("utf-8", "replace"))],
                hint="pass the address of the MLflow server with `--tracking-uri`",
            )
        return value

    def request(self, method: str, path: str, data: bytes | None = None, kind: str = "") -> bytes:
        """One request, answered by its body; what changes nothing is tried again when the server seems busy."""
        safe = method == "GET" or path.endswith("/search")
        for pause in (*(_PAUSES if safe else ()), None):
            try:
                return self._once(method, path, data, kind)
            except (TrackingError, OSError, http.client.HTTPException) as error:
                if pause is None or not _is_transient(error):
                    raise self._explained(error) from error
            time.sleep(pause)
        raise AssertionError  # the last round returns or raises

    def _once(self, method: str, path: str, data: bytes | None, kind: str) -> bytes:
        request = urllib.request.Request(self._root + path, data=data, method=method)  # noqa: S310 - http(s) only
        request.add_header("User-Agent", "reproof")
        if data is not None:
            request.add_header("Content-Type", kind)
        if self._workspace:
            request.add_header("X-MLFLOW-WORKSPACE", self._workspace)
        if self._authorization:
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read()) from error

    def _refusal(self, status: int, content: bytes) -> RestError:
        code, text = _error(content)
        if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            answer = RestError(
                f"the MLflow server at `{self.uri}` refused the credentials ({status})",
                details=[("credentials", "sent" if self._authorization else "none were set")],
                hint="set `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`",
            )
        else:
            details = [("status", f"{status} {code}".strip()), ("answer", text[:300])]
            answer = RestError(f"the MLflow server at `{self.uri}` refused a request", details=details)
        answer.status, answer.code = status, code
        return answer

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, TrackingError):
            return error
        reason = getattr(error, "reason", None) or error
        return TrackingError(
            f"cannot reach the MLflow server at `{self.uri}`",
            details=[("reason", str(reason) or type(reason).__name__)],
            hint="start the server, or name another store with `--tracking-uri`",
        )


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirections on the same host only: another one has no business with these requests."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: PLR0913, PLR0917 - as the base class
        """The request to follow; TrackingError where it leads to another host."""
        if urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            host = urlsplit(newurl).hostname
            raise TrackingError(f"the MLflow server sends us to another host, `{host}`")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and (header := req.unredirected_hdrs.get("Authorization")):
            following.add_unredirected_header("Authorization", header)
        return following


def _authorization(user: str | None, password: str | None, environment: Mapping[str, str]) -> str | None:
    if user is None:
        user, password = (
            environment.get("MLFLOW_TRACKING_USERNAME"),
            environment.get("MLFLOW_TRACKING_PASSWORD"),
        )
    else:
        user, password = unquote(user), unquote(password or "")
    if user and password is not None:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    file = environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
    try:
        context = ssl.create_default_context(cafile=file)
    except OSError as error:
        raise TrackingError(
            f"cannot read the certificate `{file}`",
            details=[("named by", "MLFLOW_TRACKING_SERVER_CERT_PATH"), ("reason", str(error))],
        ) from error
    if environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_transient(error: Exception) -> bool:
    if isinstance(error, TrackingError):
        return isinstance(error, RestError) and error.status in _TRANSIENT
    return isinstance(error, (ConnectionResetError, http.client.RemoteDisconnected))


def _error(content: bytes) -> tuple[str, str]:
    """MLflow's error code and message, from the body of an error."""
    try:
        value = json.loads(content)
        return str(value.get("error_code", "")), str(value.get("message", ""))
    except (ValueError, AttributeError):
        # of a page for people, which proxies and servers send, the words alone
        return "", " ".join(re.sub(r"<[^>]*>", " ", content.decode("utf-8", "replace")).split())


def _proxied(run: Run, path: str) -> str | None:
    """The server's own place for an artifact; None when artifacts lie elsewhere."""
    parts = urlsplit(run.artifact_uri)
    if parts.scheme != "mlflow-artifacts" or parts.netloc:
        return None
    return PROXY + quote(f"{parts.path.strip('/')}/{path}")
