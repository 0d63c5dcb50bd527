"""Which variables each profile sets, and what it leaves to the user."""

from __future__ import annotations

import os

import pytest

from reproof.execute.profiles import THREADS, is_x86, thread_count, variables


def test_off_sets_nothing() -> None:
    assert variables("off", {}, gpu=True) == {}


def test_default_fixes_threads_zone_and_locale() -> None:
    added = variables("default", {})
    assert {added[name] for name in THREADS} == {str(thread_count({}))}
    assert added["TZ"] == "UTC"
    assert added["LC_ALL"] == "C.UTF-8"
    assert added["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert "XLA_FLAGS" not in added
    assert "MALLOC_PERTURB_" not in added


def test_what_the_user_sets_is_left_alone() -> None:
    env = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "MKL_NUM_THREADS": "1", "OMP_DYNAMIC": "TRUE"}
    added = variables("portable", env)
    assert not env.keys() & added.keys()
    assert "LC_ALL" not in added


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("2,4", 2), (" 5 ", 5)])
def test_threads_of_openmp_hold_for_all(given: str, expected: int) -> None:
    added = variables("default", {"OMP_NUM_THREADS": given})
    assert "OMP_NUM_THREADS" not in added
    assert added["OPENBLAS_NUM_THREADS"] == str(expected)


@pytest.mark.parametrize("given", ["", "0", "many", "-1", "\u0663"])
def test_threads_that_are_no_number_mean_the_processors(given: str) -> None:
    assert 1 <= thread_count({"OMP_NUM_THREADS": given}) <= (os.cpu_count() or 1)


def test_strict_fills_memory() -> None:
    assert variables("strict", {}).items() > variables("default", {}).items()
    assert variables("strict", {})["MALLOC_PERTURB_"] == "85"


@pytest.mark.skipif(not is_x86(), reason="instruction sets of x86-64")
def test_portable_limits_instruction_sets() -> None:
    added = variables("portable", {})
    assert added["OPENBLAS_CORETYPE"] == "Haswell"
    assert added["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert added["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"


def test_flags_are_added_to_those_of_the_user() -> None:
    env = {"XLA_FLAGS": "--xla_dump_to=/x --xla_gpu_deterministic_ops=false"}
    assert "XLA_FLAGS" not in variables("default", env, gpu=True)
    added = variables("default", {"XLA_FLAGS": "--xla_dump_to=/x"}, gpu=True)
    assert added["XLA_FLAGS"] == "--xla_dump_to=/x --xla_gpu_deterministic_ops=true"
