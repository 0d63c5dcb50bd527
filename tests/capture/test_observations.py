"""The decoder alone, on lines written by hand; the real writers meet it in tests/injected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.capture import observations
from reproof.capture.observations import Observations
from reproof.model.observation import Booted, Opened
from reproof.model.randomness import Draw

BOOT = {"k": "boot", "p": 1, "t": 1.5, "parent": 0, "argv": ["python", "train.py"]}
END = {"k": "end", "p": 1, "modules": ["train"], "native": ["/lib/libc.so"]}


def lines(*given: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in given)


@pytest.fixture
def told(tmp_path: Path) -> Any:
    def read(*given: dict[str, Any] | bytes) -> Observations:
        path = tmp_path / "observations.jsonl"
        path.write_bytes(b"".join(line if isinstance(line, bytes) else lines(line) for line in given))
        return observations.read(path)

    return read


def spawn(p: int, *argv: str, child: int | None = None) -> dict[str, Any]:
    return {"k": "spawn", "p": p, "argv": argv} | ({"child": child} if child else {})


def reasons(obs: Observations) -> list[tuple[str, str]]:
    return [(each.subject, each.reason) for each in observations.omissions(obs)]


def test_whole_file(told: Any) -> None:
    obs = told(BOOT, END)
    assert [type(line).__name__ for line in obs.lines] == ["Booted", "Ended"]
    assert (obs.unknown, obs.damaged, obs.torn) == ({}, 0, False)
    assert reasons(obs) == []


@pytest.mark.parametrize("content", [None, b"", b"\n\n"])
def test_nothing(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    obs = observations.read(path)
    assert obs.lines == []
    assert [subject for subject, _ in reasons(obs)] == ["processes"]


def test_folder_in_its_place(tmp_path: Path) -> None:
    assert observations.read(tmp_path) == Observations()


def test_torn_last_line(told: Any) -> None:
    obs = told(BOOT, END, lines(BOOT)[:20])
    assert len(obs.lines) == 2
    assert obs.torn
    assert obs.damaged == 0


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"k":"boot"}\n',
        b'{"k":"boot","p":"one","parent":0}\n',
        b'{"k":7,"p":1}\n',
        b'{"k":"open","p":1,"path":"\\udc80"}\n',
        b'{"k":"open","p":1{"k":"end","p":1}\n',
    ],
)
def test_damaged_line_costs_only_itself(told: Any, line: bytes) -> None:
    obs = told(BOOT, line, END)
    assert len(obs.lines) == 2
    assert obs.damaged == 1
    assert ("observations", "1 line could not be read") in reasons(obs)


def test_unknown_kinds_are_counted(told: Any) -> None:
    obs = told(BOOT, {"k": "from the future", "p": 1}, {"k": "from the future", "p": 1}, END)
    assert obs.unknown == {"from the future": 2}
    assert reasons(obs) == [("observations", "2 lines of the unknown kind `from the future`")]


def test_unknown_fields_are_passed_over(told: Any) -> None:
    assert told(BOOT | {"new": 1}, END).damaged == 0


def test_many_lines_across_pieces(told: Any) -> None:
    opened = [{"k": "open", "p": 1, "path": f"/data/{number:06d}{'x' * 200}"} for number in range(12_000)]
    obs = told(BOOT, *opened, b"damage\n", END)
    assert len(obs.lines) == 12_002
    assert obs.damaged == 1


def test_line_without_end_is_bounded(told: Any) -> None:
    obs = told(BOOT, b"x" * (18 << 20), b"\n", END)
    assert [type(line).__name__ for line in obs.lines] == ["Booted", "Ended"]


def test_opened(told: Any) -> None:
    obs = told(
        {"k": "open", "p": 1, "path": "/a//b/./c"},
        {"k": "open", "p": 2, "path": "/a/b/c", "mode": "w"},
        {"k": "open", "p": 3, "paths": ["/x", "y"], "folder": "/", "mode": "rw"},
    )
    assert observations.opened_for_reading(obs) == {"/a/b/c": {1}, "/x": {3}, "/y": {3}}
    assert observations.opened_for_writing(obs) == {"/a/b/c": {2}, "/x": {3}, "/y": {3}}


def test_libraries_modules_addresses(told: Any) -> None:
    obs = told(
        END,
        {"k": "end", "p": 2, "modules": ["numpy"], "native": ["/a.so", "/lib/libc.so"]},
        {"k": "connect", "p": 1, "address": "h:1"},
        {"k": "connect", "p": 2, "address": "h:1"},
    )
    assert observations.native_libraries(obs) == ("/a.so", "/lib/libc.so")
    assert observations.modules(obs) == ("numpy", "train")
    assert observations.network(obs) == ("h:1",)


def test_randomness(told: Any) -> None:
    obs = told(
        {"k": "applied", "p": 1, "what": "random", "value": "1"},
        {"k": "applied", "p": 2, "what": "random", "value": "2"},
        {"k": "seeded", "p": 1, "what": "random.seed", "where": "x.py:1", "value": "7"},
        {"k": "seeded", "p": 2, "what": "random.seed", "where": "x.py:1", "value": "7"},
        {"k": "seeded", "p": 2, "what": "random.seed", "where": "x.py:2"},
        *({"k": "seeded", "p": p, "what": "np.seed", "where": "x.py:2", "value": str(p)} for p in range(5)),
    )
    assert observations.randomness(obs) == (
        ("random",),
        (
            Draw(what="random.seed", where="x.py:1", value="7", count=2),
            Draw(what="random.seed", where="x.py:2"),
            Draw(what="np.seed", where="x.py:2", value="0, 1, 2, ...", count=5),
        ),
    )


def test_mlflow(told: Any) -> None:
    obs = told(
        {"k": "ml.version", "p": 1, "version": "3.1"},
        {"k": "ml.redirect", "p": 1, "address": "http://b"},
        {"k": "ml.redirect", "p": 2, "address": "http://a"},
        {"k": "ml.redirect", "p": 2, "address": "http://a", "where": "x.py:1"},
    )
    assert observations.mlflow_version(obs) == "3.1"
    assert observations.mlflow_version(Observations()) is None
    assert observations.redirected(obs) == ("http://a", "http://b")


def boot(p: int, parent: int, *argv: str, fork: bool = False) -> dict[str, Any]:
    return {"k": "boot", "p": p, "parent": parent, "argv": argv, "fork": fork}


def ends(*pids: int) -> list[dict[str, Any]]:
    return [{"k": "end", "p": pid} for pid in pids]


def shown(obs: Observations) -> list[tuple[int, int, str, bool]]:
    return [
        (each.pid, each.parent, " ".join(each.argv), each.reached) for each in observations.processes(obs)
    ]


def test_processes(told: Any) -> None:
    obs = told(
        boot(1, 0, "python", "a.py"),
        boot(2, 1, fork=True),
        spawn(1, "python", "b.py", "--token", "t"),
        boot(3, 1, "python", "b.py", "--token", "t"),
        *ends(1, 2, 3),
    )
    assert shown(obs) == [
        (1, 0, "python a.py", True),
        (2, 1, "python a.py", True),
        (3, 1, "python b.py --token ***", True),
    ]
    assert reasons(obs) == []


def test_fork_that_became_another_python(told: Any) -> None:
    obs = told(
        boot(1, 0, "python", "a.py"),
        boot(2, 1, fork=True),
        spawn(2, "python", "b.py", child=2),
        boot(2, 1, "python", "b.py"),
        *ends(1, 2),
    )
    assert [line[2] for line in shown(obs)] == ["python a.py", "python b.py"]
    assert reasons(obs) == []


def test_each_start_needs_a_process_of_its_own(told: Any) -> None:
    start = spawn(1, "python", "b.py")
    obs = told(
        boot(1, 0, "python", "a.py"), start, start, start, boot(2, 1, "/x/python", "b.py"), *ends(1, 2)
    )
    assert [line[3] for line in shown(obs)] == [True, True, False, False]
    ((subject, reason),) = reasons(obs)
    assert subject == "process `python b.py`"
    assert reason.endswith("(2 times)")


def test_process_that_spoke_before_is_not_the_one(told: Any) -> None:
    obs = told(
        boot(1, 0, "python", "a.py"), boot(2, 1, "python", "b.py"), spawn(1, "python", "b.py"), *ends(1, 2)
    )
    assert [line[3] for line in shown(obs)] == [True, True, False]


def test_process_below_a_shell(told: Any) -> None:
    obs = told(
        boot(1, 0, "python", "a.py"),
        spawn(1, "sh", "-c", "python b.py *.csv && python -S c.py"),
        boot(3, 2, "python", "b.py", "x.csv"),
        *ends(1, 3),
    )
    assert [(line[2], line[3]) for line in shown(obs)][2:] == [("python -S c.py", False)]


def test_many_unreached_are_summed_up(told: Any) -> None:
    starts = [spawn(1, "python2", f"{number}.py") for number in range(30)]
    found = reasons(told(BOOT, *starts, END))
    assert len(found) == 21
    assert found[-1][1].startswith("10 more commands")


def test_abrupt_ends(told: Any) -> None:
    obs = told(
        boot(1, 0, "python", "a.py"),
        boot(2, 1, "python", "b.py"),
        boot(3, 1, "python", "-c", "from multiprocessing.resource_tracker import main;main(5)"),
        boot(4, 1, fork=True),
        boot(5, 1, fork=True),
        *ends(1),
    )
    assert [subject for subject, _ in reasons(obs)] == ["1 process", "2 workers"]


def test_failures_are_summed_up(told: Any) -> None:
    failure = {"k": "failed", "p": 1, "subject": "numpy", "reason": "gone"}
    obs = told(BOOT, failure, failure | {"p": 2}, failure | {"reason": "other"}, END)
    assert reasons(obs) == [("numpy", "gone (2 times)"), ("numpy", "other")]


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([lines(BOOT), lines(END), b"{", b"\n"]))))
def test_nothing_in_the_file_can_raise(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(b"".join(pieces))
    obs = observations.read(path)
    observations.processes(obs)
    observations.omissions(obs)
    observations.randomness(obs)


@given(st.lists(st.tuples(st.text(), st.sampled_from(["r", "w", "rw"])), max_size=20))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("round") / "file"
    written: list[Any] = [Booted(p=1, parent=0), *(Opened(p=1, path=name, mode=mode) for name, mode in files)]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in written))
    assert observations.read(path).lines == written
