"""Re-runs on the workers of a Dask cluster: who may take part, what travels with a task, and how results come back.

Dask's scheduler gives a task to another worker when one dies. What a task refers to by digest travels once to
each worker that needs it; what comes back carries its own digest, and is not believed without.
"""

from __future__ import annotations

import pickle
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from reproof.base.digesting import digest_bytes
from reproof.errors import ExecutionError, StoreError, UsageError
from reproof.model.digest import Digest
from reproof.model.event import Emit, Event
from reproof.workflow.leftovers import at_work, luggage_store
from reproof.workflow.needs import Needs

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Seconds that a cluster without a fitting worker is waited for.
PATIENCE = 60.0
_CONNECT = 30.0  # seconds
#: Asked of a worker in words that need no reproof there: it may have none.
_FACTS = (
    "(__import__('platform').python_version(),"
    " [each.version for each in __import__('importlib.metadata').metadata.distributions(name='reproof')][:1])"
)


class Sealed(msgspec.Struct, frozen=True):
    """What came of a task, with the digest that it had where it was made."""

    content: bytes
    digest: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker must know of whoever asks.

    Attributes:
        tool: Version of reproof.
        cpus: CPUs that the task occupies.
    """

    tool: str
    cpus: int


def seal(result: object) -> Sealed:
    """Pack a result for the way back."""
    content = pickle.dumps(result)
    return Sealed(content, digest_bytes(content)["blake3"])


def unseal(sealed: Sealed) -> Any:
    """The result.

    Raises:
        ExecutionError: It is not what the worker sent.
    """
    found = digest_bytes(sealed.content)["blake3"]
    if found != sealed.digest:
        raise ExecutionError(
            "a result arrived damaged from the cluster, and is not used",
            details=[("sent", f"blake3:{sealed.digest[:8]}"), ("received", f"blake3:{found[:8]}")],
            hint="call again: what is finished is not run again",
        )
    return pickle.loads(sealed.content)  # noqa: S301  # of a worker that runs what we send it, anyway


def unpack(luggage: Mapping[str, bytes]) -> None:
    """In a worker: keep what travelled with a task, each by its BLAKE3.

    Raises:
        StoreError: Something is not what its digest says, or cannot be written.
    """
    store = luggage_store()
    for value, content in luggage.items():
        if store.put_bytes(content) != Digest("blake3", value):
            raise StoreError(f"the content of `blake3:{value[:8]}` arrived damaged")


class _Slots:
    """The CPUs of one worker: its tasks together occupy no more than it has threads."""

    def __init__(self) -> None:
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def held(self, wanted: int, total: int) -> Iterator[None]:
        """Wait for CPUs, and give them back; one that wants more than there are gets all."""
        wanted = min(wanted, total)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + wanted <= total)
            self._taken += wanted
        try:
            yield
        finally:
            with self._changed:
                self._taken -= wanted
                self._changed.notify_all()


_slots = _Slots()


def attend(errand: bytes, terms: Terms, names: list[str], *parts: bytes) -> Sealed:
    """In a worker: do one task.

    Args:
        errand: Pickled, so that the scheduler need not know it: what does the task, and the task. Its own errors
            reach whoever asked.
        terms: What it needs here.
        names: BLAKE3 of the content in `parts`, which travels with it.
        parts: The content.

    Raises:
        ExecutionError: This worker has another version of reproof.
    """
    from distributed import get_worker

    worker = get_worker()
    if terms.tool != version("reproof"):
        raise _other_version({worker.address: version("reproof")}, terms.tool)
    with _slots.held(terms.cpus, worker.state.nthreads), at_work():
        unpack(dict(zip(names, parts, strict=True)))
        work, task = pickle.loads(errand)  # noqa: S301  # of whoever may run anything here
        return seal(work(task))


class Crew:
    """The workers of a cluster, as one that takes tasks."""

    def __init__(self, client: Client, address: str, needs: Needs, emit: Emit) -> None:
        self._client = client
        self._address = address
        self._needs = needs
        self._emit = emit
        self._terms = Terms(tool=version("reproof"), cpus=needs.cpus)
        self._resources = dict(needs.others)
        self._names: list[str] = []
        self._parts: list[Any] = []
        self._idle_since: float | None = None

    def prepare(self, luggage: Mapping[str, bytes]) -> None:
        """See who is there, and hand out what travels with every task.

        Raises:
            ExecutionError: There is no worker, none that offers what is needed, or one that cannot take part.
        """
        self._await_worker()
        facts = self._client.run(eval, _FACTS, on_error="return")
        facts["the scheduler"] = self._client.run_on_scheduler(eval, _FACTS)  # it reads what a task calls
        require_same_version(facts, self._terms.tool, self._emit)
        offers = self._offers()
        require_offered(offers, self._needs)
        if any("CPU" in offer for offer in offers.values()):
            most = max(int(offer.get("CPU", 0)) for offer in offers.values())
            self._resources["CPU"] = min(self._needs.cpus, most)
        self._names = list(luggage)
        if luggage:
            self._parts = self._client.scatter(list(luggage.values()), broadcast=True, hash=False)

    def submit(self, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        """Give out one task."""
        came: Future[Result] = Future()
        came.set_running_or_notify_cancel()
        sent = self._client.submit(
            attend,
            *(pickle.dumps((work, task)), self._terms, self._names),
            *self._parts,
            key=f"reproof-{time.time_ns():x}-{id(came):x}",
            pure=False,
            retries=0,
            resources=self._resources or None,
        )
        came.sent = sent  # type: ignore[attr-defined]  # Dask forgets a task that nobody refers to
        sent.add_done_callback(lambda done: _pass_on(done, came))
        return came

    def look(self) -> None:
        """Make sure that what is under way can still come to an end.

        Raises:
            ExecutionError: The scheduler is gone, or there has been no fitting worker for a while.
        """
        try:
            offers = self._offers()
        except (OSError, ValueError, RuntimeError) as error:
            raise ExecutionError(
                f"the Dask scheduler at `{self._address}` is gone",
                details=[("reason", str(error))],
                hint="start it, and call again: what is finished is not run again",
            ) from error
        if any(_offers_all(offer, self._needs) for offer in offers.values()):
            self._idle_since = None
            return
        if self._idle_since is None:
            self._idle_since = time.monotonic()
            message = f"no fitting worker is left: waiting {PATIENCE:.0f} s for another"
            self._emit(Event(kind="warning", subject="re-runs", message=message))
        elif time.monotonic() - self._idle_since > PATIENCE:
            raise _no_worker(self._address)

    def end(self) -> None:
        """Let go of everything that is under way."""
        self._client.close(timeout=5)

    def _offers(self) -> dict[str, dict[str, float]]:
        return {
            address: dict(each.get("resources", {})) for address, each in _workers_of(self._client).items()
        }

    def _await_worker(self) -> None:
        if _workers_of(self._client):
            return
        self._emit(
            Event(kind="note", subject="re-runs", message="the cluster has no worker yet: waiting for one")
        )
        bait = self._client.submit(platform.node, pure=False)  # a cluster that adapts starts one for a task
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except (TimeoutError, OSError) as error:
            raise _no_worker(self._address) from error
        finally:
            bait.cancel()


def _workers_of(client: Client) -> dict[str, Any]:
    """What the scheduler says of each worker; since 2025 it shows five unless it is asked for all."""
    try:
        found = client.scheduler_info(n_workers=-1)
    except TypeError:
        found = client.scheduler_info()
    return dict(found["workers"])


def _pass_on(done: Any, came: Future[Any]) -> None:
    """Tell what came of a task of Dask to whoever waits for it."""
    try:
        if done.status == "finished":
            came.set_result(unseal(done.result()))
            return
        error = done.exception() if done.status == "error" else None
    except BaseException as failure:  # whoever waits must hear of it, whatever it is
        error = failure
    came.set_exception(_translated(error))


def _translated(error: BaseException | None) -> BaseException:
    """An error of Dask's own as one that :mod:`reproof.workflow.many` knows; of the task's as it is."""
    if error is None:
        return BrokenExecutor("the cluster let go of a task")
    name, module = type(error).__name__, type(error).__module__
    if name == "KilledWorker":
        return ExecutionError(
            "the workers of the cluster that carried it out died, one after the other",
            details=[("reason", str(error).split(" was ")[0][:200])],
            hint="they may have run out of memory: see the log of the workers",
        )
    if module.startswith(("distributed", "asyncio", "concurrent.futures")):
        return BrokenExecutor(f"{name}: {error}")
    return error


@contextmanager
def crew(address: str, needs: Needs, luggage: Mapping[str, bytes], emit: Emit) -> Iterator[Crew]:
    """Connect to a scheduler, and make its workers ready.

    Args:
        address: Of the scheduler, ``tcp://HOST:PORT``.
        needs: What each task occupies.
        luggage: Content that tasks refer to, by its BLAKE3.
        emit: Told about the cluster.

    Raises:
        UsageError: Dask is not installed.
        ExecutionError: The scheduler cannot be reached, or its workers cannot take part.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "re-runs on a cluster need Dask, which is not installed",
            hint="run `pip install 'reproof[dask]'`",
        ) from error
    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ExecutionError(
            f"cannot reach the Dask scheduler at `{address}`", details=[("reason", str(error))]
        ) from error
    found = Crew(client, address, needs, emit)
    try:
        found.prepare(luggage)
        yield found
    finally:
        found.end()


