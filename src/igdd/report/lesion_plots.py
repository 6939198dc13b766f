"""Lesion plots: map, histogram, coverage curve and depth profile of lesions, a row for each.

The colours of a map are those of the histogram beside it, so that no bar is needed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import theme, wording
from igdd.report.pictures import PIXELS_PER_INCH, WIDTH
from igdd.results import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 1.62  # inches
COLOURS = "inferno"
STEP = re.compile(r"coverage_at_(\d+)_percent(_uncorrected)?")
SHELL = re.compile(r"(rim|vessel)_shell_(\d+)")
DEPTH = re.compile(r", (\S+) mm from the (?:rim|vessel)")
# What stands in a row's heading, if it was measured: metric, name, whether a percentage.
SAID = (("cv", "CV", False), ("gini", "Gini", False), ("coverage", "covered", True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """One lesion in one session: its rows by metric, and its panels where there are any."""

    subject: str
    session: str
    region: str
    arm: str
    rows: dict[str, dict[str, Any]]
    image: Panel | None
    histogram: Panel | None


def drawn(lesions: Sequence[Shown]) -> bytes:
    """PNG of the lesions below each other."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # The user's own matplotlibrc must not change the report.
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"font.family": theme.FONT}):
        figure = Figure(dpi=PIXELS_PER_INCH)
        FigureCanvasAgg(figure)
        _compose(figure, lesions)
        target = io.BytesIO()
        figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _compose(figure: Figure, lesions: Sequence[Shown]) -> None:
    names = {name for one in lesions for name in one.rows}
    columns = [_map, _histogram]
    columns += [_coverage] if any(STEP.fullmatch(name) for name in names) else []
    columns += [_depth] if any(SHELL.fullmatch(name) for name in names) else []
    total = ROW * len(lesions) + 0.2
    figure.set_size_inches(WIDTH, total)
    grid = figure.add_gridspec(
        len(lesions), len(columns), left=0.01, right=0.985, top=1 - 0.3 / total,
        bottom=0.42 / total, wspace=0.3, hspace=0.72,
        width_ratios=[0.8, *(1.0,) * len(columns[1:])],
    )  # fmt: skip
    for number, lesion in enumerate(lesions):
        for place, draw in enumerate(columns):
            axes = figure.add_subplot(grid[number, place])
            draw(axes, lesion)
            if not place:
                top = axes.get_position(original=True).y1
        figure.text(
            0.01, top + 0.07 / total, _heading(lesion), fontsize=7.5, color=theme.INK, va="bottom"
        )  # fmt: skip


def _heading(lesion: Shown) -> str:
    """Who, when, which, and what was measured; `$` is no formula."""
    parts = [lesion.subject, lesion.arm, wording.session_name(lesion.session), lesion.region]
    text = " · ".join(part if len(part) <= 28 else part[:27] + "…" for part in parts if part)
    said = [
        f"{name} {_number(lesion.rows[metric], percent)}"
        for metric, name, percent in SAID
        if metric in lesion.rows
    ]
    return "    ".join([text, *said]).replace("$", r"\$")


def _number(row: dict[str, Any], percent: bool) -> str:
    factor, unit = (100.0, " %") if percent else (1.0, "")
    low, high = (factor * float(row[name]) for name in ("low", "high"))
    text = f"{factor * float(row['value']):.3g}{unit}"
    return f"{text} ({low:.3g} to {high:.3g})" if np.isfinite([low, high]).all() else text


def _span(lesion: Shown) -> tuple[float, float]:
    """What the colours run over: from zero, or below it, to the lesion's highest voxel."""
    if lesion.histogram is None:
        return 0.0, 1.0
    edges = lesion.histogram.pixels[0].astype(float)
    high = float(edges[-1] + (edges[-1] - edges[-2]))
    low = min(0.0, float(edges[0]))
    return low, high if high > low else low + 1.0


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)
        spine.set_color("#999999")
    axes.tick_params(labelsize=6, width=0.4, length=2, pad=1.5, colors=theme.INK)


