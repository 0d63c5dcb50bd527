from __future__ import annotations

import os

from reproof.capture.variables import RECORDED, capture
from reproof.model.record import EnvironmentSection


def test_values_of_what_changes_results_and_names_of_the_rest() -> None:
    values, names = capture(
        {
            "OMP_NUM_THREADS": "4",
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "PYTHONHASHSEED": "42",
            "PYTHONPATH": "src",
            "LANG": "de_DE.UTF-8",
            "TZ": "UTC",
            "LD_PRELOAD": "/usr/lib/libjemalloc.so",
            "HOME": "/home/me",
            "AWS_SECRET_ACCESS_KEY": "abc",
            "MY_OMP_NUM_THREADS": "1",
            "LANGX": "x",
        }
    )
    assert values == {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "LANG": "de_DE.UTF-8",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so",
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "42",
        "PYTHONPATH": "src",
        "TZ": "UTC",
    }
    assert names == ("AWS_SECRET_ACCESS_KEY", "HOME", "LANGX", "MY_OMP_NUM_THREADS")


def test_a_secret_is_never_kept_even_on_the_list() -> None:
    values, names = capture(
        {
            "TF_API_KEY": "harmless-looking",
            "NCCL_TOKEN": "x",
            "PYTHONSTARTUP": "https://me:" + "hunter2@example.org",
            "XLA_FLAGS": "--token " + "abc",
        }
    )
    assert values == {}
    assert names == ("NCCL_TOKEN", "PYTHONSTARTUP", "TF_API_KEY", "XLA_FLAGS")


def test_undecodable_bytes_can_be_recorded() -> None:
    values, names = capture({"LC_ALL": os.fsdecode(b"caf\xe9"), os.fsdecode(b"N\xff"): "x"})
    assert values == {"LC_ALL": "caf\\xe9"}
    assert names == ("N\\xff",)


def test_an_empty_environment_is_empty() -> None:
    assert capture({}) == ({}, ())


def test_the_list_has_only_the_forms_that_are_understood() -> None:
    assert all("*" not in pattern[:-1] and not set(pattern) & set("?[") for pattern in RECORDED)
    values, names = capture(dict(os.environ))
    EnvironmentSection(variables=values, variable_names=names)
