"""The settings of a project: the table ``[tool.reproof]`` of its pyproject.toml, all optional.

Keys may be written with dashes (``max-kept-bytes``) or underscores.
"""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from reproof.errors import ProjectError
from reproof.model.determinism import PROFILES, Profile
from reproof.model.difference import Outcome
from reproof.model.policy import EXACT, Policy, Rule, Tolerance
from reproof.model.randomness import ENTROPY, Entropy
from reproof.project.yaml_document import closest, describe, listed

_ACCEPT = {outcome.word: outcome for outcome in (Outcome.IDENTICAL, Outcome.EQUIVALENT, Outcome.CLOSE)}
_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", start=1)}
_UNITS |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)}
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[A-Za-z]*)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Word = TypeVar("Word", bound=str)


class EnvironmentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What ``[tool.reproof.environment]`` says.

    Attributes:
        python: Version of Python, as uv understands it; wins over every file of the project.
        extras: Extras of the project to install.
        groups: Dependency groups to install; None for uv's defaults.
        base_image: Image with a Python that `--env-manager docker` builds on, where the project has no
            Dockerfile.
    """

    python: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    base_image: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What ``[tool.reproof]`` says.

    Attributes:
        seed: The seed of every run, ``"none"`` for none at all, None for a fresh one each time.
        determinism: The profile of every run where the command line names none.
        entropy: What is done about draws of entropy where the command line does not say.
        experiment: MLflow experiment where the command line names none.
        products: Patterns of files, below the project, that are products even when unchanged.
        materials: Patterns of files that are inputs even when no process is seen to open them.
        network: Whether a re-run may use the network.
        pass_env: Names of variables that a re-run gets as they are set where it is made; values are never recorded.
        record_env: Names of variables whose values are recorded, and handed to a re-run as recorded.
        max_kept_bytes: Size of all products of a run whose content is kept, in bytes.
        max_untracked_bytes: Size of all untracked files that are kept, in bytes.
        max_uploaded_bytes: Size of all that goes into MLflow with a record, so that another machine can re-create
            the run, in bytes.
        max_store_bytes: Size of the whole store from which `reproof store gc` warns; 0 for none.
        resources: What one re-run occupies: ``cpus``, and what else a cluster or a machine has, such as ``GPU``.
        environment: What the environment is made with.
        policy: What counts as reproduced.
        source: The file that says so, None where none does.
    """

    seed: int | Literal["none"] | None = None
    determinism: Profile | None = None
    entropy: Entropy | None = None
    experiment: str | None = None
    products: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    network: bool = False
    pass_env: tuple[str, ...] = ()
    record_env: tuple[str, ...] = ()
    max_kept_bytes: int = 1024**3
    max_untracked_bytes: int = 50_000_000
    max_uploaded_bytes: int = 100_000_000
    max_store_bytes: int = 0
    resources: dict[str, float] = {}
    environment: EnvironmentSettings = EnvironmentSettings()
    policy: Policy = Policy()
    source: Path | None = None


def read_settings(folder: Path, top: Path | None = None) -> Settings:
    """Read the settings that hold for the project in `folder`.

    The nearest pyproject.toml with a table ``[tool.reproof]`` counts, from `folder` up to `top`
    (`folder` itself by default).

    Raises:
        ProjectError: The file is not TOML (with the line), or a key is unknown or wrong.
    """
    last = (top or folder).absolute()
    for place in (folder.absolute(), *folder.absolute().parents):
        found = _read_file(place / "pyproject.toml")
        if found is not None:
            return found
        if place == last:
            break
    return Settings()


