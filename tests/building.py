"""Small projects to build: one for each backend, and an in-tree backend with one fault at a time."""

from __future__ import annotations

import subprocess
from pathlib import Path

METADATA = """
[project]
name = "small-thing"
version = "1.2.0"
description = "A small thing, größer than it seems"
readme = "README.md"
requires-python = ">=3.9"
dependencies = ["click>=8"]
[project.optional-dependencies]
more = ["rich"]
[project.scripts]
thing = "small_thing:main"
"""
POETRY = """
[tool.poetry]
name = "small-thing"
version = "1.2.0"
description = "A small thing"
authors = ["A. Nonymous <a@example.org>"]
readme = "README.md"
packages = [{ include = "small_thing", from = "src" }]
[tool.poetry.dependencies]
python = ">=3.9"
"""

#: Backend to (requires, build-backend, further lines of pyproject.toml).
BACKENDS = {
    "uv_build": ("uv_build", "uv_build", METADATA),
    "hatchling": (
        "hatchling",
        "hatchling.build",
        METADATA + '[tool.hatch.build.targets.wheel]\npackages = ["src/small_thing"]\n',
    ),
    "setuptools": (
        "setuptools",
        "setuptools.build_meta",
        METADATA + '[tool.setuptools.packages.find]\nwhere = ["src"]\n',
    ),
    "flit_core": ("flit_core", "flit_core.buildapi", METADATA),
    "poetry-core": ("poetry-core", "poetry.core.masonry.api", POETRY),
    "pdm-backend": ("pdm-backend", "pdm.backend", METADATA),
}
#: The C extension of the project for setuptools: it holds its own path wherever the compiler leaves one.
EXTENSION = """
#include <Python.h>
static PyObject *where(PyObject *self, PyObject *none) { return PyUnicode_FromString(__FILE__); }
static PyMethodDef methods[] = {{"where", where, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", "", -1, methods};
PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
"""
SETUP = """
from setuptools import Extension, setup

setup(ext_modules=[Extension("small_thing._fast", ["src/small_thing/_fast.c"])])
"""

#: A backend in the source itself, which packs `pkg/` by the standard library, and what FAULT adds.
IN_TREE = """
import os, sys, tarfile, time, zipfile
from pathlib import Path

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
STAMP = time.gmtime(EPOCH)[:6]


def files():
    return {str(path): path.read_bytes() for path in sorted(Path("pkg").rglob("*.py"))}


def extra(found):
    return found


def mode():
    return 0o644


def build_wheel(folder, config_settings=None, metadata_directory=None):
    found = extra(files())
    found["pkg-1.0.dist-info/METADATA"] = b"Metadata-Version: 2.1\\nName: pkg\\nVersion: 1.0\\n"
    found["pkg-1.0.dist-info/WHEEL"] = b"Wheel-Version: 1.0\\nGenerator: own 1\\nTag: py3-none-any\\n"
    name = "pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as archive:
        for each, data in found.items():
            info = zipfile.ZipInfo(each, STAMP)
            info.external_attr = (0o100000 | mode()) << 16
            archive.writestr(info, data)
    return name


def build_sdist(folder, config_settings=None):
    name = "pkg-1.0.tar.gz"
    import gzip
    with open(Path(folder, name), "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path in ["pyproject.toml", "backend.py", *sorted(map(str, Path("pkg").rglob("*")))]:
                if Path(path).is_file():
                    info = archive.gettarinfo(path, "pkg-1.0/" + path)
                    info.mtime, info.uid, info.gid, info.uname, info.gname = EPOCH, 0, 0, "", ""
                    info.mode = 0o644
                    archive.addfile(info, open(path, "rb"))
    return name

"""
IN_TREE_PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "pkg"
version = "1.0"
"""


def write_project(folder: Path, backend: str, *, extension: bool | None = None) -> Path:
    """A committed project for a backend; the one for setuptools has a C extension."""
    requires, name, more = BACKENDS[backend]
    files = {
        "pyproject.toml": f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{name}"\n{more}',
        "README.md": "# Ein größeres Ding\n",
        "src/small_thing/__init__.py": '"""A small thing."""\n\ndef main():\n    print("small")\n',
        "src/small_thing/inner/__init__.py": "",
        "src/small_thing/inner/data.txt": "1 2 3\n",
        ".gitignore": "dist/\nbuild/\n*.egg-info/\n",
    }
    if extension if extension is not None else backend == "setuptools":
        files |= {"setup.py": SETUP, "src/small_thing/_fast.c": EXTENSION}
    return commit(folder, files)


def write_in_tree(folder: Path, fault: str = "", more: dict[str, str] | None = None) -> Path:
    """A committed project with a backend of its own; `fault` is code added to the backend."""
    files = {
        "pyproject.toml": IN_TREE_PROJECT,
        "backend.py": IN_TREE + fault,
        "pkg/__init__.py": "VALUE = 1\n",
        ".gitignore": "dist/\nbuild/\n",
        **(more or {}),
    }
    return commit(folder, files)


def commit(folder: Path, files: dict[str, str]) -> Path:
    """Write files and commit them, at a time that is given."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = "git init -q 2>/dev/null; git add -A && git commit -qm change --date=@1767225600"
    env_prefix = "GIT_COMMITTER_DATE=@1767225600 "
    subprocess.run(
        ["bash", "-c", command.replace("git commit", env_prefix + "git commit")], cwd=folder, check=True
    )
    return folder


