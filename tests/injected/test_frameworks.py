"""Seeds and switches of frameworks: what the program says wins and is noted; a moved function is an omission."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reproof.capture import observations
from reproof.capture.entropy import draws
from reproof.capture.readings import readings
from reproof.model.observation import Answered, Applied, Booted, Switched

COURSE = """
import random
import numpy as np
random.seed(42)
np.random.seed(42)
from sklearn.ensemble import RandomForestRegressor
model = RandomForestRegressor(n_estimators=2, random_state=42)
def fit():
    model.fit([[0.0], [1.0], [2.0]], [0, 1, 2])
fit()
print(random.random(), np.random.rand(), np.random.default_rng(42).random())
"""

TORCH = """
import torch
torch.manual_seed(42)
if torch.cuda.is_available():
    torch.cuda.manual_seed_all(42)
torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False
print(torch.rand(1).item())
"""

TENSORFLOW = """
import tensorflow as tf
tf.random.set_seed(42)
print(float(tf.random.normal(())))
"""

# A package of the name that has its functions elsewhere than any known version.
MOVED = {
    "torch": "seed = None",
    "tensorflow": "random = None",
    "cupy/random": "",
    "sklearn/base": "",
    "jax/_src/random/stateful_rng": "",
}

CHILDREN = """
import subprocess, sys
import numpy as np
print(np.random.rand())
for options in ([], [], ["-I"], ["-E"]):
    command = [sys.executable, *options, "-c", "import sys; sys.path.append(%r); import numpy; print(numpy.random.rand())"]
    command[-1] %= sys.argv[1]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
"""

WORKERS = """
import multiprocessing, sys
sys.path.append(sys.argv[2])
import numpy as np

def work(number, queue):
    queue.put((number, np.random.rand()))

if __name__ == "__main__":
    print(np.random.rand())
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    children = [context.Process(target=work, args=(number, queue)) for number in range(3)]
    for child in children:
        child.start()
    for _, value in sorted(queue.get(timeout=60) for child in children):
        print(value)
    for child in children:
        child.join()
"""

LOKY = """
import os, sys
sys.path.append(sys.argv[1])
from joblib import Parallel, delayed

def work(number):
    import numpy as np
    return os.getpid(), np.random.rand(), os.environ.get("OMP_NUM_THREADS")

found = dict(tuple((pid, (value, threads)) for pid, value, threads in Parallel(n_jobs=2)(delayed(work)(n) for n in range(2))))
print(*sorted(value for value, _ in found.values()), *{threads for _, threads in found.values()})
"""


def packages(name: str = "numpy") -> str:
    """The folder of this interpreter's packages."""
    return str(Path(__import__(name).__file__ or "").parents[1])


def write(place: Any, code: str) -> str:
    place.project.mkdir(exist_ok=True)
    (place.project / "main.py").write_text(code, encoding="utf-8")
    return "main.py"


@pytest.mark.needs("sklearn")
def test_seeds_of_courses(place: Any) -> None:
    told = place.run(COURSE, REPROOF_SEED="7", PYTHONPATH=packages())
    assert told.status == 0, told.stderr
    plain = place.run(COURSE, PYTHONPATH=packages(), REPROOF_OBSERVATIONS=None)
    assert told.stdout == plain.stdout
    _, seeded = observations.randomness(told.lines)
    assert {(each.what, each.where.rpartition(":")[2], each.value, each.answer) for each in seeded} == {
        ("random.seed", "4", "42", "42"),
        ("numpy.random.seed", "5", "42", "42"),
        ("RandomForestRegressor(random_state)", "7", "42", "42"),
        ("numpy.random.default_rng", "11", "42", None),
    }
    answers = {line.what for line in told.lines.of(Answered)}
    assert "numpy CPU features" in answers
    assert any(name.startswith("threads of lib") for name in answers)
    assert told.failures() == []


@pytest.mark.needs("sklearn")
def test_libraries_for_arithmetic_say_what_they_are(place: Any) -> None:
    """What threadpoolctl says of the same libraries, without threadpoolctl in the user's process."""
    code = "import scipy.linalg, sklearn.cluster\n"
    told = place.run(code, PYTHONPATH=packages(), OMP_NUM_THREADS="2", OPENBLAS_CORETYPE="Haswell")
    found = {path.rpartition("/")[2]: each for path, each in observations.pools(told.lines).items()}
    ask = "import json, scipy.linalg, sklearn.cluster, threadpoolctl; print(json.dumps(threadpoolctl.threadpool_info()))"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
        check=True,
        capture_output=True,
        text=True,
    )
    expected = {each["filepath"].rpartition("/")[2]: each for each in json.loads(done.stdout)}
    assert found.keys() == expected.keys()
    assert {each.kind for each in found.values()} >= {"OpenBLAS", "GNU OpenMP"}
    for name, each in found.items():
        said = expected[name]
        assert each.threads == said["num_threads"]
        if each.kind == "OpenBLAS":
            assert (each.version, each.layer) == (said["version"], said["threading_layer"])
            assert each.architecture == said["architecture"] == "Haswell"


