"""What the user accepts: tolerances and rules, as values that are stated in the verdict."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from reproof.model.difference import Outcome


class Tolerance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds within which numbers count as CLOSE; never assumed, always declared.

    Attributes:
        rtol: Relative bound: ``|a - b| <= atol + rtol * max(|a|, |b|)``, the same for both sides.
        atol: Absolute bound.
        ulp: Bound in units in the last place of the values' own type; 0 for none.
    """

    rtol: float = 0.0
    atol: float = 0.0
    ulp: int = 0

    @property
    def is_exact(self) -> bool:
        """True when nothing but bit equality passes."""
        return self.rtol == 0.0 and self.atol == 0.0 and self.ulp == 0


EXACT = Tolerance()


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for the subjects that match `pattern` (first matching rule wins).

    Attributes:
        pattern: A file pattern on artifact names, ``outputs/*.csv``; metrics are ``metric:NAME``.
        tolerance: Numbers within it are CLOSE.
        accept: The worst outcome that passes for these subjects; the verdict's own when None.
        ignore: The reason for not comparing; shown in the report.
        stable: ``content`` compares bytes or content, ``name`` only that the artifact exists.
    """

    pattern: str
    tolerance: Tolerance = EXACT
    accept: Outcome | None = None
    ignore: str | None = None
    stable: str = "content"

    def matches(self, name: str) -> bool:
        """Whether the rule speaks of `name`; ``*`` also crosses ``/``."""
        return fnmatchcase(name, self.pattern)


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How strict a verdict is.

    Attributes:
        accept: The worst outcome that still counts as reproduced.
        tolerance: Bounds for every subject that no rule speaks of.
        rules: Exceptions, in order; the first that matches wins.
    """

    accept: Outcome = Outcome.EQUIVALENT
    tolerance: Tolerance = EXACT
    rules: tuple[Rule, ...] = ()

    def rule_for(self, name: str) -> Rule:
        """The rule for the artifact `name`, or one that states the defaults."""
        for rule in self.rules:
            if rule.matches(name):
                return rule
        return Rule(pattern="*", tolerance=self.tolerance)
