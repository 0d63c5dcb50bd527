"""Renderers: text, JSON, HTML and others, all from a verdict, a record or a difference."""

from __future__ import annotations

from reproof.report.registry import (
    FORMATS,
    render_difference,
    render_findings,
    render_list,
    render_record,
    render_verdict,
)

__all__ = [
    "FORMATS",
    "render_difference",
    "render_findings",
    "render_list",
    "render_record",
    "render_verdict",
]