@pytest.mark.needs("torch")
@pytest.mark.frameworks
def test_torch_says_what_is_linked_into_it(place: Any) -> None:
    told = place.run("import torch\ntorch.set_num_threads(1)\n", PYTHONPATH=packages("torch"))
    found = {path.rpartition("/")[2]: each for path, each in observations.pools(told.lines).items()}
    torch = found["libtorch_cpu.so"]
    assert torch.kind in ("MKL", "OpenBLAS")
    assert (torch.threads, torch.layer) == (1, "OpenMP")
    assert torch.architecture
    assert told.failures() == []


GIVEN = """
import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.utils import shuffle
x, y = make_classification(n_samples=40, random_state=7)
parts = train_test_split(
    x, y, random_state=42)
first = shuffle([1, 2, 3], random_state=3)
for train, test in KFold(2, shuffle=True, random_state=5).split(x):
    pass
forest = RandomForestClassifier(n_estimators=2, random_state=1)
cross_val_score(forest, x, y, cv=2)
state = np.random.RandomState(11)
state.seed(12)
np.random.RandomState(seed=np.int64(13))
np.random.RandomState([1, 2])
np.random.seed(14)
train_test_split(x, random_state=state)
print(parts[0][0][0], first, test, state.random_sample())
"""


@pytest.mark.needs("sklearn")
def test_seeds_given_to_functions_and_states(place: Any) -> None:
    told = place.run(GIVEN, REPROOF_SEED="7", PYTHONPATH=packages())
    assert told.status == 0, told.stderr
    plain = place.run(GIVEN, PYTHONPATH=packages(), REPROOF_OBSERVATIONS=None)
    assert told.stdout == plain.stdout
    _, seeded = observations.randomness(told.lines)
    assert [(each.what, each.where.removeprefix("${PROJECT}/main.py:"), each.value) for each in seeded] == [
        ("make_classification(random_state)", "7", "7"),
        ("train_test_split(random_state)", "8", "42"),
        ("shuffle(random_state)", "10", "3"),
        ("KFold(random_state)", "11", "5"),
        ("RandomForestClassifier(random_state)", "13", "1"),
        ("numpy.random.RandomState", "15", "11"),
        ("numpy.random.RandomState", "16", "12"),
        ("numpy.random.RandomState", "17", "13"),
        ("numpy.random.seed", "19", "14"),
    ]
    assert told.failures() == []


@pytest.mark.needs("numpy")
def test_a_state_that_is_seeded_by_the_clock(place: Any) -> None:
    code = "import time\nimport numpy as np\nnp.random.RandomState(int(time.time()))"
    told = place.run(code, REPROOF_SEED="7", REPROOF_ENTROPY="control", PYTHONPATH=packages())
    (draw,) = draws(told.lines)
    assert (draw.what, draw.where) == ("numpy.random.RandomState() by the clock", "${PROJECT}/main.py:3")
    assert draw.control == "uncontrolled"


@pytest.mark.frameworks
@pytest.mark.needs("torch")
@pytest.mark.parametrize(("profile", "mode"), [("default", "warn"), ("strict", "error"), ("off", "off")])
def test_torch(place: Any, profile: str, mode: str) -> None:
    given = {"PYTHONPATH": packages("torch"), "REPROOF_SEED": "7", "CUDA_VISIBLE_DEVICES": ""}
    told = place.run(TORCH, **given, REPROOF_DETERMINISM=profile)
    assert told.status == 0, told.stderr
    assert told.stdout.startswith("0.88226926")
    _, seeded = observations.randomness(told.lines)
    assert [(each.where, each.value, each.answer) for each in seeded] == [
        ("${PROJECT}/main.py:3", "42", "42")
    ]
    found = {each.what: each for each in readings(told.lines)}
    assert found["torch.use_deterministic_algorithms"].answer == mode
    assert found["torch.utils.deterministic.fill_uninitialized_memory"].answer == str(profile != "default")
    for name, line, value in (("deterministic", 6, "True"), ("benchmark", 7, "False")):
        each = found[f"torch.backends.cudnn.{name}"]
        assert (each.asked, each.answer, each.where) == (value, value, f"${{PROJECT}}/main.py:{line}")
    assert found["torch.initial_seed"].answer == "42"
    assert told.failures() == []


