"""What libraries say of themselves at the end of a process: whether the switches held, and what they run on.

Only libraries that the program has loaded are asked, and nothing is imported for it but `ctypes`.
"""

import sys
from contextlib import suppress

import _reproof_lines as lines
import _reproof_pools
import _reproof_watch as watch

_USED = ("numpy", "torch", "sklearn", "scipy", "xgboost", "lightgbm")  # whose libraries have pools of threads


def tell(native):
    """Write a line for each answer; `native` lists the shared libraries of this process, or is None."""
    for name, ask in (("torch", _torch), ("tensorflow", _tensorflow), ("jax", _jax), ("numpy", _numpy)):
        module = sys.modules.get(name)
        if module is not None:
            _ask(name, ask, module)
    if native and any(name in sys.modules for name in _USED):
        _ask("thread pools", _pools, native)


def _ask(subject, ask, what):
    watch.quiet.add(watch.get_ident())
    try:
        found = ask(what)
        text = "".join(
            [lines.line("answer", {"what": each, "value": str(value)}) for each, value in found.items()]
        )
        if text:
            lines.append(text)
    except Exception as error:
        lines.failed("what %s says of itself" % subject, repr(error))
    finally:
        watch.quiet.discard(watch.get_ident())


def _torch(module):
    inner, found = module._C, {"torch.initial_seed": module.initial_seed()}
    modes = {0: "off", 1: "warn", 2: "error"}
    asked = {
        "torch.use_deterministic_algorithms": ("_get_deterministic_debug_mode", inner),
        "torch.utils.deterministic.fill_uninitialized_memory": (
            "_get_deterministic_fill_uninitialized_memory",
            inner,
        ),
        "torch.backends.cudnn.deterministic": ("_get_cudnn_deterministic", inner),
        "torch.backends.cudnn.benchmark": ("_get_cudnn_benchmark", inner),
        "torch.backends.cudnn.allow_tf32": ("_get_cudnn_allow_tf32", inner),
        "torch.backends.cuda.matmul.allow_tf32": ("_get_cublas_allow_tf32", inner),
        "torch.float32_matmul_precision": ("get_float32_matmul_precision", module),
        "torch.get_num_threads": ("get_num_threads", module),
        "torch.get_num_interop_threads": ("get_num_interop_threads", module),
    }
    for shown, (name, owner) in asked.items():
        function = getattr(owner, name, None)
        if function is not None:
            with suppress(RuntimeError):  # torch refuses mixed settings of TF32 to the older of two functions
                found[shown] = function()
    if hasattr(module, "get_deterministic_debug_mode"):
        mode = module.get_deterministic_debug_mode()
        found["torch.use_deterministic_algorithms"] = modes.get(mode, mode)
    found["torch attention backends"] = _attention(inner)
    capability = getattr(getattr(module.backends, "cpu", None), "get_cpu_capability", None)
    if capability is not None:
        found["torch CPU capability"] = capability()
    cuda = getattr(module, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        found["torch.cuda.initial_seed"] = cuda.initial_seed()
    return found


def _attention(inner):
    names = {
        "flash": "_get_flash_sdp_enabled",
        "memory-efficient": "_get_mem_efficient_sdp_enabled",
        "math": "_get_math_sdp_enabled",
        "cudnn": "_get_cudnn_sdp_enabled",
    }
    return " ".join([name for name, function in names.items() if getattr(inner, function, bool)()])


def _tensorflow(_module):
    config = sys.modules.get("tensorflow.python.framework.config")
    context = sys.modules.get("tensorflow.python.eager.context")
    found = {}
    if hasattr(config, "is_op_determinism_enabled"):
        found["tensorflow.config.experimental.enable_op_determinism"] = config.is_op_determinism_enabled()
    if hasattr(context, "global_seed"):
        found["tensorflow global seed"] = context.global_seed()
    return found


def _jax(module):
    config = getattr(module, "config", None)
    found = {}
    for name in ("jax_threefry_partitionable", "jax_default_prng_impl", "jax_enable_x64"):
        value = getattr(config, name, None)
        if value is not None:
            found["jax.config." + name] = value
    return found


def _numpy(_module):
    inner = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get(
        "numpy.core._multiarray_umath"
    )
    features = getattr(inner, "__cpu_features__", None)
    if not features:
        return {}
    offered = getattr(inner, "__cpu_dispatch__", ())
    return {"numpy CPU features": " ".join([name for name in offered if features.get(name)]) or "baseline"}


def _pools(native):
    found, text = {}, ""
    for path in native:
        torch = sys.modules.get("torch") if path.endswith("/libtorch_cpu.so") else None
        answer = _reproof_pools.ask(path) if torch is None else _reproof_pools.of_torch(path, torch)
        if answer:
            text += lines.line("pool", answer)
            core = answer.get("architecture")
            shown = "%d%s" % (answer["threads"], ", " + core if core else "")
            found["threads of " + path.rpartition("/")[2]] = shown
    if text:
        lines.append(text)
    return found