def _read_file(path: Path) -> Settings | None:
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ProjectError(f"cannot read `{path}`: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"`{path}` is not text in UTF-8", details=[("reason", str(error))]) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error) or "nested too deeply"
        raise ProjectError(f"`{path}` is not TOML", details=[("reason", reason)]) from error
    tool = data.get("tool")
    table = tool.get("reproof") if isinstance(tool, dict) else None
    return None if table is None else _Table(path, "tool.reproof", table).settings()


class _Table:
    """One table of the file: its values are taken one by one, what is left over is an error."""

    def __init__(self, path: Path, name: str, value: object) -> None:
        self.path = path
        self.name = name
        self.value: dict[str, Any] = {}
        self.spelling: dict[str, str] = {}
        if not isinstance(value, dict):
            raise ProjectError(f"`{path}`: `{name}` must be a table, not {describe(value)}")
        for key, item in value.items():
            plain = key.replace("-", "_")
            if plain in self.value:
                raise ProjectError(f"`{path}`: `{name}.{key}` stands there twice, in two spellings")
            self.value[plain] = item
            self.spelling[plain] = key

    def settings(self) -> Settings:
        """The whole ``[tool.reproof]``."""
        self.know(
            *(name for name in Settings.__struct_fields__ if name not in ("policy", "source")), "compare"
        )
        return Settings(
            seed=self.seed(),
            determinism=self.determinism(),
            entropy=self.entropy(),
            experiment=self.text("experiment"),
            products=self.patterns("products"),
            materials=self.texts("materials") or (),
            network=self.truth("network"),
            pass_env=self.variables("pass_env"),
            record_env=self.variables("record_env"),
            max_kept_bytes=self.size("max_kept_bytes", Settings().max_kept_bytes),
            max_untracked_bytes=self.size("max_untracked_bytes", Settings().max_untracked_bytes),
            max_uploaded_bytes=self.size("max_uploaded_bytes", Settings().max_uploaded_bytes),
            max_store_bytes=self.size("max_store_bytes", 0),
            resources=self.table("resources").amounts(),
            environment=self.table("environment").environment(),
            policy=self.table("compare").policy(),
            source=self.path,
        )

    def environment(self) -> EnvironmentSettings:
        """``[tool.reproof.environment]``."""
        self.know("python", "extras", "groups", "base_image")
        return EnvironmentSettings(
            python=self.text("python"),
            extras=self.texts("extras") or (),
            groups=self.texts("groups"),
            base_image=self.text("base_image"),
        )

    def policy(self) -> Policy:
        """``[tool.reproof.compare]``; with a tolerance CLOSE passes unless `accept` says otherwise."""
        self.know("accept", "rtol", "atol", "ulp", "rules")
        tolerance = self.tolerance(EXACT)
        default = Outcome.EQUIVALENT if tolerance.is_exact else Outcome.CLOSE
        rules = self.value.get("rules", [])
        if not isinstance(rules, list):
            raise self.wrong("rules", "must be a list of tables, `[[tool.reproof.compare.rules]]`", rules)
        tables = [_Table(self.path, f"{self.name}.rules[{index}]", rule) for index, rule in enumerate(rules)]
        return Policy(
            accept=self.outcome() or default,
            tolerance=tolerance,
            rules=tuple(table.rule(tolerance) for table in tables),
        )

    def rule(self, inherited: Tolerance) -> Rule:
        """One of the rules; a tolerance that it does not state is that of the whole policy."""
        self.know("pattern", "accept", "rtol", "atol", "ulp", "ignore", "stable")
        pattern = self.text("pattern")
        if not pattern:
            raise ProjectError(
                f"`{self.path}`: `{self.name}` has no `pattern`", hint='add `pattern = "outputs/*.csv"`'
            )
        stable = self.text("stable") or "content"
        if stable not in ("content", "name"):
            raise self.wrong("stable", "must be `content` or `name`", stable)
        states = self.value.keys() & {"rtol", "atol", "ulp"}
        tolerance = self.tolerance(EXACT) if states else inherited
        accept = self.outcome()
        if accept is None and states and not tolerance.is_exact:
            accept = Outcome.CLOSE
        return Rule(pattern=pattern, tolerance=tolerance, accept=accept, ignore=self.reason(), stable=stable)

    def know(self, *known: str) -> None:
        """Refuse keys that are not among `known`."""
        for key in self.value:
            if key not in known:
                close = closest(key, known)
                meant = close.replace("_", "-") if close else None
                raise ProjectError(
                    f"`{self.path}`: unknown key `{self.name}.{self.spelling[key]}`",
                    details=[] if meant else [("known", listed(name.replace("_", "-") for name in known))],
                    hint=f"did you mean `{meant}`?" if meant else None,
                )

    def wrong(self, key: str, problem: str, value: object, hint: str | None = None) -> ProjectError:
        """The error for a key with a wrong value."""
        name = self.spelling.get(key, key)
        return ProjectError(
            f"`{self.path}`: `{self.name}.{name}` {problem}, not {describe(value)}", hint=hint
        )

    def table(self, key: str) -> _Table:
        """A table within this one; an empty one where it is absent."""
        return _Table(self.path, f"{self.name}.{self.spelling.get(key, key)}", self.value.get(key, {}))

    def text(self, key: str) -> str | None:
        """A text, None where it is absent."""
        value = self.value.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.wrong(key, "must be a text", value)
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, None where it is absent."""
        value = self.value.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            hint = f'write `{self.spelling[key]} = ["{value}"]`' if isinstance(value, str) else None
            raise self.wrong(key, "must be a list of texts", value, hint)
        for item in value:
            if not isinstance(item, str) or not item.strip():
                raise self.wrong(key, "must be a list of texts", item)
        return tuple(value)

    def patterns(self, key: str) -> tuple[str, ...]:
        """Patterns of files below the project."""
        found = self.texts(key) or ()
        for pattern in found:
            if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
                raise self.wrong(key, "must name files below the project", pattern)
        return tuple(pattern.removeprefix("./") for pattern in found)

    def variables(self, key: str) -> tuple[str, ...]:
        """Names of environment variables."""
        found = self.texts(key) or ()
        for name in found:
            if not _VARIABLE.fullmatch(name):
                raise self.wrong(key, "must list names of variables, without values", name)
        return found

    def truth(self, key: str) -> bool:
        """True or false; false where it is absent."""
        value = self.value.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "must be `true` or `false`", value)
        return value

    def seed(self) -> int | Literal["none"] | None:
        """A seed that every generator takes: 0 to 2**32 - 1."""
        value = self.value.get("seed")
        if value is None or value == "none":
            return None if value is None else "none"
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
            raise self.wrong("seed", 'must be a whole number from 0 to 4294967295 or "none"', value)
        return value

    def determinism(self) -> Profile | None:
        """A profile, None where none is named."""
        return self.one_of("determinism", PROFILES)

    def entropy(self) -> Entropy | None:
        """What is done about draws of entropy, None where it is not said."""
        return self.one_of("entropy", ENTROPY)

    def one_of(self, key: str, words: tuple[Word, ...]) -> Word | None:
        """One of the `words`, None where it is absent."""
        value = self.value.get(key)
        for word in words:
            if value == word:
                return word
        if value is not None:
            close = closest(value, words) if isinstance(value, str) else None
            hint = f"did you mean `{close}`?" if close else None
            raise self.wrong(key, f"must be one of {listed(words)}", value, hint)
        return None

    def size(self, key: str, default: int) -> int:
        """A number of bytes: ``1000``, ``"50 MB"``, ``"1 GiB"``."""
        value = self.value.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None or match["unit"].lower() not in _UNITS:
            raise self.wrong(key, 'must be a number of bytes, or a text such as "50 MB" or "1 GiB"', value)
        return int(float(match["number"]) * _UNITS[match["unit"].lower()])

    def amounts(self) -> dict[str, float]:
        """How much of what: positive numbers by name."""
        for key, value in self.value.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise self.wrong(key, "must be a number above 0", value)
        return {self.spelling[key]: float(value) for key, value in self.value.items()}

    def outcome(self) -> Outcome | None:
        """The worst outcome that passes."""
        value = self.value.get("accept")
        if value is not None and (not isinstance(value, str) or value not in _ACCEPT):
            close = closest(value, _ACCEPT) if isinstance(value, str) else None
            hint = f"did you mean `{close}`?" if close else None
            raise self.wrong("accept", f"must be one of {listed(_ACCEPT)}", value, hint)
        return None if value is None else _ACCEPT[value]

    def tolerance(self, default: Tolerance) -> Tolerance:
        """The bounds that are stated here, zero for those that are not."""
        if not self.value.keys() & {"rtol", "atol", "ulp"}:
            return default
        ulp = self.value.get("ulp", 0)
        if isinstance(ulp, bool) or not isinstance(ulp, int) or ulp < 0:
            raise self.wrong("ulp", "must be a whole number that is not negative", ulp)
        return Tolerance(rtol=_bound(self, "rtol"), atol=_bound(self, "atol"), ulp=ulp)

    def reason(self) -> str | None:
        """Why something is not compared: words, because they stand in the report."""
        value = self.value.get("ignore")
        if value is not None and (not isinstance(value, str) or not value.strip()):
            hint = 'write `ignore = "why it may differ"`'
            raise self.wrong("ignore", "must be the reason for not comparing", value, hint)
        return value


def _bound(table: _Table, key: str) -> float:
    value = table.value.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise table.wrong(key, "must be a finite number that is not negative", value)
    return float(value)
