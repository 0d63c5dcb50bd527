"""What BLAS and OpenMP libraries say of themselves: kind, version, threading layer, kernels, threads.

Their last bits depend on all of it. Only libraries that the program has loaded are asked, through
functions that they export for this; nothing is imported for it but `ctypes`. Functions and their
meaning: the headers of OpenBLAS (cblas.h), oneMKL, BLIS (bli_info.h) and OpenMP; names with prefix and
suffix: https://github.com/MacPython/openblas-libs.
"""

import os

_PREFIXES = ("scipy_", "")
_SUFFIXES = ("64_", "_64", "")
_PARALLEL = {0: "none", 1: "pthreads", 2: "OpenMP"}
_LAYERS = {0: "Intel OpenMP", 1: "none", 2: "PGI", 3: "GNU OpenMP", 4: "TBB"}


def ask(path):
    """What a loaded library says of itself, as the fields of a line; None if it is no such library."""
    name = path.rpartition("/")[2]
    for part, function in _KINDS:
        if part in name:
            import ctypes

            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            found = function(ctypes, library)
            return found and {"path": path, **{key: value for key, value in found.items() if value}}
    return None


def of_torch(path, torch):
    """The same of PyTorch, which has its BLAS linked into its own file `path`; None if it tells none."""
    show = getattr(torch._C, "_show_config", None)
    said = show() if show is not None else ""
    blas = said.partition("BLAS_INFO=")[2].partition(",")[0].strip()
    version = (
        said.partition("Math Kernel Library Version ")[2].partition("-Product")[0] if blas == "mkl" else ""
    )
    found = {
        "path": path,
        "kind": {"mkl": "MKL", "open": "OpenBLAS", "flexi": "FlexiBLAS"}.get(blas, blas),
        "version": version if len(version) < 20 else "",
        "layer": "OpenMP" if "- OpenMP " in said else "",
        "architecture": said.partition("CPU capability usage: ")[2].partition("\n")[0].strip(),
        "threads": torch.get_num_threads(),
    }
    return {key: value for key, value in found.items() if value} if blas else None


def _openblas(ctypes, library):
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            pattern = prefix + "openblas_%s" + suffix
            threads = _number(ctypes, library, pattern % "get_num_threads")
            if threads is not None:
                words = _text(ctypes, library, pattern % "get_config").split()
                known = len(words) > 1 and words[0] == "OpenBLAS"
                return {
                    "kind": "OpenBLAS",
                    "version": words[1] if known else "",
                    "layer": _PARALLEL.get(_number(ctypes, library, pattern % "get_parallel"), ""),
                    "architecture": _text(ctypes, library, pattern % "get_corename"),
                    "threads": threads,
                }
    return None


def _mkl(ctypes, library):
    threads = _number(ctypes, library, "MKL_Get_Max_Threads")
    if threads is None:
        return None
    version = ""
    function = getattr(library, "MKL_Get_Version_String", None)
    if function is not None:
        buffer = ctypes.create_string_buffer(200)
        function.restype = None
        function(buffer, 200)
        words = buffer.value.decode("ascii", "replace").split("Version", 1)
        version = words[-1].partition(" Product")[0].partition(" for ")[0].strip()
    layer = getattr(library, "MKL_Set_Threading_Layer", None)
    # -1 is no layer: nothing is set then, and the one that is in use comes back.
    answer = None if layer is None else layer(-1)
    return {"kind": "MKL", "version": version, "layer": _LAYERS.get(answer, ""), "threads": threads}


def _blis(ctypes, library):
    threads = _number(ctypes, library, "bli_thread_get_num_threads")
    if threads is None:
        return None
    layer = "none"
    for option, name in (("openmp", "OpenMP"), ("pthreads", "pthreads")):
        if _number(ctypes, library, "bli_info_get_enable_" + option):
            layer = name
            break
    architecture = ""
    query, text = (getattr(library, name, None) for name in ("bli_arch_query_id", "bli_arch_string"))
    if query is not None and text is not None:
        query.restype, text.restype, text.argtypes = ctypes.c_int, ctypes.c_char_p, (ctypes.c_int,)
        architecture = (text(query()) or b"").decode("ascii", "replace")
    version = _text(ctypes, library, "bli_info_get_version_str")
    return {
        "kind": "BLIS",
        "version": version,
        "layer": layer,
        "architecture": architecture,
        "threads": max(threads, 1),
    }


def _openmp(name):
    def asked(ctypes, library):
        threads = _number(ctypes, library, "omp_get_max_threads")
        return None if threads is None else {"kind": name, "threads": threads}

    return asked


#: Part of the file's name, and what asks such a library; the first that fits counts.
_KINDS = (
    ("openblas", _openblas),
    ("libmkl_rt", _mkl),
    ("mkl_rt", _mkl),
    ("libblis", _blis),
    ("libgomp", _openmp("GNU OpenMP")),
    ("libiomp", _openmp("Intel OpenMP")),
    ("libomp", _openmp("LLVM OpenMP")),
)


def _number(ctypes, library, name):
    function = getattr(library, name, None)
    if function is None:
        return None
    function.restype = ctypes.c_int
    return function()


def _text(ctypes, library, name):
    function = getattr(library, name, None)
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return (function() or b"").decode("ascii", "replace").strip()