#: Faults of the in-tree backend, by the name under which they must be found: code that brings each about.
FAULTS = {
    "time-stamp": """
def extra(found):
    return {**found, "pkg/_built.py": b"BUILT = %d\\n" % int(time.time())}
""",
    "random-value": """
def extra(found):
    import uuid
    return {**found, "pkg/_id.py": b"ID = '%s'\\n" % str(uuid.uuid4()).encode()}
""",
    "memory-address": """
def extra(found):
    return {**found, "pkg/_object.py": b"# %s\\n" % repr(object()).encode()}
""",
    "hash-order": """
def extra(found):
    names = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}
    lines = "".join(f"{name} = pkg:{name}\\n" for name in names)
    return {**found, "pkg-1.0.dist-info/entry_points.txt": b"[console_scripts]\\n" + lines.encode()}
""",
    "modes-from-umask": """
def mode():
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
""",
    "pyc-time": """
def extra(found):
    import py_compile
    path = py_compile.compile("pkg/__init__.py", "/tmp/made.pyc", "pkg/__init__.py",
                              invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    return {**found, "pkg/old.pyc": Path(path).read_bytes()}
""",
    "path-in-file": """
def extra(found):
    return {**found, "pkg/_where.py": b"# Generated from %s\\n" % os.getcwd().encode()}
""",
    "path-in-binary": """
def extra(found):
    import subprocess
    Path("/tmp/made.c").write_text("const char *here = HERE;")
    command = ["cc", "-g", "-shared", "-fPIC", *os.environ["CFLAGS"].split(), f'-DHERE="{os.getcwd()}"']
    subprocess.run([*command, "/tmp/made.c", "-o", "/tmp/made.so"], check=True)
    return {**found, "pkg/_made.so": Path("/tmp/made.so").read_bytes()}
""",
    "archive-dates": """
STAMP = time.gmtime()[:6]
""",
    "file-times": """
def extra(found):
    return {**found, "pkg/_age.py": b"AGE = %d\\n" % os.stat("pkg/__init__.py").st_mtime}
""",
    "user-name": """
def extra(found):
    return {**found, "pkg/_who.py": b"WHO = %d\\n" % os.getuid()}
""",
    "host-name": """
def extra(found):
    import socket
    return {**found, "pkg/_host.py": b"HOST = %s\\n" % socket.gethostname().encode()}
""",
    "home-folder": """
def extra(found):
    return {**found, "pkg/_home.py": b"HOME = %s\\n" % os.path.basename(os.path.expanduser("~")).encode()}
""",
    "cpu-count": """
def extra(found):
    return {**found, "pkg/_cpus.py": b"CPUS = %d\\n" % len(os.sched_getaffinity(0))}
""",
    "file-order": """
def extra(found):
    return {**found, "pkg/_list.py": repr(os.listdir("pkg")).encode()}
""",
    "local-time-zone": """
def extra(found):
    return {**found, "pkg/_zone.py": time.strftime("%H:%M", time.localtime(EPOCH)).encode()}
""",
    "locale": """
def extra(found):
    import locale
    return {**found, "pkg/_encoding.py": locale.getpreferredencoding(False).encode()}
""",
    "sdist-differs": """
def extra(found):
    return {**found, "pkg/_notes.py": b"NOTES = %d\\n" % os.path.exists("notes.txt")}
""",
}

#: What the surroundings bring about, and what the controlled build holds.
SURROUNDINGS = (
    "time-stamp",
    "random-value",
    "memory-address",
    "path-in-file",
    "path-in-binary",
    "user-name",
    "host-name",
    "home-folder",
    "cpu-count",
    "file-order",
)
HELD = (
    "hash-order",
    "local-time-zone",
    "locale",
    "file-times",
    "pyc-time",
    "sdist-differs",
    "modes-from-umask",
)


def together(names: tuple[str, ...]) -> str:
    """Several faults in one backend."""
    parts = ["EXTRAS = []\n"]
    for name in names:
        parts.append(FAULTS[name])
        if "def extra" in FAULTS[name]:
            parts.append("EXTRAS.append(extra)\n")
    parts.append(
        "\ndef extra(found):\n    for each in EXTRAS:\n        found = each(found)\n    return found\n"
    )
    return "".join(parts)
