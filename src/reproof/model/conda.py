"""A package of Conda in the user's own environment."""

from __future__ import annotations

from reproof.model.section import Section


class CondaPackage(Section, frozen=True, kw_only=True, omit_defaults=True):
    """What `conda-meta` says of a package.

    Attributes:
        name: Its name.
        version: Version.
        build: Build string, which tells variants of one version apart.
        channel: Address of the channel, without token, user and password.
        sha256: Digest of the archive that it came from; empty where only MD5 is known.
        md5: The same by MD5.
    """

    name: str
    version: str
    build: str = ""
    channel: str = ""
    sha256: str = ""
    md5: str = ""