@pytest.mark.frameworks
@pytest.mark.needs("torch")
def test_a_generator_of_torchs_has_a_fixed_seed_until_it_asks_for_another(place: Any) -> None:
    code = """
import torch
generator = torch.Generator()
print(torch.rand(2, generator=generator).tolist(), generator.initial_seed())
print(torch.Generator().seed())
"""
    given = {"PYTHONPATH": packages("torch"), "CUDA_VISIBLE_DEVICES": "", "REPROOF_ENTROPY": "control"}
    one, two = (place.run(code, **given, REPROOF_SEED=seed) for seed in ("7", "8"))
    assert one.status == 0, one.stderr
    mine, theirs = one.stdout.splitlines(), two.stdout.splitlines()
    assert mine[0] == theirs[0]  # fixed by the library: nothing to tell
    assert mine[1] != theirs[1]  # not seen, as the documentation says
    assert [draw for draw in draws(one.lines) if draw.control != "harmless"] == []


@pytest.mark.frameworks
@pytest.mark.needs("torch")
def test_torch_on_a_gpu(place: Any) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    code = "import torch\nx = torch.rand(3, device='cuda')\nprint(x.tolist())\ntorch.cuda.manual_seed_all(42)"
    given = {"PYTHONPATH": packages("torch"), "REPROOF_DETERMINISM": "default"}
    one, two = (place.run(code, **given, REPROOF_SEED="7") for _ in range(2))
    assert one.stdout == two.stdout != place.run(code, **given, REPROOF_SEED="8").stdout
    _, seeded = observations.randomness(one.lines)
    assert [(each.what, each.answer) for each in seeded] == [("torch.cuda.manual_seed_all", "42")]


