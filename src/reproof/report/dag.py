"""A graph of stages as text, Mermaid, HTML and JSON."""

from __future__ import annotations

import msgspec

from reproof.model.pipeline import Graph, GraphNode
from reproof.report.safe import json_document, plain
from reproof.report.terminal import Paint, columns, pad

SCHEMA = "reproof/graph/1"

_STYLES = {"good": "green", "bad": "red", "unsure": "yellow", "plain": "dim"}
#: Fill and border by tone, for Mermaid.
_COLOURS = {
    "good": "fill:#d9f2e3,stroke:#17834f,color:#0d3b25",
    "bad": "fill:#fbdcdb,stroke:#c9302c,color:#5a1311",
    "unsure": "fill:#fdeed0,stroke:#a86a00,color:#4d3100",
    "plain": "fill:#eceff4,stroke:#626d7e,color:#1b2230",
}
_WIDTH, _HEIGHT, _GAP, _STEP = 230, 58, 26, 108  # pixels of a box, between boxes, between levels


def render_graph(graph: Graph, format: str, *, width: int = 100, color: bool = False) -> str:  # noqa: A002, ARG001  # as all renderers
    """A graph; `format` is ``text``, ``mermaid``, ``html`` or ``json``."""
    if format == "json":
        return json_document({"schema": SCHEMA, **msgspec.to_builtins(graph)})
    if format == "mermaid":
        return _mermaid(graph)
    return _page(graph) if format == "html" else _text(graph, Paint(color=color))


def render_status(graph: Graph, format: str, *, width: int = 100, color: bool = False) -> str:  # noqa: A002, ARG001  # as all renderers
    """Which stages are out of date, one on a line; `format` is ``text`` or ``json``."""
    stages = [node for node in graph.nodes if node.kind == "stage"]
    late = [node for node in stages if node.state == "out of date"]
    if format == "json":
        rows = [{"stage": node.name, "state": node.state, "reason": node.detail} for node in stages]
        return json_document({"schema": "reproof/status/1", "up to date": not late, "stages": rows})
    paint = Paint(color=color)
    names = max((columns(plain(node.name)) for node in stages), default=0)
    states = max((len(node.state) for node in stages), default=0)
    lines = [
        f"{pad(plain(node.name), names)}  {paint(node.state, _STYLES[node.tone])}{' ' * (states - len(node.state))}"
        f"  {plain(node.detail)}".rstrip()
        for node in stages
    ]
    said = f"{len(late)} of {len(stages)} stages out of date" if late else "every stage is up to date"
    return "\n".join([*lines, "", said]) + "\n"


def _text(graph: Graph, paint: Paint) -> str:
    """Levels from the left: each stage below what it comes from, with arrows by name."""
    names = max((columns(plain(node.name)) for node in graph.nodes), default=0)
    lines = [plain(graph.title), ""]
    for node in graph.nodes:
        sources = [plain(source) for source, target in graph.edges if target == node.name]
        said = ", ".join(filter(None, (node.state, plain(node.detail))))
        head = f"{pad(plain(node.name), names)}  {paint(said, _STYLES[node.tone])}".rstrip()
        lines.append(head)
        lines += [f"  {'└─' if source == sources[-1] else '├─'} {source}" for source in sources]
    return "\n".join(lines) + "\n"


def _mermaid(graph: Graph) -> str:
    """A flowchart in the language of https://mermaid.js.org/syntax/flowchart.html."""
    numbers = {node.name: f"n{number}" for number, node in enumerate(graph.nodes, 1)}
    lines = ["flowchart TD"]
    for node in graph.nodes:
        said = "<br/>".join(_mermaid_text(text) for text in (node.name, node.state) if text)
        shape = f'[("{said}")]' if node.kind == "data" else f'["{said}"]'
        lines.append(f"    {numbers[node.name]}{shape}:::{node.tone}")
    lines += [f"    {numbers[source]} --> {numbers[target]}" for source, target in graph.edges]
    lines += [f"    classDef {tone} {style}" for tone, style in _COLOURS.items()]
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    return plain(text).replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;").replace(">", "&gt;")


def _page(graph: Graph) -> str:
    from reproof.report.page import render_page
    from reproof.report.page_parts import Page
    from reproof.report.protocol import Sides

    places = _places(graph)
    boxes = [
        {
            "x": places[node.name][0],
            "y": places[node.name][1],
            "name": _short(plain(node.name)),
            "full": plain(node.name),
            "said": _short(", ".join(filter(None, (node.state, plain(node.detail))))),
            "tone": node.tone,
            "round": 26 if node.kind == "data" else 9,
        }
        for node in graph.nodes
    ]
    tones = {node.tone for node in graph.nodes}
    tone = next((each for each in ("bad", "unsure", "good") if each in tones), "plain")
    return render_page(
        "dag.html",
        Page(Sides()),
        title="stages",
        tone=tone,
        about=plain(graph.title),
        boxes=boxes,
        paths=[_path(places[source], places[target]) for source, target in graph.edges],
        width=max((x for x, _ in places.values()), default=0) + _WIDTH + 2,
        height=max((y for _, y in places.values()), default=0) + _HEIGHT + 2,
        box_width=_WIDTH,
        box_height=_HEIGHT,
        rows=[
            {
                "name": plain(node.name),
                "state": plain(node.state),
                "detail": plain(node.detail),
                "tone": node.tone,
            }
            for node in graph.nodes
            if node.kind == "stage"
        ],
    )


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    """The upper left corner of each box: a level for each step away from the first."""
    levels: dict[str, int] = {}
    for node in graph.nodes:
        before = [
            levels[source] for source, target in graph.edges if target == node.name and source in levels
        ]
        levels[node.name] = max(before, default=-1) + 1
    rows: dict[int, list[GraphNode]] = {}
    for node in graph.nodes:
        rows.setdefault(levels[node.name], []).append(node)
    widest = max((len(row) for row in rows.values()), default=0) * (_WIDTH + _GAP) - _GAP
    places = {}
    for level, row in rows.items():
        start = (widest - (len(row) * (_WIDTH + _GAP) - _GAP)) // 2
        for number, node in enumerate(row):
            places[node.name] = (start + number * (_WIDTH + _GAP) + 1, level * _STEP + 1)
    return places


def _path(source: tuple[int, int], target: tuple[int, int]) -> str:
    """A curve from the lower edge of one box to the upper edge of another."""
    x1, y1 = source[0] + _WIDTH // 2, source[1] + _HEIGHT
    x2, y2 = target[0] + _WIDTH // 2, target[1] - 5
    middle = (y1 + y2) // 2
    return f"M{x1},{y1} C{x1},{middle} {x2},{middle} {x2},{y2}"


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:28]}…"
