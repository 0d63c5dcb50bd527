"""Runs a recipe under some isolation, and tells how it went.

`choose` gives a runner; a runner turns a recipe and a watch into an execution.
"""

from reproof.execute.bubblewrap import BubblewrapRunner, probe, visible
from reproof.execute.docker import Container, DockerRunner
from reproof.execute.isolation import ALLOWED, allowed, clean_environment
from reproof.execute.process import ProcessRunner
from reproof.execute.protocol import (
    Confinement,
    Execution,
    Interrupted,
    Level,
    Limits,
    Output,
    Runner,
    Watch,
)
from reproof.execute.select import Choice, Isolation, choose

__all__ = [
    "ALLOWED",
    "BubblewrapRunner",
    "Choice",
    "Confinement",
    "Container",
    "DockerRunner",
    "Execution",
    "Interrupted",
    "Isolation",
    "Level",
    "Limits",
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
