"""Whether what was asked for is a single run or a pipeline: decided here for the command line and the library.

Nothing of pipelines is loaded for a run that is certainly none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reproof.errors import UsageError
from reproof.project.dvc_stages import NAME
from reproof.workflow.begin import RunOptions

if TYPE_CHECKING:
    from reproof.workflow.pipeline.run import PipelineOptions


class PipelineWishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a pipeline, should it be one.

    Attributes:
        pipeline: It is to be one in any case.
        targets: Stages to be brought up to date with all that they depend on; they ask for a pipeline, too.
        jobs: Stages that may run at once.
        force: Run every stage, whatever is unchanged.
    """

    pipeline: bool = False
    targets: tuple[str, ...] = ()
    jobs: int = 1
    force: bool = False


def find_pipeline(options: RunOptions, wishes: PipelineWishes) -> PipelineOptions | None:
    """The pipeline that is to be run; None where `options` mean a single run.

    Raises:
        UsageError: A pipeline was asked for, and a command, entry point or parameters besides.
        ProjectError: There is nothing there, or a file of the project is wrong.
    """
    asked = wishes.pipeline or bool(wishes.targets)
    named = asked or Path(options.uri, NAME).is_file() or options.entry_point is not None
    if not named or (options.command and not asked):
        return None
    from reproof.workflow.pipeline.choose import as_pipeline, make_pipeline_options

    if not asked:
        found = as_pipeline(options)
    elif options.command or options.entry_point or options.parameters:
        raise UsageError("a pipeline takes no command, no entry point and no parameters: dvc.yaml has them")
    else:
        found = make_pipeline_options(options)
    if found is None:
        return None
    return msgspec.structs.replace(
        found,
        targets=wishes.targets or found.targets,
        jobs=wishes.jobs,
        force=wishes.force or found.force,
    )
