# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The growth curve as an SVG with two logarithmic panels: time and rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .results import Point

_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_WIDTH, _HEIGHT = 920, 430
_PANEL_WIDTH, _PANEL_HEIGHT = 350, 290
_TOP, _LEFTS = 60, (70, 525)

_FRAME = """\
<?xml version="1.0" encoding="UTF-8"?>
<!--
Copyright (c) 2026, The nomba.auth contributors
GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
-->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"
  height="{height}" role="img" font-family="sans-serif" font-size="12" fill="#222222">
<title>Seconds and tokens per second, by tokens and workers</title>
<rect width="{width}" height="{height}" fill="#ffffff"/>
{body}
</svg>
"""


@dataclass(frozen=True)
class _Scale:
    """A logarithmic axis from a power of ten to another, in pixels."""

    first: int
    last: int
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the position of a value."""
        part = (math.log10(value) - self.first) / max(1, self.last - self.first)
        return round(self.start + part * (self.end - self.start), 1)

    def marks(self) -> Iterable[float]:
        """Return the powers of ten on the axis."""
        return (10.0**power for power in range(self.first, self.last + 1))


@dataclass(frozen=True)
class _Panel:
    """One pair of axes."""

    title: str
    left: int
    across: _Scale
    up: _Scale
    value: Callable[[Point], float]


def draw(points: Sequence[Point]) -> str:
    """Return the plot as SVG."""
    kinds: tuple[tuple[str, Callable[[Point], float]], ...] = (
        ("Seconds for the whole run", lambda point: point.seconds),
        ("Tokens per second", lambda point: point.tokens / point.seconds),
    )
    panels = [_panel(title, left, points, value) for (title, value), left in zip(kinds, _LEFTS)]
    parts = [line for panel in panels for line in _panel_lines(panel, points)]
    body = "\n".join([*parts, *_legend(points)])
    return _FRAME.format(width=_WIDTH, height=_HEIGHT, body=body)


def _panel(
    title: str, left: int, points: Sequence[Point], value: Callable[[Point], float]
) -> _Panel:
    across = _scale([point.tokens for point in points], left, left + _PANEL_WIDTH)
    up = _scale([value(point) for point in points], _TOP + _PANEL_HEIGHT, _TOP)
    return _Panel(title, left, across, up, value)


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return _Scale(first, max(last, first + 1), start, end)


def _panel_lines(panel: _Panel, points: Sequence[Point]) -> Iterable[str]:
    yield _text(panel.left, _TOP - 14, panel.title, "start", "font-size='14' font-weight='bold'")
    yield from _grid(panel)
    for workers, color in _colors(points).items():
        yield from _curve(panel, [one for one in points if one.workers == workers], color)


def _grid(panel: _Panel) -> Iterable[str]:
    bottom, right = _TOP + _PANEL_HEIGHT, panel.left + _PANEL_WIDTH
    for mark in panel.across.marks():
        x = panel.across.at(mark)
        yield _line(x, _TOP, x, bottom)
        yield _text(x, bottom + 18, f"{mark:,.0f}", "middle")
    for mark in panel.up.marks():
        y = panel.up.at(mark)
        yield _line(panel.left, y, right, y)
        yield _text(panel.left - 8, y + 4, f"{mark:,g}", "end")
    yield _text((panel.left + right) / 2, bottom + 38, "tokens", "middle")


def _curve(panel: _Panel, points: Sequence[Point], color: str) -> Iterable[str]:
    ordered = sorted(points, key=lambda point: point.tokens)
    positions = [(panel.across.at(one.tokens), panel.up.at(panel.value(one))) for one in ordered]
    path = " ".join(f"{x},{y}" for x, y in positions)
    yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
    yield from (f'<circle cx="{x}" cy="{y}" r="3.5" fill="{color}"/>' for x, y in positions)


def _legend(points: Sequence[Point]) -> Iterable[str]:
    y = _HEIGHT - 16
    yield _text(_LEFTS[0], y, "Tokens processed at a time:", "start")
    for index, (workers, color) in enumerate(_colors(points).items()):
        x = _LEFTS[0] + 190 + index * 80
        yield f'<rect x="{x}" y="{y - 6}" width="24" height="4" fill="{color}"/>'
        yield _text(x + 30, y, str(workers), "start")


def _colors(points: Sequence[Point]) -> dict[int, str]:
    return dict(zip(sorted({point.workers for point in points}), _COLORS))


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#dddddd"/>'


def _text(x: float, y: float, content: str, anchor: str, more: str = "") -> str:
    style = more.replace("'", '"')
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {style}>{content}</text>'.replace(
        " >", ">"
    )
