"""How well `reproof explain` finds what was mutated: pairs of recorded runs whose difference is known, and histories.

Every pair is made for real: a project is run by `reproof run`, mutated, run again, and `reproof explain A B` is asked. Prints
a line for each, then totals: the share that is right, and how many answers are wrong though stated as proven, which must
be none. Pairs and truths stand in ``mutations/pairs.json``, the rules in ``mutations/judge.py``. The exit status is 1 if an
answer is wrong as proven. Projects on PyTorch, and the bikes project, take the packages of the interpreter that
``--frameworks`` names.

    python bench/explain.py [--only NAME,NAME] [--quick] [--histories] [--make] [--jobs N] [--json FILE] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from mutations.histories import HISTORIES, History, make_history, require_worse
from mutations.judge import judge
from mutations.making import Made, NotMadeError, Place, make, missing, read_table, results

SEEDS = (1, 2)  # each history with the guilty one at two places
Row = dict[str, Any]


def ask(made: Made, place: Place, *words: str, timeout: float) -> Row:
    """The document of `reproof explain`, or what came instead of it."""
    command = [place.python, "-m", "reproof.cli.main", "explain", made.first, made.second, *words]
    command += ["--output-format", "json"]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=made.folder, env=made.env, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "seconds": timeout}
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        answer = {"status": f"error {done.returncode}", "error": done.stderr[-1500:]}
    return {**answer, "seconds": round(time.monotonic() - begun, 1)}


def row(name: str, truth: list[dict[str, str]], answer: Row, *, either: bool = False) -> Row:
    """One line of the table."""
    judgement = judge(truth, answer, either=either)
    return {
        "name": name,
        "truth": truth,
        "status": answer.get("status"),
        "causes": answer.get("causes") or [],
        "suspects": (answer.get("suspects") or [])[:3],
        "runs": answer.get("runs"),
        "seconds": answer.get("seconds"),
        "right": judgement.right,
        "wrong_as_proven": judgement.wrong_as_proven,
        "lines": judgement.lines,
        **({"error": answer["error"]} if answer.get("error") else {}),
    }


def pair_row(pair: Row, project: Row, place: Place, options: argparse.Namespace) -> Row:
    """Make a pair, ask, judge; what cannot be made is said and counts for nothing."""
    reason = missing(pair, project, place)
    if reason is not None:
        return {"name": pair["name"], "skipped": reason}
    try:
        made = make(pair, project, place)
        if options.make:
            return {"name": pair["name"], "made": [made.first[:12], made.second[:12]]}
        answer = ask(made, place, timeout=options.timeout)
        return row(pair["name"], pair["truth"], answer, either=pair.get("either", False))
    except (NotMadeError, ValueError, subprocess.SubprocessError, OSError) as error:
        return {"name": pair["name"], "void": f"{type(error).__name__}: {error}"}
    finally:
        if options.keep is None:
            shutil.rmtree(place.folder / pair["name"], ignore_errors=True)
        if pair.get("memory"):
            shutil.rmtree(Path("/dev/shm") / f"{place.folder.name}-{pair['name']}", ignore_errors=True)


def history_row(name: str, seed: int, place: Place, options: argparse.Namespace) -> Row:
    """Make a history, ask about the metric within its budget, judge."""
    label = f"{name}-{seed}"
    try:
        history: History = make_history(name, seed, place)
        require_worse(lambda identity: _rmse(history.made.folder, identity), history.made)
    except (NotMadeError, ValueError, subprocess.SubprocessError, OSError) as error:
        return {"name": label, "void": f"{type(error).__name__}: {error}"}
    if options.make:
        return {"name": label, "made": [history.made.first[:12], history.made.second[:12]]}
    words = ("--metric", "rmse", "--worse-than", "0.5%", "--budget", str(history.limit))
    answer = ask(history.made, place, *words, timeout=options.timeout)
    found = {**row(label, history.truth, answer), "limit": history.limit}
    if found["lines"] == "no" or (found["runs"] or 0) > history.limit:
        found["right"] = False
    if options.keep is None:
        shutil.rmtree(place.folder / label, ignore_errors=True)
    return found


def _rmse(folder: Path, identity: str) -> float:
    metrics = results(folder, identity)[0] or []
    values = [float.fromhex(item["value"]) for item in metrics if item["key"] == "rmse"]
    if len(values) != 1:
        raise NotMadeError(f"{len(values)} values of rmse are recorded")
    return values[0]


def line(found: Row) -> str:
    """A row of the table as text."""
    name = f"{found['name']:<33}"
    for key in ("skipped", "void", "made"):
        if key in found:
            return f"{name} {key}: {found[key]}"
    truth = ", ".join(
        f"{one['kind']} {one['name'][:24]}" for one in found["truth"] if not one.get("optional")
    )
    said = found["causes"] or found["suspects"]
    answer = ", ".join(f"{one.get('kind')} {one.get('name')}" for one in said if isinstance(one, dict))
    word = "right" if found["right"] else "WRONG AS PROVEN" if found["wrong_as_proven"] else "not right"
    runs = f"{found['runs']} runs" + (f" of {found['limit']}" if "limit" in found else "")
    return (
        f"{name} {truth:<52} -> {found['status']!s:<10} {answer[:70]:<50} "
        f"{runs}, {found['seconds']} s, lines {found['lines']}, {word}"
    )


def totals(rows: list[Row]) -> Row:
    """Shares, of pairs and of histories apart."""
    asked = [found for found in rows if "right" in found]
    single = [found for found in asked if "limit" not in found]
    history = [found for found in asked if "limit" in found]
    two = [found for found in single if sum(not one.get("optional") for one in found["truth"]) > 1]
    lines = [found for found in single if found["lines"] != "-"]
    return {
        "pairs": len(single),
        "right": sum(found["right"] for found in single),
        "share": round(sum(found["right"] for found in single) / len(single), 4) if single else None,
        "two_factors": f"{sum(found['right'] for found in two)} of {len(two)}",
        "lines": f"{sum(found['lines'] == 'yes' for found in lines)} of {len(lines)}",
        "histories": f"{sum(found['right'] for found in history)} of {len(history)}",
        "wrong_as_proven": sum(found["wrong_as_proven"] for found in asked),
        "void": sum("void" in found for found in rows),
        "skipped": sum("skipped" in found for found in rows),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="names, or beginnings of names, with commas")
    parser.add_argument("--quick", action="store_true", help="only pairs that need seconds")
    parser.add_argument("--histories", action="store_true", help="the generated histories, too")
    parser.add_argument("--make", action="store_true", help="make the pairs, ask nothing")
    parser.add_argument("--jobs", type=int, default=1, help="pairs at once")
    parser.add_argument("--json", type=Path, help="where to write all rows")
    parser.add_argument("--keep", type=Path, help="where to make the pairs and leave them")
    parser.add_argument("--frameworks", default=sys.executable, help="a Python that has PyTorch and MLflow")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one question")
    return parser.parse_args()


def works(options: argparse.Namespace, place: Place) -> list[Callable[[], Row]]:
    """What has to be done, as asked for."""
    projects, pairs = read_table()
    named = set(filter(None, options.only.split(",")))
    exact = {pair["name"] for pair in pairs} & named
    chosen: list[Callable[[], Row]] = []
    for pair in pairs:
        project = projects[pair["project"]]
        slow = project.get("slow") or pair.get("slow")
        asked = pair["name"] in exact or pair["name"].startswith(tuple(named - exact))
        if (named and not asked) or (options.quick and slow):
            continue
        chosen.append(partial(pair_row, pair, project, place, options))
    histories = [(name, seed) for name in HISTORIES for seed in SEEDS]
    if named:
        histories = [each for each in histories if "-".join(map(str, each)).startswith(tuple(named - exact))]
    elif not options.histories:
        histories = []
    return chosen + [partial(history_row, name, seed, place, options) for name, seed in histories]


def main() -> int:
    options = parse()
    folder = options.keep.resolve() if options.keep else Path(tempfile.mkdtemp(prefix="explain-"))
    folder.mkdir(parents=True, exist_ok=True)
    # The interpreters as they are called: a link in an environment must not be followed.
    place = Place(folder, sys.executable, str(Path(options.frameworks).absolute()))
    rows: list[Row] = []
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            for future in [pool.submit(work) for work in works(options, place)]:
                rows.append(future.result())
                print(line(rows[-1]), flush=True)
    finally:
        if options.json:
            options.json.write_text(json.dumps({"rows": rows, "totals": totals(rows)}, indent=1) + "\n")
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(totals(rows)))
    return 1 if totals(rows)["wrong_as_proven"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
