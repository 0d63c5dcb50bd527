"""A program that needs the network where there is none is told so before any library speaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from projects import Project

pytestmark = [pytest.mark.needs("bwrap"), pytest.mark.usefixtures("warm")]

#: Asks for one address when there is a HOME of the user's own, and always says how it came out.
ASKS = """
import pathlib, socket, sys
out = open("model.txt", "w")
if (pathlib.Path.home() / "online").exists():
    sys.exit()
{code}
"""
WAYS = {
    "urllib": "import urllib.request; urllib.request.urlopen('http://data.example.org/x.csv')",
    "socket": "socket.create_connection(('192.0.2.7', 80))",
    "requests": "import requests; requests.get('https://data.example.org/x.csv')",
}
LINE = (
    "reproof: the network is off here: `{}` cannot be reached; `network = true` in [tool.reproof] turns it on"
)


@pytest.fixture
def recorded(make_project: Callable[..., Project]) -> Callable[[str], Project]:
    def make(code: str, settings: str = "") -> Project:
        files = {"train.py": ASKS.replace("{code}", code), ".gitignore": "model.txt\n"}
        project = make_project({**files, "pyproject.toml": f"[tool.reproof]\n{settings}"})
        project.shell("touch $HOME/online")
        project.reproof("run", "--env-manager", "local", "--no-log", "--", "python", "train.py", expect=0)
        return project

    return make


@pytest.mark.parametrize("way", WAYS)
def test_it_is_said_before_the_traceback(recorded: Callable[[str], Project], way: str) -> None:
    project = recorded(WAYS[way])
    words = ("verify", "--isolation", "bubblewrap", "--output-format", "json", "--keep", "--no-log")
    verdict = project.reproof(*words, expect=1).json
    address = {
        "socket": "192.0.2.7:80",
        "requests": "data.example.org:443",
    }
    host = address.get(way, "data.example.org:80")
    text = project.shell(f"cat {verdict['room']}/run-1/logs/stderr").out
    lines = text.splitlines()
    assert lines[0] == LINE.format(host)
    assert "Traceback" in lines[1]
    assert text.count("the network is off here") == 1
    (said,) = [each for each in verdict["conditions"] if each["name"] == "network"]
    assert said["value"] == "off here"
    assert f"`{host}`" in said["note"]


def test_this_machine_is_no_network(recorded: Callable[[str], Project]) -> None:
    code = "a = socket.create_server(('127.0.0.1', 0)); socket.create_connection(a.getsockname()).close()"
    project = recorded(code)
    verdict = project.verify("--isolation", "bubblewrap", "--no-log", expect=0)
    assert "network" not in [each["name"] for each in verdict["conditions"]]


def test_where_the_settings_turn_it_on_nothing_is_said(recorded: Callable[..., Project]) -> None:
    code = "\ntry:\n    socket.create_connection(('127.1.2.3', 9))\nexcept OSError as error:\n    print('refused', file=sys.stderr)\n"
    project = recorded(code, "network = true\n")
    done = project.reproof("verify", "--isolation", "bubblewrap", "--no-log", expect=0)
    assert "the network was on: the settings ask for it" in " ".join(done.out.split())
    assert "off here" not in done.out
