"""The settings of each step, read from YAML and checked before anything is done."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bikes.errors import BikesError

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """A group of settings: none may be unknown, none changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Strict):
    """The table; its path is relative to the folder in which the step runs."""

    path: Path


class Split(Strict):
    """Which rows are kept for testing: the last in time, or a random choice that `seed` fixes."""

    order: Literal["time", "shuffled"] = "time"
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Seed = 42


class Forest(Strict):
    """Settings of the random forest, named as scikit-learn names them."""

    n_estimators: Count
    max_depth: Count | None
    min_samples_leaf: Count
    max_features: Share
    random_state: Seed


class Space(Strict):
    """The values among which the search chooses."""

    max_depth: Annotated[tuple[Count | None, ...], Field(min_length=1)]
    min_samples_leaf: Annotated[tuple[Count, ...], Field(min_length=1)]
    max_features: Annotated[tuple[Share, ...], Field(min_length=1)]


class Search(Strict):
    """A random search: how many trials, on how many successive parts of the training time."""

    trials: Count
    folds: Annotated[int, Field(ge=2)]
    seed: Seed
    space: Space


class Preparation(Strict):
    """Check the table and keep what the other steps need of it."""

    step: Literal["preparation"]
    data: Data
    output: Path


class Training(Strict):
    """Fit one forest and log it; with the settings in the file `best` on top, if one is named."""

    step: Literal["training"]
    data: Data
    split: Split
    forest: Forest
    best: Path | None = None
    output: Path | None = None


class Tuning(Strict):
    """Search for better settings of the forest."""

    step: Literal["tuning"]
    data: Data
    split: Split
    forest: Forest
    search: Search
    output: Path | None = None


class Evaluations(Strict):
    """Measure a model on the test rows, as a whole and group by group."""

    step: Literal["evaluations"]
    model: str
    data: Data
    split: Split
    groups: tuple[Literal["season", "hr", "workingday", "weathersit"], ...]
    output: Path | None = None


class Explanations(Strict):
    """Say which features a model relies on: how much worse it is when one of them is shuffled."""

    step: Literal["explanations"]
    model: str
    data: Data
    split: Split
    repeats: Count
    seed: Seed
    output: Path
    plot: Path


class Promotion(Strict):
    """Give a model that is good enough an alias in the registry."""

    step: Literal["promotion"]
    model: str
    evaluation: Path
    highest_rmse: Annotated[float, Field(gt=0)]
    name: str
    alias: str
    output: Path


class Inference(Strict):
    """Predict each row of a table."""

    step: Literal["inference"]
    model: str
    data: Data
    output: Path


Step = Preparation | Training | Tuning | Evaluations | Explanations | Inference | Promotion
Settings = Annotated[Step, Field(discriminator="step")]


def read_settings(path: Path) -> Step:
    """Read and check a settings file.

    Raises:
        BikesError: The file cannot be read, or a setting is unknown, missing or out of range;
            the message names the file and each such setting.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BikesError(f"cannot read `{path}`: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BikesError(f"`{path}` is not YAML: {error}") from error
    try:
        return TypeAdapter(Settings).validate_python(document)
    except ValidationError as error:
        lines = [f"  {_complaint(item)}" for item in error.errors()]
        raise BikesError("\n".join([f"`{path}` cannot be used", *lines])) from error


def flat(settings: BaseModel, *groups: str) -> dict[str, Any]:
    """The named groups as one level of names and values, to be logged: `forest.max_depth` ..."""
    document = settings.model_dump(mode="json", include=set(groups))
    return {
        f"{group}.{name}": value
        for group in groups
        for name, value in document[group].items()
        if not isinstance(value, dict)
    }


def _complaint(item: Any) -> str:
    # The discriminator stands first in the place of every error within a step.
    place = ".".join(str(part) for part in item["loc"][1:])
    if item["type"] == "extra_forbidden":
        return f"`{place}` is not a setting of this step"
    if item["type"] == "missing":
        return f"`{place}` is missing"
    return f"`{place}`: {item['msg']}" if place else item["msg"]
