"""A web site from a folder, with basic authentication where one wants it: package indexes, Git repositories."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import ssl
import threading
import zipfile
from pathlib import Path
from typing import Any


class Site:
    """Serves a folder on 127.0.0.1 until it is closed.

    Git repositories in it can be cloned over HTTP after ``git update-server-info``; folders
    ``simple/NAME`` with wheels are a package index (https://peps.python.org/pep-0503/).

    Args:
        folder: What is served.
        user: Who may read it; everybody when empty.
        password: Of that user.
        secure: What it speaks TLS with; plain HTTP without.
    """

    def __init__(
        self, folder: Path, user: str = "", password: str = "", secure: ssl.SSLContext | None = None
    ) -> None:
        self.folder = folder
        self.lock(user, password)
        answer = functools.partial(_Answer, directory=str(folder), site=self)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answer)
        if secure is not None:
            self._server.socket = secure.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.uri = f"http://{self.host}"
        self.refused = 0
        self.served = 0
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def lock(self, user: str, password: str) -> None:
        """Let only this user in from now on; everybody where there is no name."""
        self._login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""

    def lets_in(self, authorization: str | None) -> bool:
        """Whether a request with this header is answered."""
        known = not self._login or authorization == self._login
        self.served += known
        self.refused += not known
        return known

    def with_login(self, login: str) -> str:
        """The address with `login` (``user:password``) in it."""
        return f"http://{login}@{self.host}"

    def add_wheel(self, name: str, version: str = "1.0") -> str:
        """Put a wheel with one module into the index below ``simple``; returns its sha256."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{path},{_record(text)},{len(text)}" for path, text in files.items()]
        files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
        path = self.folder / "simple" / name / f"{name}-{version}-py3-none-any.whl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in files.items():
                archive.writestr(zipfile.ZipInfo(member), text)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def close(self) -> None:
        """Stop serving; the address answers no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _record(text: str) -> str:
    """A digest as RECORD writes it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class _Answer(http.server.SimpleHTTPRequestHandler):
    """Files of one folder, for those who know the password."""

    def __init__(self, *words: Any, site: Site, **named: Any) -> None:
        self._site = site
        super().__init__(*words, **named)

    def send_head(self) -> Any:
        if self._site.lets_in(self.headers.get("Authorization")):
            return super().send_head()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class calls it
        """Say nothing."""