def _map(axes: Axes, lesion: Shown) -> None:
    axes.set_axis_off()
    panel = lesion.image
    if panel is None:
        axes.text(0.5, 0.5, "no picture kept", ha="center", va="center", fontsize=6.5,
                  color=theme.QUIET)  # fmt: skip
        return
    low, high = _span(lesion)
    rows, columns = panel.pixels.shape
    height, width = rows * panel.spacing[0], columns * panel.spacing[1]
    axes.imshow(
        panel.pixels, cmap=COLOURS, vmin=low, vmax=high, extent=(0.0, width, height, 0.0),
        interpolation="nearest", aspect="equal",
    )  # fmt: skip
    for mask in panel.outlines.values():
        # A border of zeros closes the outline of a lesion that touches the picture's edge.
        padded = np.pad(np.asarray(mask, dtype=float), 1)
        x = (np.arange(-1, columns + 1) + 0.5) * width / columns
        y = (np.arange(-1, rows + 1) + 0.5) * height / rows
        axes.contour(x, y, padded, levels=[0.5], colors=["#56B4E9"], linewidths=1.0)
    if width > 14:
        for colour, thick in (("black", 3.0), ("white", 1.6)):
            axes.plot([2, 12], [height - 2] * 2, color=colour, lw=thick, solid_capstyle="butt")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _histogram(axes: Axes, lesion: Shown) -> None:
    import matplotlib

    _plain(axes)
    panel = lesion.histogram
    if panel is None:
        axes.set_axis_off()
        return
    edges, imaged, bare = panel.pixels.astype(float)
    step = float(edges[1] - edges[0])
    low, high = _span(lesion)
    shares = np.clip((edges + step / 2 - low) / (high - low), 0, 1)
    axes.bar(
        edges, 100 * imaged, width=step, align="edge", color=matplotlib.colormaps[COLOURS](shares),
        edgecolor="#bbbbbb", linewidth=0.2,
    )  # fmt: skip
    if np.isfinite(bare).all():
        axes.stairs(100 * bare, np.append(edges, edges[-1] + step), color="black", lw=0.9)
    axes.set_xlim(low, high)
    # One bin of noise-free volume may hold nearly all: the rest must stay readable.
    axes.set_ylim(0, 110 * max(float(imaged.max()), min(float(np.nan_to_num(bare).max()),
                                                       2.5 * float(imaged.max()))))  # fmt: skip
    axes.locator_params(axis="both", nbins=4)
    unit = wording.metric_unit("", panel.unit)
    quantity = panel.quantity.replace("_", " ").replace("$", r"\$")
    axes.set_xlabel(f"{quantity} ({unit})" if unit else quantity, fontsize=6.5, labelpad=1.5)
    axes.set_ylabel("% of volume", fontsize=6.5, labelpad=1.5)


def _coverage(axes: Axes, lesion: Shown) -> None:
    _plain(axes)
    found = [(STEP.fullmatch(name), row) for name, row in lesion.rows.items()]
    for twin in ("_uncorrected", None):
        steps = sorted(
            (float(at[1]), *(100 * float(row[name]) for name in ("value", "low", "high")))
            for at, row in found
            if at is not None and at[2] == twin
        )
        if not steps:
            continue
        x, y, low, high = np.array(steps).T
        if twin is None:
            axes.fill_between(x, low, high, color=theme.COLOURS[0], alpha=0.18, lw=0)
            axes.plot(x, y, color=theme.COLOURS[0], lw=1.2, marker="o", ms=2.2)
        else:
            axes.plot(x, y, color=theme.QUIET, lw=0.8, ls="--")
    if all(at is None for at, _ in found):
        axes.set_axis_off()
        return
    axes.axvline(100, color="#999999", lw=0.5, ls=":")
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 50, 100])
    axes.set_xticks([50, 100, 150, 200])
    axes.set_xlabel(f"% of {_threshold(lesion)}", fontsize=6.5, labelpad=1.5)
    axes.set_ylabel("% of volume", fontsize=6.5, labelpad=1.5)


def _threshold(lesion: Shown) -> str:
    """The threshold in the study's own words, as the method of the rows has it."""
    method = str(lesion.rows.get("coverage", {}).get("method") or "")
    words = method.removeprefix("at ").partition(";")[0] if method.startswith("at ") else ""
    words = words if 0 < len(words) <= 30 else "the threshold"
    return words.replace("$", r"\$")


def _depth(axes: Axes, lesion: Shown) -> None:
    _plain(axes)
    drawn = []
    for start, colour in (("rim", theme.COLOURS[2]), ("vessel", theme.COLOURS[3])):
        steps = sorted(
            (int(at[2]), row)
            for name, row in lesion.rows.items()
            if (at := SHELL.fullmatch(name)) is not None and at[1] == start
        )
        x = [_place(row, number) for number, row in steps]
        values = np.array([[row[n] for n in ("value", "low", "high")] for _, row in steps], float)
        mean = float(values[:, 0].mean()) if len(steps) else 0.0
        if not mean > 0:
            continue
        y, low, high = (values / mean).T
        axes.plot(x, y, color=colour, lw=1.2, marker="o", ms=2.2)
        axes.vlines(x, low, high, color=colour, lw=0.8)
        drawn.append((start, max(float(np.nanmax(y)), float(np.nanmax(np.nan_to_num(high))))))
    if not drawn:
        axes.set_axis_off()
        return
    axes.axhline(1.0, color="#999999", lw=0.5, ls=":")
    axes.set_ylim(0, max(1.3, 1.08 * min(max(top for _, top in drawn), 3.0)))
    axes.set_xlim(left=0)
    axes.locator_params(axis="both", nbins=4)
    axes.set_xlabel(f"mm from the {' or '.join(s for s, _ in drawn)}", fontsize=6.5, labelpad=1.5)
    axes.set_ylabel("÷ lesion mean", fontsize=6.5, labelpad=1.5)


def _place(row: dict[str, Any], number: int) -> float:
    """Mean depth in mm of a shell, as its method says it; else its number."""
    found = DEPTH.search(str(row.get("method") or ""))
    try:
        return float(found[1]) if found is not None else float(number)
    except ValueError:
        return float(number)
