"""The choice among the formats of one document."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reproof.errors import UsageError


def in_form(form: str, forms: Mapping[str, Callable[[], str]]) -> str:
    """The document in the format that was asked for; only that one is made.

    Args:
        form: What was asked for.
        forms: Makes the document, by name of the format.

    Raises:
        UsageError: There is no such format.
    """
    if form not in forms:
        raise unknown_form(form, forms)
    return forms[form]()


def unknown_form(form: str, known: Mapping[str, object]) -> UsageError:
    """The error that names the formats that there are."""
    return UsageError(f"unknown output format `{form}`", details=[("known", ", ".join(known))])
