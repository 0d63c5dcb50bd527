"""What a run had to do with earlier runs in MLflow: what it read there, and what ids MLflow gave to its own."""

from __future__ import annotations

from reproof.model.section import Section


class ReadVersion(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a registered model, as the registry told of it when the run asked.

    Attributes:
        name: Name of the registered model.
        version: Its number.
        aliases: Aliases that led to it then.
        latest: It was found as the latest one.
        stage: Its stage, of registries that still have them.
        source: What it was registered from, with this machine's folders replaced.
        run: Id of the run that it comes from.
        model: Id of the logged model that it comes from (MLflow 3).
        status: ``READY`` or what MLflow says.
        description: What people wrote of it.
        created: Milliseconds since the epoch.
        tags: Its tags.
    """

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    latest: bool = False
    stage: str = ""
    source: str = ""
    run: str | None = None
    model: str | None = None
    status: str = "READY"
    description: str = ""
    created: int = 0
    tags: dict[str, str] = {}


class ReadMetric(Section, frozen=True, kw_only=True, omit_defaults=True):
    """The last value of a metric of an earlier run; `value` as in metrics, `time` in milliseconds."""

    key: str
    value: str
    step: int = 0
    time: int = 0


class ReadRun(Section, frozen=True, kw_only=True, omit_defaults=True):
    """An earlier run, as the store told of it when the run asked.

    Attributes:
        run: Its id.
        experiment: Name of its experiment, `experiment_id` the id.
        name: Its name.
        status: ``FINISHED`` and the like.
        started: Milliseconds since the epoch; so is `ended`, None where it has not.
        tags: Its tags, without those that name the user and the machine.
        parameters: Its parameters.
        metrics: Its metrics.
    """

    run: str
    experiment: str = ""
    experiment_id: str = ""
    name: str = ""
    status: str = "FINISHED"
    started: int = 0
    ended: int | None = None
    tags: dict[str, str] = {}
    parameters: dict[str, str] = {}
    metrics: tuple[ReadMetric, ...] = ()


class ReadModel(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A logged model (MLflow 3) of an earlier run: its id, its run, its experiment, its state."""

    model: str
    name: str = ""
    run: str | None = None
    experiment: str = ""
    experiment_id: str = ""
    type: str = ""
    status: str = "READY"
    created: int = 0
    tags: dict[str, str] = {}
    parameters: dict[str, str] = {}


class OwnVersion(Section, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a registered model that the run made."""

    name: str
    version: str


class TrackedSection(Section, frozen=True, kw_only=True, omit_defaults=True):
    """What a record says of MLflow beyond what the run logged.

    The bytes that were read of what is named here are materials of origin `mlflow`, under the names
    ``models:/NAME/VERSION/PATH``, ``models:/m-ID/PATH`` and ``runs:/RUN/PATH``.

    Attributes:
        uri: Address of the store that was read, without user name or password, folders replaced.
        versions: Versions of registered models that were asked for.
        runs: Earlier runs that were asked for.
        models: Logged models of earlier runs that were asked for.
        searched: The code looked through runs, or through a registry: what is there later may be more.
        own_versions: Versions that the run registered.
        own_runs: Ids of the runs that it opened, in the order of their numbers.
        own_models: Ids of the models that it logged.
    """

    uri: str = ""
    versions: tuple[ReadVersion, ...] = ()
    runs: tuple[ReadRun, ...] = ()
    models: tuple[ReadModel, ...] = ()
    searched: bool = False
    own_versions: tuple[OwnVersion, ...] = ()
    own_runs: tuple[str, ...] = ()
    own_models: tuple[str, ...] = ()

    @property
    def own(self) -> frozenset[str]:
        """Addresses of all that the run made: ``runs:/ID``, ``models:/m-ID``, ``models:/NAME/VERSION``."""
        return frozenset(
            (
                *(f"runs:/{run}" for run in self.own_runs),
                *(f"models:/{model}" for model in self.own_models),
                *(f"models:/{each.name}/{each.version}" for each in self.own_versions),
            )
        )
