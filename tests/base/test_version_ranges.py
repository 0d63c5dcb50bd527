from __future__ import annotations

import pytest

from reproof.base.version_ranges import accepts, single, specifiers


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("*", ("",)),
        ("", ("",)),
        ("^1.2.3", (">=1.2.3,<2",)),
        ("^0.2.3", (">=0.2.3,<0.3",)),
        ("^0.0.3", (">=0.0.3,<0.0.4",)),
        ("^0.0", (">=0.0,<0.1",)),
        ("^1.2a1", (">=1.2a1,<2",)),
        ("~1.2.3", (">=1.2.3,<1.3",)),
        ("~1", (">=1,<2",)),
        ("~=1.4.2", ("~=1.4.2",)),
        ("1.2", ("==1.2",)),
        ("=1.2", ("==1.2",)),
        ("3.*", ("==3.*",)),
        (">=1, <2,!=1.5", (">=1,<2,!=1.5",)),
        (">=2.7 <3.0 || ^3.4", (">=2.7,<3.0", ">=3.4,<4")),
        ("v1.0|2.0", ("==1.0", "==2.0")),
    ],
)
def test_ranges_become_specifiers(written: str, meant: tuple[str, ...]) -> None:
    assert specifiers(written) == meant
    assert single(written) == (meant[0] or None if len(meant) == 1 else None)


def test_a_version_is_within_or_not() -> None:
    assert accepts("^1.2 || 3.*", "3.7")
    assert not accepts("^1.2 || 3.*", "2.0")
    assert accepts("*", "2.0rc1")


@pytest.mark.parametrize("written", ["newest", "^", ">=1 and <2", "1.0 ?"])
def test_what_is_no_range_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no range"):
        specifiers(written)
    assert single(written) is None
