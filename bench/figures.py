"""What was measured, beside the limit that it is compared with and the target: the last table of `make bench`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HEADINGS = ("figure", "measured", "compared with", "ratio", "target", "")
GAP = "  "


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a value must not fall below (`least`) or exceed (`most`)."""

    least: float | None = None
    most: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether a value is good enough; the bound itself is."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        bounds = [f">= {self.least:g}"] if self.least is not None else []
        return " ".join(bounds + ([f"<= {self.most:g}"] if self.most is not None else []))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row; where there is a target it is one for the ratio, or for `value` if there is no ratio."""

    name: str
    measured: str
    compared: str = ""  # the limit, in the same unit
    ratio: float | None = None  # measured to limit
    value: float | None = None  # the number in `measured`
    target: Target | None = None

    @property
    def verdict(self) -> str:
        """Whether the target is met; empty where there is none."""
        if self.target is None:
            return ""
        judged = self.value if self.ratio is None else self.ratio
        if judged is None:
            raise ValueError(f"{self.name} has a target, but neither ratio nor value")
        return "ok" if self.target.is_met(judged) else "FALLS SHORT"


def find_percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least `percent` of 100 of them do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def draw_table(figures: Sequence[Figure]) -> str:
    """All figures as text, one line each, in columns."""
    rows = [HEADINGS, *(_show(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, GAP.join("-" * width for width in widths).rstrip())
    return "\n".join(lines)


def _show(figure: Figure) -> tuple[str, ...]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    target = "" if figure.target is None else str(figure.target)
    return figure.name, figure.measured, figure.compared, ratio, target, figure.verdict
