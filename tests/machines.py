"""Machines that share nothing but a network: each with its own root, HOME, user, host name and Python.

A machine is a mount view made by bubblewrap. Shown are the system's programs, the machine's own folder
as HOME, and at a place of its own a Python with reproof. What another machine has is not there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from projects import Result

_SOURCE = Path(__file__).parents[1] / "src"
_SYSTEM = ("/usr", "/etc")
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class Machine:
    """A machine of its own.

    Args:
        name: Its host name, and the name of its user.
        home: The folder that is its user's HOME; made where it is missing.
        user: The user's id.
        variables: What its user's shell sets.
    """

    def __init__(self, name: str, home: Path, user: int, variables: Mapping[str, str]) -> None:
        self.name = name
        self.home = home
        self._user = user
        self._python = Path("/opt", name, "python")
        home.mkdir(parents=True, exist_ok=True)
        self.env = {
            "HOME": f"/home/{name}",
            "USER": name,
            "LANG": "C.UTF-8",
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": f"{name}@example.org",
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": f"{name}@example.org",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **variables,
        }
        self._install()

    def _install(self) -> None:
        """Give the user an environment with reproof, active in every shell."""
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        python = self._python / "bin" / f"python{version}"
        self.shell(f"{python} -m venv --without-pip .venv")
        packages = f"/opt/{self.name}/tools/lib/python{version}/site-packages"
        (self.home / f".venv/lib/python{version}/site-packages/reproof.pth").write_text(
            f"{packages}\n/opt/{self.name}/src\n"
        )
        self.env["PATH"] = f"/home/{self.name}/.venv/bin:/usr/bin:/bin"

    def _relocated(self) -> Path:
        """A copy of the interpreter that finds its library beside itself, wherever that is."""
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        target = self.home.with_name(f"{self.home.name}-{name}")
        if not target.exists():
            place = f"{sys.base_prefix}/lib\0".encode()
            beside = b"$ORIGIN/../lib\0".ljust(len(place), b"\0")
            content = Path(sys.base_prefix, "bin", name).read_bytes()
            target.write_bytes(content.replace(place, beside) if len(beside) == len(place) else content)
            target.chmod(0o755)
        return target

    def _view(self, folder: str) -> list[str]:
        tools = Path(sysconfig.get_path("purelib")).parents[2]
        words = ["bwrap", "--unshare-user", "--uid", str(self._user), "--gid", str(self._user)]
        words += [
            "--unshare-uts",
            "--hostname",
            self.name,
            "--unshare-ipc",
            "--die-with-parent",
            "--clearenv",
        ]
        for place in _SYSTEM:
            words += ["--ro-bind", place, place]
        for place in map(Path, _MERGED):
            if place.is_symlink():
                words += ["--symlink", str(place.readlink()), str(place)]
            elif place.exists():
                words += ["--ro-bind", str(place), str(place)]
        # The processes of the outer machine stay in sight: a private /proc could not be nested again.
        words += ["--dev-bind", "/proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys"]
        words += ["--tmpfs", "/tmp", "--bind", str(self.home), f"/home/{self.name}"]  # noqa: S108 - of its own
        interpreter = self._relocated()
        inner = self._python / "bin" / interpreter.name.removeprefix(f"{self.home.name}-")
        words += ["--ro-bind", sys.base_prefix, str(self._python), "--ro-bind", str(interpreter), str(inner)]
        words += [
            "--ro-bind",
            str(tools),
            f"/opt/{self.name}/tools",
            "--ro-bind",
            str(_SOURCE),
            f"/opt/{self.name}/src",
        ]
        words += ["--chdir", f"/home/{self.name}/{folder}"]
        return [*words, *(word for name, value in self.env.items() for word in ("--setenv", name, value))]

    def run(self, *argv: str, folder: str = "", expect: int | None = 0) -> Result:
        """Run a command in a folder below HOME."""
        done = subprocess.run(
            [*self._view(folder), "--", *argv],
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert expect is None or done.returncode == expect, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return Result(done.returncode, done.stdout, done.stderr)

    def shell(self, script: str, folder: str = "") -> Result:
        """Run a script of the shell, which must succeed."""
        return self.run("/bin/bash", "-ec", script, folder=folder)

    def reproof(self, *words: str, folder: str = "", expect: int | None = 0) -> Result:
        """Run reproof."""
        return self.run("python", "-m", "reproof.cli.main", *words, folder=folder, expect=expect)

    def write(self, name: str, text: str) -> None:
        """Write a file below HOME."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def forget(self) -> None:
        """Empty its HOME but for the environment."""
        for path in self.home.iterdir():
            if path.name != ".venv":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
