from __future__ import annotations

import os
import subprocess

from reproof.environment import compile_sources, create, imported_sources


def test_what_one_run_imported_is_compiled_for_the_next(index, request_for, tmp_path):
    index.wheel(
        "alpha", files={"pack/__init__.py": "", "pack/used.py": "", "pack/unused.py": "", "bad.py": "("}
    )
    first = create(request_for("alpha\n"))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([first.python, "-c", "import alpha, pack.used"], env=env, check=True)
    names = imported_sources(first)
    assert [name for name in names if not name.startswith("_")] == [
        "alpha.py",
        "pack/__init__.py",
        "pack/used.py",
    ]
    second = create(request_for("alpha\n"), tmp_path / "env")
    compile_sources(second, [*names, "bad.py", "missing.py"])
    assert imported_sources(second) == names
    assert list((second.site_packages / "pack" / "__pycache__").glob("used*"))


def test_nothing_to_compile(index, request_for):
    index.wheel("alpha")
    compile_sources(create(request_for("alpha\n")), [])
