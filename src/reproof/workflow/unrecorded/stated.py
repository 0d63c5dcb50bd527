"""What the models that a run logged say of its environment: Python, packages and tools, each with the file that says so.

MLflow puts `MLmodel`, `requirements.txt` and `python_env.yaml` beside each model
(https://mlflow.org/docs/latest/ml/model/dependencies/).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from reproof.environment.requirements import normalise
from reproof.model.artifact import Artifact
from reproof.model.record import EnvironmentSection
from reproof.model.verdict import Condition
from reproof.store.directory import DirectoryStore

_PYTHON = re.compile(r"^\s*python_version:\s*['\"]?(\d+\.\d+(?:\.\d+)?)['\"]?\s*$", re.MULTILINE)
#: A line of requirements.txt; the local part of a version (``2.1.0+cu121``) is of no public index.
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;#,*+]+)", re.MULTILINE)
#: Items of `build_dependencies`, of which MLflow gives a version only where the environment had them.
_TOOL = re.compile(r"^\s*-\s*['\"]?(pip|setuptools|wheel)==([^\s'\";]+)", re.MULTILINE)


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """What models say of the environment that they were logged in.

    Attributes:
        python: Version, and the file that names it; None where none does.
        packages: Version by normalised name.
        tools: Likewise, of pip, setuptools and wheel.
        files: Those that name `packages`, and those that name `tools`.
    """

    python: tuple[str, str] | None = None
    packages: dict[str, str] = {}
    tools: dict[str, str] = {}
    files: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def constraints(self) -> tuple[str, ...]:
        """All versions, as constraints."""
        return tuple(f"{name}=={version}" for name, version in {**self.packages, **self.tools}.items())


def stated_by(products: Iterable[Artifact], store: DirectoryStore) -> Stated:
    """Read what the models among the products of a run say; what two of them contradict in is left out."""
    texts = {
        each.name: store.get_bytes(each.digest).decode("utf-8", "replace")
        for each in products
        if each.digest is not None
        and each.name.endswith(("/MLmodel", "/requirements.txt", "/python_env.yaml"))
    }
    models = [name.removesuffix("MLmodel") for name in texts if name.endswith("/MLmodel")]
    named = ((_PYTHON.search(texts[f"{model}MLmodel"]), f"{model}MLmodel") for model in models)
    packages, of_packages = _versions(models, "requirements.txt", _PINNED, texts)
    tools, of_tools = _versions(models, "python_env.yaml", _TOOL, texts)
    return Stated(
        python=next(((found[1], name) for found, name in named if found), None),
        packages=packages,
        tools=tools,
        files=(of_packages, of_tools),
    )


def _versions(
    models: Iterable[str], file: str, pattern: re.Pattern[str], texts: dict[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    files = []
    for name in (f"{model}{file}" for model in models):
        pairs = pattern.findall(texts.get(name, ""))
        files += [name] if pairs else []
        for distribution, version in pairs:
            found.setdefault(normalise(distribution), set()).add(version)
    return {name: min(versions) for name, versions in found.items() if len(versions) == 1}, tuple(files)


def held(stated: Stated, made: EnvironmentSection) -> Iterator[Condition]:
    """What of it decided the environment that was made, as the verdict says it."""
    there = {item.name: item.version.partition("+")[0] for item in made.distributions}
    resolved = made.lock is not None and made.lock.resolved
    for versions, files in zip((stated.packages, stated.tools), stated.files, strict=True):
        same = [f"{name} {version}" for name, version in versions.items() if there.get(name) == version]
        if same and resolved:
            others = f" and {len(files) - 1} more" if len(files) > 1 else ""
            note = f"`{files[0]}`{others} of the run names " + ("it" if len(same) == 1 else "them")
            yield Condition("assumed packages", ", ".join(same), note)