@pytest.mark.frameworks
@pytest.mark.needs("tensorflow")
def test_tensorflow(place: Any) -> None:
    given = {"PYTHONPATH": packages("tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    told = place.run(TENSORFLOW, **given, REPROOF_SEED="7", REPROOF_DETERMINISM="default")
    assert told.status == 0, told.stderr
    assert told.stdout == "0.3274685\n" or told.stdout.startswith("0.32746")
    _, seeded = observations.randomness(told.lines)
    assert [(each.where, each.value, each.answer) for each in seeded] == [
        ("${PROJECT}/main.py:3", "42", "42")
    ]
    found = {each.what: each.answer for each in readings(told.lines)}
    assert found["tensorflow.config.experimental.enable_op_determinism"] == "True"
    assert told.failures() == []


@pytest.mark.parametrize("name", MOVED)
def test_functions_that_moved_are_omissions(some_place: Any, name: str) -> None:
    folder = some_place.project / name
    for each in [folder, *folder.parents]:
        if each == some_place.project:
            break
        each.mkdir(parents=True, exist_ok=True)
        (each / "__init__.py").touch()
    (folder / "__init__.py").write_text(MOVED[name])
    code = f"import {name.replace('/', '.')}\nprint('done')"
    told = some_place.run(code, REPROOF_SEED="7", REPROOF_DETERMINISM="strict")
    assert (told.status, told.stdout, told.stderr) == (0, "done\n", "")
    if name != "cupy/random":  # a variable suffices there
        assert name.partition("/")[0] in " ".join(subject for subject, _ in told.failures())
        assert {line.what for line in told.lines.of(Applied)}.isdisjoint({"torch", "tensorflow"})
    assert not list(told.lines.of(Switched))


@pytest.mark.needs("numpy")
def test_interpreters_below_have_streams_of_their_own(place: Any) -> None:
    given = {"PYTHONPATH": packages(), "REPROOF_DETERMINISM": "default"}
    command = (place.python, write(place, CHILDREN), packages())
    one = place.call(*command, **given, REPROOF_SEED="7")
    assert one.status == 0, one.stderr
    assert len(set(one.stdout.split())) == 5
    assert one.stdout == place.call(*command, **given, REPROOF_SEED="7").stdout
    assert set(one.stdout.split()).isdisjoint(place.call(*command, **given, REPROOF_SEED="8").stdout.split())
    assert len(list(one.lines.of(Booted))) == 5


@pytest.mark.needs("numpy")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_have_streams_of_their_own(place: Any, method: str) -> None:
    command = (place.python, write(place, WORKERS), method, packages())
    one = place.call(*command, REPROOF_SEED="7")
    assert one.status == 0, one.stderr
    assert len(set(one.stdout.split())) == 4
    assert one.stdout == place.call(*command, REPROOF_SEED="7").stdout
    assert set(one.stdout.split()).isdisjoint(place.call(*command, REPROOF_SEED="8").stdout.split())


@pytest.mark.needs("numpy")
def test_workers_of_a_program_that_seeds_do_as_without_us(place: Any) -> None:
    seeds = WORKERS.replace("    print(np.random.rand())", "    np.random.seed(3)")
    command = (place.python, write(place, seeds), "fork", packages())
    assert place.call(*command, REPROOF_SEED="7").stdout == place.call(*command, REPROOF_SEED=None).stdout


@pytest.mark.needs("joblib")
def test_loky_workers_have_streams_and_share_the_threads(place: Any) -> None:
    given = {"OMP_NUM_THREADS": "4", "REPROOF_SET": "OMP_NUM_THREADS", "PYTHONPATH": packages("joblib")}
    command = (place.python, write(place, LOKY), packages("joblib"))
    one = place.call(*command, **given, REPROOF_SEED="7")
    assert one.status == 0, one.stderr
    *values, threads = one.stdout.split()
    assert threads == "2"
    assert len(set(values)) == len(values)
    given["REPROOF_SET"] = ""  # the user's own number then
    assert place.call(*command, **given, REPROOF_SEED="7").stdout.split()[-1] == "4"


ONE_WORKER = """
import sys
sys.path.append(sys.argv[1])
from joblib.externals.loky import get_reusable_executor

def work(number):
    import random
    import numpy as np
    return random.random(), np.random.rand(), np.random.default_rng().random()

if __name__ == "__main__":
    print(*get_reusable_executor(max_workers=1).map(work, range(6)), sep="\\n")
"""

ANY_WORKER = """
import sys
sys.path.append(sys.argv[1])
from joblib import Parallel, delayed

def work(number):
    import numpy as np
    return number, np.random.RandomState(number).rand(), np.random.default_rng(number).random()

print(*Parallel(n_jobs=3)(delayed(work)(number) for number in range(30)), sep="\\n")
"""


@pytest.mark.needs("joblib")
def test_one_loky_worker_repeats(place: Any) -> None:
    command = (place.python, write(place, ONE_WORKER), packages("joblib"))
    given = {"PYTHONPATH": packages("joblib"), "REPROOF_ENTROPY": "control"}
    one, two, other = (place.call(*command, **given, REPROOF_SEED=seed) for seed in ("7", "7", "8"))
    assert one.status == 0, one.stderr
    assert one.stdout == two.stdout
    lines = one.stdout.splitlines()
    assert len(set(lines)) == 6
    assert set(lines).isdisjoint(other.stdout.splitlines())
    assert any("LokyProcess" in " ".join(boot.argv) for boot in one.boots)


@pytest.mark.needs("joblib")
def test_loky_tasks_that_seed_themselves_repeat_whoever_takes_them(place: Any) -> None:
    command = (place.python, write(place, ANY_WORKER), packages("joblib"))
    given = {"PYTHONPATH": packages("joblib"), "REPROOF_ENTROPY": "control"}
    one, two = (place.call(*command, **given, REPROOF_SEED=seed) for seed in ("7", "8"))
    assert one.status == 0, one.stderr
    assert one.stdout == two.stdout
    assert len(one.stdout.splitlines()) == 30
    assert {draw.control for draw in draws(one.lines)} <= {"harmless"}


@pytest.mark.parametrize("rank", ["0", "1"])
def test_ranks_have_roles_by_their_number(some_place: Any, rank: str) -> None:
    code = "import random, os; print(random.random(), os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])"
    given = {"RANK": rank, "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "8"}
    one = some_place.run(
        code, **given, REPROOF_SEED="7", REPROOF_ROLE="/python.1", REPROOF_SET="OMP_NUM_THREADS"
    )
    two = some_place.run(
        code, **given, REPROOF_SEED="7", REPROOF_ROLE="/python.2", REPROOF_SET="OMP_NUM_THREADS"
    )
    other = some_place.run(code, **{**given, "RANK": "2"}, REPROOF_SEED="7", REPROOF_ROLE="/python.1")
    assert one.stdout == two.stdout  # whichever was started first
    assert one.stdout.split()[1:] == ["1", "8"]
    assert other.stdout.split()[0] != one.stdout.split()[0]
    assert other.stdout.split()[1:] == ["8", "8"]
