"""How far a run is made to repeat: the names of the profiles. docs/randomness.md says what each does."""

from __future__ import annotations

from typing import Literal

Profile = Literal["off", "default", "strict", "portable"]

#: All profiles, the weakest first. Records of older versions say ``seeds``, which is as ``off``.
PROFILES: tuple[Profile, ...] = ("off", "default", "strict", "portable")
