"""Calls of MLflow's REST interface about models, registered and logged, and about their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from reproof.tracking.rest import PROXY, RestClient, RestError


class ModelsClient(RestClient):
    """A tracking server that also keeps a registry of models; see :class:`RestClient` for what is raised."""

    def served_paths(self, root: str, folder: str = "") -> list[str]:
        """Paths of the files below `root`, a folder of the server's own artifacts, relative to it."""
        query = urlencode({"path": f"{root}/{folder}".rstrip("/")})
        answer = json.loads(self.request("GET", f"{PROXY.rstrip('/')}?{query}") or b"{}")
        paths: list[str] = []
        for item in answer.get("files") or ():
            path = f"{folder}/{item['path']}".lstrip("/")
            paths += self.served_paths(root, path) if item.get("is_dir") else [path]
        return sorted(paths)

    def served(self, path: str) -> bytes:
        """The content of one of the server's own artifacts."""
        return self.request("GET", PROXY + quote(path))

    def logged_model(self, model_id: str) -> dict[str, Any] | None:
        """MLflow's facts of a logged model (since MLflow 3); None where there is none."""
        found = self._found("GET", f"logged-models/{quote(model_id)}")
        return dict(found["model"]["info"]) if found else None

    def model_version(self, name: str, alias: str | None, version: str) -> dict[str, Any] | None:
        """MLflow's facts of a registered model's version, by its alias, number or ``latest``."""
        if alias is not None:
            query = urlencode({"name": name, "alias": alias})
            found = self._found("GET", f"registered-models/alias?{query}")
        elif version.lower() == "latest":
            body = {"filter": f"name='{name}'", "max_results": 1, "order_by": ["version_number DESC"]}
            found = self._found("GET", "model-versions/search?" + urlencode(body, doseq=True))
            versions = (found or {}).get("model_versions") or []
            return versions[0] if versions else None
        else:
            query = urlencode({"name": name, "version": version})
            found = self._found("GET", f"model-versions/get?{query}")
        return found["model_version"] if found else None

    def newest_in_stage(self, name: str, stage: str) -> dict[str, Any] | None:
        """MLflow's facts of the newest version of a registered model in a stage."""
        body = {"name": name, "stages": [stage]}
        found = self._found("POST", "registered-models/get-latest-versions", body)
        versions = (found or {}).get("model_versions") or []
        return versions[0] if versions else None

    def outputs_of(self, run_id: str) -> list[str]:
        """Ids of the models that a run logged (since MLflow 3)."""
        run = self.read("runs/get", {"run_id": run_id})["run"]
        outputs = (run.get("outputs") or {}).get("model_outputs") or ()
        return list(dict.fromkeys(str(each["model_id"]) for each in outputs))

    def run_info(self, run_id: str) -> dict[str, Any] | None:
        """MLflow's facts of a run, deleted ones included; None where there is none."""
        found = self._found("GET", "runs/get?" + urlencode({"run_id": run_id}))
        return dict(found["run"]["info"]) if found else None

    def search(self, name: str, body: dict[str, Any], part: str) -> Iterator[dict[str, Any]]:
        """The items named `part` of all pages of a search; one page is held at a time."""
        token = ""
        while True:
            answer = self.call("POST", name, {**body, **({"page_token": token} if token else {})})
            yield from answer.get(part) or []
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _found(self, method: str, name: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        try:
            return self.call(method, name, body)
        except RestError as error:
            if error.code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
