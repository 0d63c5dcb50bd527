"""One thing after the other: threads and pools do their work in the order in which it was given to them.

For the re-runs by which `explain` asks whether a result depends on who finishes first. A thread is waited for as
soon as it was started; pools have one worker; futures come in the order of their tasks. Who waits for what another
thread does later is let go after a while: then this proves nothing, and the runs go on to differ.
"""

from time import monotonic

import _reproof_imports as imports
import _reproof_lines as lines

_PATIENCE = 10.0  # seconds for one thread or process
_ALTOGETHER = 30.0

_waited = [0.0]

#: Whose threads and processes wait for tasks, instead of having one.
_POOLS = ("concurrent.", "multiprocessing.", "loky.", "joblib.", "torch.", "asyncio.")


def begin():
    """Put everything that runs at the same time in its order, as it is imported."""
    for name, prepare in (
        ("threading", _threading),
        ("multiprocessing.process", _processes),
        ("multiprocessing.pool", _pools),
        ("concurrent.futures._base", _futures),
        ("concurrent.futures.thread", _thread_pools),
        ("concurrent.futures.process", _process_pools),
        ("joblib.parallel", _joblib),
    ):
        imports.after(name, prepare)


def _threading(module):
    _start_and_wait(module.Thread)


def _processes(module):
    _start_and_wait(module.BaseProcess)


def _start_and_wait(kind):
    original = kind.start

    def start(self):
        original(self)
        target = getattr(self, "_target", None)
        owner = str(getattr(target, "__module__", "") or type(self).__module__)
        if self.daemon or owner.startswith(_POOLS) or _waited[0] >= _ALTOGETHER:
            return
        begun = monotonic()
        self.join(_PATIENCE)
        _waited[0] += monotonic() - begun

    kind.start = start


def _pools(module):
    _one_worker(module.Pool, "processes", 0)


def _process_pools(module):
    _one_worker(module.ProcessPoolExecutor, "max_workers", 0)


def _joblib(module):
    _one_worker(module.Parallel, "n_jobs", 0)


def _one_worker(kind, name, place):
    original = kind.__init__

    def begin_with_one(self, *args, **kwargs):
        if len(args) > place:
            args = (*args[:place], 1, *args[place + 1 :])
        else:
            kwargs[name] = 1
        original(self, *args, **kwargs)

    kind.__init__ = begin_with_one


def _thread_pools(module):
    base = __import__("concurrent.futures._base", fromlist=["Future"])

    def submit(self, fn, /, *args, **kwargs):
        if getattr(self, "_shutdown", False):
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = base.Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future

    module.ThreadPoolExecutor.submit = submit


def _futures(module):
    def as_completed(fs, timeout=None):
        given = list(fs)
        if isinstance(fs, (set, frozenset)):
            lines.failed("futures", "given as a set, which has no order")
        for future in given:
            try:
                future.exception(timeout)
            except module.CancelledError:
                pass
            yield future

    module.as_completed = as_completed
