"""`explain` of one run: what makes it differ from itself, or what circumstance its result depends on."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from importlib.metadata import version

import msgspec

from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.model.event import Emit, silent
from reproof.model.explanation import Explanation
from reproof.store.records import Found
from reproof.workflow.bench import Bench
from reproof.workflow.budget import Budget
from reproof.workflow.inquiry import Inquiry
from reproof.workflow.lanes import conditions_of
from reproof.workflow.room import Plan
from reproof.workflow.run import now
from reproof.workflow.stress import StressOptions, open_run, plan_for

#: For one run: seconds at least, and as a multiple of the recorded one. A clock that stands still may never let it end.
_AT_LEAST, _TIMES = 120.0, 20.0


def explain_alone(reference: str, options: StressOptions, emit: Emit = silent) -> Explanation:
    """Find what makes a recorded run differ from itself.

    Where re-runs differ, pins are applied one after the other (then together, then as few as it takes): the
    first that makes them equal names the class of the cause. Where they agree, circumstances are varied
    instead. Which line brings it in is seen in one more run, under watch.

    Args:
        reference: A run, as for `verify`, or the folder of a project, which stands for its newest.
        options: Circumstances that may be varied, budget, isolation, hands; of these only those of this machine.
        emit: Told about the work.

    Returns:
        An explanation, whose two sides are the same record.

    Raises:
        UsageError: An unknown variation, or a budget that is none.
        RecordError: There is no such record, or it cannot be trusted.
        ProjectError: The re-run does not end as the recorded run did.
        MaterialError, EnvironmentBuildError, ExecutionError: It cannot be re-run.
    """
    budget = Budget.parse(options.budget)
    found = open_run(reference)
    rooms = cache_directory() / "rooms" / f"explain-{secrets.token_hex(6)}"
    try:
        with ExitStack() as stack:
            bench = Bench(_patient(plan_for(found, options, rooms), found), stack, budget, emit)
            answer = Inquiry(bench, options.vary, options.hands).answer()
            return Explanation(
                a=found.id,
                b=found.id,
                project=found.record.project.name,
                created=now(),
                status=answer.status,
                question=answer.question,
                causes=tuple(answer.causes),
                suspects=tuple(answer.suspects),
                evidence=tuple(answer.evidence),
                reason=answer.reason,
                subjects=answer.subjects,
                aside=tuple(answer.aside),
                comparable=answer.comparable,
                runs=bench.runs,
                budget=budget.text,
                conditions=conditions_of(bench),
                tool=f"reproof {version('reproof')}",
            )
    finally:
        remove_tree(rooms)


def _patient(plan: Plan, found: Found) -> Plan:
    """With a limit for each run, unless one was given."""
    limit = max(_AT_LEAST, _TIMES * found.record.byproducts.seconds)
    return plan if plan.timeout is not None else msgspec.structs.replace(plan, timeout=limit)
