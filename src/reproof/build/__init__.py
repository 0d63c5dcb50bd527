"""What is known of building: the project's build system, conditions and how to vary them, names of causes.

Values and files only. Running a build takes an environment and an isolation, which `workflow` brings along.
"""

from reproof.build.adjusting import adjust_sdist, check_sdist
from reproof.build.causes import findings_of, name_cause
from reproof.build.conditions import AMBIENT, FACTORS, HELD, Conditions, available, control, varied
from reproof.build.members import Listing, differing, list_members
from reproof.build.system import BuildSystem, read_build_system

__all__ = [
    "AMBIENT",
    "FACTORS",
    "HELD",
    "BuildSystem",
    "Conditions",
    "Listing",
    "adjust_sdist",
    "available",
    "check_sdist",
    "control",
    "differing",
    "findings_of",
    "list_members",
    "name_cause",
    "read_build_system",
    "varied",
]
