from __future__ import annotations

from pathlib import Path

from reproof.execute import allowed, clean_environment


def test_secrets_do_not_pass_and_switches_do():
    base = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "MLFLOW_TRACKING_TOKEN": "x",
        "HF_TOKEN": "x",
        "LD_PRELOAD": "x",
        "PYTHONPATH": "x",
        "OMP_NUM_THREADS": "2",
        "LC_ALL": "tr_TR.UTF-8",
        "TZ": "Asia/Tokyo",
        "MYTOOL_MODE": "fast",
    }
    assert allowed(base) == {"OMP_NUM_THREADS": "2", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"}
    assert allowed(base, ("MYTOOL_*",))["MYTOOL_MODE"] == "fast"


def test_the_environment_of_a_room():
    made = clean_environment(
        {"PATH": "/evil", "HOME": "/root", "TMPDIR": "/x", "TZ": "UTC"},
        scripts=[Path("/env/bin"), Path("/more")],
        home=Path("/room/home"),
        temporary=Path("/room/tmp"),
    )
    assert made == {
        "PATH": "/env/bin:/more:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/room/home",
        "TMPDIR": "/room/tmp",
        "LANG": "C.UTF-8",
        "USER": "reproof",
        "LOGNAME": "reproof",
        "TZ": "UTC",
    }
