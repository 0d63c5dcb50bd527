"""Signing, the append-only log, and bundles: what makes a record hold in front of someone who trusts nobody."""
