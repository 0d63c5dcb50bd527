"""The loop on a plain script in the user's own environment: run, record, re-create, compare."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from projects import Project

RUN = ("run", "--env-manager", "local")


def test_a_fresh_seed_is_recorded_and_replayed(plain: Project) -> None:
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    record = plain.record()
    assert record["randomness"]["seed_source"] == "fresh"
    assert {"PYTHONHASHSEED", "random"} <= set(record["randomness"]["applied"])
    verdict = plain.verify(expect=0)
    assert verdict["word"] == "repeated"  # the user's own environment was used again
    assert {each["subject"]: each["outcome"] for each in verdict["differences"]}["model.json"] == 0


def test_two_runs_have_seeds_of_their_own(plain: Project) -> None:
    seeds = set()
    for _ in range(2):
        plain.reproof(*RUN, "--", "python", "train.py", expect=0)
        seeds.add(plain.record()["randomness"]["seed"])
    assert len(seeds) == 2


def test_without_a_seed_the_run_varies(plain: Project) -> None:
    # what the script of `plain` draws fades away in its loop: two runs can agree by luck
    plain.write("train.py", 'import random\nopen("model.json", "w").write(str(random.random()))\n')
    plain.commit()
    plain.reproof(*RUN, "--seed", "none", "--", "python", "train.py", expect=0)
    verdict = plain.verify(expect=1)
    assert (verdict["word"], verdict["stability"]) == ("not reproduced", "varies")
    assert "seed" not in plain.record()["randomness"]


def test_what_changed_is_found_and_listed(plain: Project) -> None:
    plain.write("train.py", 'import sys\nopen("model.json", "w").write(sys.prefix)\n')
    plain.commit()
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    plain.write(".reproof/marker", "")
    plain.write("train.py", "")  # the work tree may change: the record counts
    verdict = plain.verify(expect=0)
    assert verdict["reproduced"] is True


def test_a_difference_that_is_consistent_names_its_factors(plain: Project) -> None:
    plain.write("train.py", 'import os\nopen("model.json", "w").write(os.getcwd())\n')
    plain.commit()
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    verdict = plain.verify(expect=1)
    assert verdict["stability"] == "consistent"


def test_changes_of_the_work_tree_are_part_of_the_record(plain: Project) -> None:
    plain.write("extra.txt", "7\n")
    plain.write(
        "train.py",
        'print(open("extra.txt").read()); open("model.json", "w").write(open("extra.txt").read())\n',
    )
    (plain.folder / "train.py").chmod(0o755)
    before = plain.status()
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert plain.record()["code"]["dirty"] is True
    plain.write("extra.txt", "8\n")
    plain.shell("git checkout -q train.py")
    verdict = plain.verify(expect=0)
    assert verdict["reproduced"] is True
    assert (plain.folder / "extra.txt").read_text() == "8\n"
    plain.write("extra.txt", "7\n")
    assert plain.status() != before  # train.py was put back by us, nothing else changed
    assert plain.status() == "?? extra.txt\n"


def test_require_clean_refuses_and_its_hint_cures(plain: Project) -> None:
    plain.write("extra.txt", "7\n")
    refused = plain.reproof(*RUN, "--require-clean", "--", "python", "train.py", expect=125)
    assert "extra.txt" in refused.err
    plain.shell(refused.hint.replace('"..."', '"more"'))
    plain.reproof(*RUN, "--require-clean", "--", "python", "train.py", expect=0)


@pytest.mark.parametrize(("words", "status"), [(["python", "-c", "exit(7)"], 7), (["./nothing-here"], 127)])
def test_the_exit_status_is_passed_on(plain: Project, words: list[str], status: int) -> None:
    assert plain.reproof(*RUN, "--", *words).status == status


def test_a_failure_that_repeats_is_reproduced(plain: Project) -> None:
    plain.reproof(*RUN, "--", "python", "-c", "exit(3)", expect=3)
    assert plain.record()["state"] == "failed"
    assert plain.verify(expect=0)["reproduced"] is True


def test_output_passes_through_untouched(plain: Project) -> None:
    result = plain.reproof(
        *RUN, "--", "python", "-c", "import sys; print('out'); print('err', file=sys.stderr)", expect=0
    )
    assert result.out == "out\n"
    assert result.err.startswith("err\n")


def test_nothing_but_products_changes_in_the_project(plain: Project) -> None:
    plain.shell("echo old > model.json")
    before = plain.status()
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    model = (plain.folder / "model.json").read_bytes()
    plain.verify(expect=0)
    assert plain.status() == before
    assert (plain.folder / "model.json").read_bytes() == model


def test_ctrl_c_ends_the_child_and_says_so(plain: Project) -> None:
    plain.write("slow.py", 'import time\nprint("ready", flush=True)\ntime.sleep(60)\n')
    plain.commit()
    process = subprocess.Popen(
        [sys.executable, "-m", "reproof.cli.main", *RUN, "--", "python", "slow.py"],
        cwd=plain.folder,
        env=plain.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert plain.record()["state"] == "interrupted"


def test_a_killed_reproof_leaves_a_readable_unfinished_record(plain: Project) -> None:
    plain.write("slow.py", 'import time\nprint("ready", flush=True)\ntime.sleep(30)\n')
    plain.commit()
    process = subprocess.Popen(
        [sys.executable, "-m", "reproof.cli.main", *RUN, "--", "python", "slow.py"],
        cwd=plain.folder,
        env=plain.env,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait(timeout=30)
    (draft,) = (plain.folder / ".reproof/unfinished").glob("*.json")
    assert json.loads(draft.read_text())["state"] == "unfinished"
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    plain.verify(expect=0)


def test_diff_of_two_runs_names_the_parameter_and_what_it_moved(plain: Project) -> None:
    for rate in ("0.1", "0.2"):
        plain.reproof(*RUN, "--seed", "5", "--", "python", "train.py", rate, expect=0)
    result = plain.reproof("diff", "last~1", "last", expect=1)
    assert "0.1" in result.out
    assert "0.2" in result.out
    assert "$.weight" in result.out
    assert plain.reproof("diff", "last", "last", expect=0)


def test_show_and_list(plain: Project) -> None:
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert "train.py" in plain.reproof("show", expect=0).out
    assert plain.reproof("list", "--output-format", "json", expect=0).json
    plain.verify(expect=0)
    assert "repeated" in plain.reproof("list", expect=0).out
    assert plain.reproof("show", "--verdict", expect=0).out


def test_repeat_and_keep(plain: Project) -> None:
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    verdict = plain.verify("--repeat", "2", "--keep", "--isolation", "process", expect=0)
    assert Path(verdict["room"]).is_dir()
    assert {"re-run 1", "re-run 2"} <= set(verdict["seconds"])


def test_tolerance_makes_close_pass(plain: Project) -> None:
    plain.write(
        "train.py",
        'import json, os\njson.dump({"x": 1.0 + len(os.getcwd()) * 1e-12}, open("model.json", "w"))\n',
    )
    plain.commit()
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    plain.verify("--no-log", expect=1)
    verdict = plain.verify("--rtol", "1e-6", expect=0)
    assert {each["subject"]: each["outcome"] for each in verdict["differences"]}["model.json"] == 2


def test_data_in_its_original_place_is_said_so(plain: Project) -> None:
    plain.write(".gitignore", "model.json\nbig.txt\n")
    plain.write("big.txt", "1\n2\n")
    plain.write("train.py", 'open("model.json", "w").write(str(sum(map(int, open("big.txt")))))\n')
    plain.commit()
    result = plain.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert "`reproof keep big.txt`" in result.err
    verdict = plain.verify(expect=0)
    assert any("big.txt" in each["value"] for each in verdict["conditions"])
    plain.write("big.txt", "1\n3\n")
    changed = plain.reproof("verify", expect=2)
    assert "cannot restore `big.txt`" in changed.err
    (plain.folder / "big.txt").unlink()
    assert "it is gone" in plain.reproof("verify", expect=2).err


def test_a_run_that_outlives_its_timeout_is_ended(plain: Project) -> None:
    started = time.monotonic()
    result = plain.reproof(*RUN, "--timeout", "1", "--", "python", "-c", "import time; time.sleep(60)")
    assert result.status not in (0, 60)
    assert time.monotonic() - started < 40
