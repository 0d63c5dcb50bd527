"""The page of a replication: every run a dot, intervals and the recorded result marked, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reproof.model.replication import Arm, Contrast, Interval, Replication, ReplicationWord, Spread
from reproof.report.numbers import seconds_text
from reproof.report.page import render_page
from reproof.report.page_parts import Page
from reproof.report.protocol import Sides
from reproof.report.replication import (
    headline,
    interval_text,
    not_finished,
    number_text,
    progress_words,
)
from reproof.report.safe import lines, plain
from reproof.report.words import date

TONES: dict[ReplicationWord | None, str] = {
    "consistent": "good",
    "not consistent": "bad",
    "too few runs": "unsure",
    None: "plain",
}
_ORDER: tuple[ReplicationWord | None, ...] = ("not consistent", "too few runs", "consistent", None)
_WIDTH, _LEFT, _RIGHT = 720.0, 46.0, 24.0
_ROW, _AXIS = 58.0, 26.0
_RADIUS = 4.5
_OPEN = 8  # metrics that are unfolded


def render_replication_page(replication: Replication) -> str:
    """The page; see :func:`reproof.report.replication.render_replication`."""
    names = dict.fromkeys(spread.metric for arm in replication.arms for spread in arm.spreads)
    metrics = [_metric(name, replication.arms) for name in names]
    contrasts = [_contrast(each) for each in replication.contrasts]
    order = [TONES[word] for word in _ORDER]
    for group in (metrics, contrasts):
        group.sort(key=lambda each: order.index(each["tone"]))
    return render_page(
        "replication.html",
        Page(Sides()),
        styles=("replication.css",),
        title=f"replicated: {replication.word}: {plain(replication.project)}",
        tone=TONES[replication.word],
        replication=replication,
        sentence=headline(replication),
        made=plain(date(replication.created)),
        arms=[_arm(arm) for arm in replication.arms],
        metrics=metrics,
        contrasts=contrasts,
        unfolded=_OPEN,
        conditions=[(plain(name), plain(value)) for name, value in replication.conditions],
    )


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "label": arm.label,
        "record": plain(arm.record[:12]),
        "run": plain(arm.run_id or ""),
        "description": plain(arm.description),
        "progress": progress_words(arm),
        "took": seconds_text(sum(each.seconds for each in arm.replicates)),
        "runs": [
            {
                "seed": str(each.seed),
                "state": each.state,
                "record": plain((each.record or "")[:12]),
                "took": seconds_text(each.seconds) if each.seconds else "",
            }
            for each in arm.replicates
        ],
        "rest": [
            {
                "seed": str(each.seed),
                "state": each.state,
                "status": "" if each.exit_status is None else f"exit status {each.exit_status}",
                "lines": lines(each.problem or ""),
            }
            for each in not_finished(arm)
        ],
    }


def _metric(name: str, arms: Sequence[Arm]) -> dict[str, Any]:
    spreads = [(arm.label, spread) for arm in arms for spread in arm.spreads if spread.metric == name]
    words = [spread.word for _, spread in spreads]
    word = next(each for each in _ORDER if each in words)
    return {
        "name": plain(name),
        "word": word or "not judged",
        "tone": TONES[word],
        "constant": all(spread.constant for _, spread in spreads),
        "plot": _plot([_strip(label if len(arms) > 1 else "", spread) for label, spread in spreads]),
        "rows": [_numbers(label, spread) for label, spread in spreads],
        "reasons": [plain(spread.reason) for _, spread in spreads if spread.reason],
    }


def _numbers(label: str, spread: Spread) -> dict[str, str]:
    return {
        "label": label,
        "n": str(len(spread.values)),
        "mean": number_text(spread.mean),
        "sd": number_text(spread.sd, 4),
        "median": number_text(spread.median),
        "iqm": number_text(spread.iqm),
        "interval": interval_text(spread.interval),
        "expected": interval_text(spread.expected),
        "recorded": number_text(spread.original),
        "percentile": number_text(spread.percentile, 3),
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    strip = _Strip(
        label="",
        dots=contrast.differences,
        interval=contrast.interval,
        mean=contrast.mean,
        mark=contrast.recorded,
    )
    needed = f"about {contrast.seeds_needed:,} seeds" if contrast.seeds_needed is not None else ""
    return {
        "name": plain(contrast.metric),
        "word": contrast.word,
        "tone": TONES[contrast.word],
        "reason": plain(contrast.reason),
        "claim": {"the same": "B is the same as A"}.get(contrast.claim, f"B is {contrast.claim} than A"),
        "plot": _plot([strip], zero=True),
        "facts": [
            ("pairs", str(len(contrast.differences))),
            ("mean difference", number_text(contrast.mean)),
            ("its interval", interval_text(contrast.interval)),
            ("p, paired t test", number_text(contrast.p_value, 2)),
            ("probability of improvement", number_text(contrast.probability, 3)),
            ("its interval", interval_text(contrast.probability_interval)),
            ("recorded difference", number_text(contrast.recorded)),
            ("needed for 80 % power", needed),
        ],
    }


class _Strip:
    """One row of a plot: dots, an interval, a mean, a marked value, a band."""

    def __init__(  # noqa: PLR0913  # the parts of one picture
        self,
        *,
        label: str,
        dots: tuple[tuple[int, float], ...],
        interval: Interval | None,
        mean: float | None,
        mark: float | None,
        band: Interval | None = None,
    ) -> None:
        self.label = label
        self.dots = dots
        self.interval = interval
        self.mean = mean
        self.mark = mark
        self.band = band

    def extent(self) -> list[float]:
        """All values that must be in the picture."""
        ends = [end for each in (self.interval, self.band) if each for end in (each.low, each.high)]
        more = [each for each in (self.mean, self.mark) if each is not None]
        return [value for value in (*(value for _, value in self.dots), *ends, *more) if math.isfinite(value)]


def _strip(label: str, spread: Spread) -> _Strip:
    return _Strip(
        label=label,
        dots=spread.values,
        interval=spread.interval,
        mean=spread.mean,
        mark=spread.original,
        band=spread.expected,
    )


def _plot(strips: Sequence[_Strip], *, zero: bool = False) -> dict[str, Any] | None:
    """All numbers of a picture; None where there is nothing to show."""
    values = [value for strip in strips for value in strip.extent()] + ([0.0] if zero else [])
    if not any(strip.dots for strip in strips):
        return None
    low, high = min(values), max(values)
    margin = (high - low) * 0.04 or abs(low) * 0.01 or 1.0
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 2)

    height = _ROW * len(strips) + _AXIS
    return {
        "width": _WIDTH,
        "height": height,
        "axis": height - _AXIS,
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "zero": place(0.0) if zero else None,
        "ticks": [(place(value), text) for value, text in _ticks(low, high)],
        "strips": [_drawn(strip, index, place) for index, strip in enumerate(strips)],
    }


def _drawn(strip: _Strip, index: int, place: Any) -> dict[str, Any]:
    middle = _ROW * index + _ROW / 2

    def span(interval: Interval | None) -> tuple[float, float] | None:
        return None if interval is None else (place(interval.low), place(interval.high))

    return {
        "label": strip.label,
        "middle": middle,
        "band": span(strip.band),
        "interval": span(strip.interval),
        "mean": None if strip.mean is None else place(strip.mean),
        "mark": None if strip.mark is None else (place(strip.mark), number_text(strip.mark, 9)),
        "dots": [
            (x, round(middle + y, 2), f"seed {seed}: {value!r}")
            for (seed, value), (x, y) in zip(
                strip.dots, _swarm([place(value) for _, value in strip.dots]), strict=True
            )
        ],
    }


def _swarm(places: Sequence[float]) -> list[tuple[float, float]]:
    """Dots beside each other where they would hide each other, as far as the row is high."""
    levels = [0.0]
    for step in range(1, 5):
        levels += [step * _RADIUS * 1.15, -step * _RADIUS * 1.15]
    taken: list[tuple[float, float]] = []
    for x in places:
        free = (
            y for y in levels if all((x - ox) ** 2 + (y - oy) ** 2 >= (2 * _RADIUS) ** 2 for ox, oy in taken)
        )
        taken.append((x, next(free, levels[len(taken) % len(levels)])))
    return taken


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Five or so round numbers between the ends."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= raw), raw)
    first = math.ceil(low / step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    found = [number * step for number in range(first, math.floor(high / step) + 1)]
    largest = max(map(abs, (low, high)))
    if digits > 8 or largest >= 1e7:
        needed = min(17, max(1, math.ceil(math.log10(largest / step)) + 1))
        return [(value, f"{value:.{needed}g}") for value in found]
    return [(value, f"{value:.{digits}f}") for value in found]
