"""Determinism switches that can be set only when a library has been imported, and who sets them himself.

REPROOF_DETERMINISM names the profile, REPROOF_SET the variables that it has set (and the user had not).
What the user's code sets later wins; it is noted with its place. docs/randomness.md lists all switches.
"""

import os
import sys

import _reproof_entropy as entropy
import _reproof_imports as imports
import _reproof_lines as lines
import _reproof_random as randomness
import _reproof_seeds as seeds

_PROFILES = ("default", "strict", "portable")
_SITES = 1000
_told = set()


def profile():
    """The name of the profile; empty where nothing is to be switched."""
    name = os.environ.get("REPROOF_DETERMINISM", "")
    return name if name in _PROFILES else ""


def torch(module):
    """The package `torch`."""
    if profile():
        inner = module._C
        strict = profile() == "strict"
        _switch_torch(module, inner, warn_only=not strict)
        _set(
            inner,
            "_set_deterministic_fill_uninitialized_memory",
            strict,
            "torch.utils.deterministic.fill_uninitialized_memory",
        )
        _set(inner, "_set_cudnn_deterministic", True, "torch.backends.cudnn.deterministic")
        _set(inner, "_set_cudnn_benchmark", False, "torch.backends.cudnn.benchmark")
    for name in ("use_deterministic_algorithms", "set_num_threads", "set_float32_matmul_precision"):
        _watch_call(module, name, "torch." + name)
    _watch_properties(sys.modules.get("torch.backends.cudnn"), "torch.backends.cudnn")


def _switch_torch(module, inner, warn_only):
    # Past the public function, which imports the compiler with its 900 modules (1.5 s) for one flag of it.
    if hasattr(inner, "_set_deterministic_algorithms"):
        inner._set_deterministic_algorithms(True, warn_only=warn_only)
        imports.after("torch._inductor.config", _inductor)
    else:
        module.use_deterministic_algorithms(True, warn_only=warn_only)
    _tell("torch.use_deterministic_algorithms", "warn" if warn_only else "error")


def _inductor(module):
    deterministic = getattr(sys.modules["torch"], "are_deterministic_algorithms_enabled", None)
    if hasattr(module, "deterministic") and deterministic is not None and deterministic():
        module.deterministic = True
        _tell("torch._inductor.config.deterministic", True)


def tensorflow(module):
    """The package `tensorflow`; only with a seed, for without one its own random operations would raise."""
    place = getattr(getattr(module, "config", None), "experimental", None)
    if not hasattr(place, "enable_op_determinism"):
        lines.failed(
            "tensorflow", "operations are not made deterministic: this version has the switch elsewhere"
        )
        return
    if profile() and seeds.of_process() is not None:
        place.enable_op_determinism()
        _tell("tensorflow.config.experimental.enable_op_determinism", True)
        if profile() != "strict":
            _let_generators_be(module)
    _watch_call(place, "enable_op_determinism", "tensorflow.config.experimental.enable_op_determinism")


def _let_generators_be(module):
    """Generators that take the system's entropy are refused while the switch is on; here they are allowed.

    They worked without us, so they work with us: what they draw is an entropy of its own, told as such.
    """
    kind = getattr(module.random, "Generator", None)
    original = getattr(kind, "from_non_deterministic_state", None)
    config = sys.modules.get("tensorflow.python.framework.config")
    if original is None or not hasattr(config, "disable_op_determinism"):
        return

    def from_non_deterministic_state(*args, **kwargs):
        entropy.note("tensorflow.random.Generator without a seed", entropy.Seen(sys._getframe(1)))
        was = config.is_op_determinism_enabled()
        if was:
            config.disable_op_determinism()
        try:
            return original(*args, **kwargs)
        finally:
            if was:
                config.enable_op_determinism()

    kind.from_non_deterministic_state = staticmethod(
        randomness.disguised(from_non_deterministic_state, original)
    )
    _let_global_generator_be(module, kind)


def _let_global_generator_be(module, kind):
    inner = sys.modules.get("tensorflow.python.ops.stateful_random_ops")
    original = getattr(inner, "get_global_generator", None)
    if original is None:
        return

    def get_global_generator():
        if inner.global_generator is None:
            inner.set_global_generator(kind.from_non_deterministic_state())
        return original()

    inner.get_global_generator = module.random.get_global_generator = randomness.disguised(
        get_global_generator, original
    )


def joblib(module):
    """``joblib._parallel_backends``: workers share the processors, as they do without us.

    It divides them among its workers where no variable says how many threads there are to be; those that
    reproof has set do not speak for the user.
    """
    kind = getattr(module, "ParallelBackendBase", None)
    original = getattr(kind, "_prepare_worker_env", None)
    ours = frozenset(os.environ.get("REPROOF_SET", "").split())
    if original is None or not ours:
        return

    def _prepare_worker_env(self, n_jobs):
        given = original(self, n_jobs)
        try:
            if getattr(self, "inner_max_num_threads", None) is None:
                for name in ours.intersection(given):
                    given[name] = str(max(1, int(os.environ[name]) // max(1, n_jobs)))
        except Exception as error:
            lines.failed("joblib", repr(error))
        return given

    kind._prepare_worker_env = randomness.disguised(_prepare_worker_env, original)


def _set(owner, name, value, shown):
    function = getattr(owner, name, None)
    if function is not None:  # else a build, or a version, without it
        function(value)
        _tell(shown, value)


def _tell(what, value):
    lines.write("switch", what=what, value=str(value))


def _watch_call(owner, name, shown):
    original = getattr(owner, name, None)
    if original is None:
        return

    def switch(*args, **kwargs):
        try:
            given = [*(str(each) for each in args), *("%s=%s" % pair for pair in kwargs.items())]
            _note(shown, ", ".join(given) or "True")
        except Exception as error:
            lines.failed(shown, repr(error))
        return original(*args, **kwargs)

    setattr(owner, name, randomness.disguised(switch, original))


def _watch_properties(module, shown):
    """Assignments to a module's attributes, where the library made them properties of its own kind."""
    for name in ("deterministic", "benchmark", "allow_tf32"):
        each = vars(type(module)).get(name)
        if hasattr(each, "setter") and not isinstance(each, property):
            each.setter = _noting(each.setter, "%s.%s" % (shown, name))


def _noting(setter, shown):
    def noted(value):
        try:
            _tell_place(shown, str(value), lines.caller(), None)
        except Exception as error:
            lines.failed(shown, repr(error))
        return setter(value)

    return noted


def _note(shown, value):
    where, inside, _importing = lines.places()
    _tell_place(shown, value, where, inside or None)


def _tell_place(shown, value, where, inside):
    key = (shown, value, where)
    if where and key not in _told and len(_told) < _SITES:
        _told.add(key)
        lines.write("switch", what=shown, value=value[:100], where=where, inside=inside)
