"""Runs a recipe under some isolation, and tells how it went.

`choose` gives a runner; a runner turns a recipe and a watch into an execution.
"""

from reproof.execute.bubblewrap import BubblewrapRunner, Confinement, probe, visible
from reproof.execute.isolation import ALLOWED, allowed, clean_environment
from reproof.execute.process import ProcessRunner
from reproof.execute.protocol import Execution, Interrupted, Level, Output, Runner, Watch
from reproof.execute.select import Choice, Isolation, choose

__all__ = [
    "ALLOWED",
    "BubblewrapRunner",
    "Choice",
    "Confinement",
    "Execution",
    "Interrupted",
    "Isolation",
    "Level",
    "Output",
    "ProcessRunner",
    "Runner",
    "Watch",
    "allowed",
    "choose",
    "clean_environment",
    "probe",
    "visible",
]