def require_same_version(facts: Mapping[str, Any], tool: str, emit: Emit) -> None:
    """Refuse workers that have another reproof, or none; name those with another Python.

    Args:
        facts: By worker its version of Python, and a list of its version of reproof, empty for none; or what
            was raised instead.
        tool: Our version.
        emit: Told of other Pythons: the environment of a re-run does not depend on them.

    Raises:
        ExecutionError: Some cannot take part.
    """
    others: dict[str, str] = {}
    pythons: dict[str, list[str]] = {}
    for worker, said in facts.items():
        if isinstance(said, BaseException):
            others[worker] = f"does not say: {said!r}"[:120]
            continue
        python, tools = said
        if list(tools) != [tool]:
            others[worker] = tools[0] if tools else "none"
        if python.rpartition(".")[0] != platform.python_version().rpartition(".")[0]:
            pythons.setdefault(python, []).append(worker)
    if others:
        raise _other_version(others, tool)
    for python, workers in pythons.items():
        message = f"{len(workers)} of {len(facts)} processes of the cluster run Python {python}, here it is {platform.python_version()}"
        emit(Event(kind="warning", subject="re-runs", message=message))


def require_offered(offers: Mapping[str, Mapping[str, float]], needs: Needs) -> None:
    """Refuse to wait for what no worker has.

    Raises:
        ExecutionError: No worker offers all that one task needs.
    """
    if not needs.others or any(_offers_all(offer, needs) for offer in offers.values()):
        return
    wanted = ",".join(f"{name}={amount:g}" for name, amount in needs.others.items())
    shown = [
        (worker, ", ".join(f"{name}={amount:g}" for name, amount in offer.items()) or "offers nothing")
        for worker, offer in list(offers.items())[:5]
    ]
    words = " ".join(wanted.split(","))
    raise ExecutionError(
        f"no worker of the cluster offers `{wanted}`",
        details=shown,
        hint=f'start workers that do: `dask worker tcp://ADDRESS --resources "{words}"`',
    )


def _offers_all(offer: Mapping[str, float], needs: Needs) -> bool:
    return all(offer.get(name, 0) >= amount for name, amount in needs.others.items())


def _other_version(others: Mapping[str, str], tool: str) -> ExecutionError:
    return ExecutionError(
        "the cluster has another version of reproof, or none",
        details=[("here", tool), *list(others.items())[:5]],
        hint=f"run `pip install reproof=={tool}` where they run",
    )


def _no_worker(address: str) -> ExecutionError:
    return ExecutionError(
        f"the cluster at `{address}` has no worker that can take a re-run",
        hint=f"start one: `dask worker {address}`",
    )
