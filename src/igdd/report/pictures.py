"""Pictures: projections and slices side by side, one scale, region outlines, a bar with the unit.

Projections are dark where much is; slices lie over the anatomy where there is one. All pictures
of a row share one window, so that subjects can be compared by eye.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import theme, wording
from igdd.report.overview import Overview, natural
from igdd.report.parameters import macro_first
from igdd.report.windows import Window, window
from igdd.results import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
MOST_SLICES = 4
MOST_MAPS = 8
MAPS_ACROSS = 3
TALL = 1.6
MOST_COLOURS = 6
ACROSS = 4
ACROSS_TALL = 6
TALLEST = 4.6  # inches
WIDTH = 8.4  # inches
PIXELS_PER_INCH = 110
POINTS_PER_INCH = 72
# The anatomy stays dark enough for the overlay to stand out.
DIMMED = 1.7


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG with its heading, its caption, and a text for those who cannot see it."""

    name: str
    title: str
    caption: str
    png: bytes


def pictures(view: Overview) -> tuple[Picture, ...]:
    """Projections, then slices, then a row for each parametric map; what was chosen from how many.

    The names of maps begin with "map".
    """
    panels = [panel for panel in view.results.panels if panel.pixels.size]
    arms = dict(zip(view.rows["subject"], view.rows["arm"], strict=True))
    rows = [
        ("projections", "Maximum-intensity projections", MOST,
         [panel for panel in panels if panel.kind.startswith("mip_")]),
        ("slices", "Slices", MOST_SLICES, [panel for panel in panels if panel.kind == "slice"]),
        *((f"map-{quantity}".replace(" ", "-"), f"Parametric map: {_spelled(quantity)}",
           MOST_SLICES,
           [panel for panel in panels if panel.kind == "map" and panel.quantity == quantity])
          for quantity in _maps(panels)[:MOST_MAPS]),
    ]  # fmt: skip
    found = []
    for name, title, most, candidates in rows:
        coronal = [panel for panel in candidates if panel.kind == "mip_coronal"]
        several = len({(panel.subject, panel.session) for panel in coronal}) > 1
        candidates = coronal if several else candidates
        chosen = choose(candidates, view, most)
        if not chosen:
            continue
        scale = window(chosen, projection=name == "projections")
        found.append(
            Picture(
                name=name,
                title=title,
                caption=_caption(chosen, len(candidates), view, scale.words),
                png=_drawn(chosen, scale, arms),
            )
        )
    return tuple(found)


def _maps(panels: Sequence[Panel]) -> list[str]:
    """The quantities of maps, model by model; what a model is asked for comes first."""
    named = dict.fromkeys(panel.quantity for panel in panels if panel.kind == "map")
    models: dict[str, list[str]] = {}
    for quantity in named:
        model, _, name = quantity.rpartition(" ")
        models.setdefault(model, []).append(name)
    return [
        f"{model} {name}".strip() for model, names in models.items() for name in macro_first(names)
    ]


def _spelled(quantity: str) -> str:
    """A map's quantity, model and parameter, as the field spells it."""
    model, _, name = quantity.rpartition(" ")
    return f"{wording.model_name(model)} {name}".strip()


def choose(panels: Sequence[Panel], view: Overview, most: int) -> list[Panel]:
    """The pictures to show: those of the most frequent unit, the headline session first, arms in
    turn.

    Where there is room, the other sessions follow, in the same order of subjects.
    """
    if not panels:
        return []
    focused = [p for p in panels if p.session == view.focus] or panels
    usual = Counter((p.quantity, p.unit) for p in focused).most_common(1)[0][0]
    same = [p for p in panels if (p.quantity, p.unit) == usual]
    arms = dict(zip(view.rows["subject"], view.rows["group"], strict=True))
    turn: dict[str, int] = {}
    ranked = {}
    for subject in sorted({p.subject for p in same}, key=natural):
        arm = str(arms.get(subject, ""))
        ranked[subject] = (turn.setdefault(arm, 0), arm)
        turn[arm] += 1
    order = {name: place for place, name in enumerate(view.sessions)}
    chosen = sorted(
        same,
        key=lambda p: (
            p.session != view.focus, ranked[p.subject], order.get(p.session, 0), p.kind, p.title,
        ),
    )[:most]  # fmt: skip
    return sorted(
        chosen,
        key=lambda p: (
            arms.get(p.subject, ""), natural(p.subject), order.get(p.session, 0), p.kind, p.title,
        ),
    )  # fmt: skip


def _caption(chosen: Sequence[Panel], available: int, view: Overview, what: str) -> str:
    if available > len(chosen):
        when = wording.at_session(view.focus)
        what += (
            f" {len(chosen)} of {available} pictures: those {when or 'of the first session'} "
            "first, the arms in turn."
        )
    if any(panel.outlines for panel in chosen):
        what += " Lines: region outlines."
    return what + " The subject's right is on the left."


def _drawn(panels: Sequence[Panel], scale: Window, arms: Mapping[str, str]) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # The user's own matplotlibrc must not change the report.
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"font.family": theme.FONT}):
        figure = Figure(dpi=PIXELS_PER_INCH)
        FigureCanvasAgg(figure)
        _compose(figure, panels, scale, arms)
        target = io.BytesIO()
        figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _compose(
    figure: Figure, panels: Sequence[Panel], scale: Window, arms: Mapping[str, str]
) -> None:
    aspect = min(max(max(_size(panel)[0] / _size(panel)[1] for panel in panels), 0.3), 4.0)
    columns = min(ACROSS_TALL if aspect > TALL else ACROSS, len(panels))
    if panels[0].kind == "map":
        columns = max(columns, MAPS_ACROSS)  # many maps of few subjects: each stays small
    rows = -(-len(panels) // columns)
    height = min(aspect * 0.88 * WIDTH / columns, TALLEST)
    total = rows * (height + 0.34) + 0.6
    figure.set_size_inches(WIDTH, total)
    grid = figure.add_gridspec(
        rows, columns, left=0.01, right=0.89, top=1 - 0.2 / total, bottom=0.62 / total,
        wspace=0.05, hspace=0.34 / height,
    )  # fmt: skip
    palette = _palette(panels)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        _show(axes, panel, scale)
        _outline(axes, panel, palette)
        axes.set_title(
            _label(panel, arms.get(panel.subject, "")), fontsize=7, color=theme.INK, pad=3
        )
    bar_height = min(0.7, 2.6 / total)
    # Beside the last picture of a row, also where a row is not full.
    ends = [grid[0, place].get_position(figure).x1 for place in range(min(columns, len(panels)))]
    beside = max(ends) + 0.015
    _bar(figure, (beside, 0.5 - bar_height / 2 + 0.15 / total, 0.016, bar_height), panels, scale)
    _legend(figure, palette)


def _bar(
    figure: Figure, place: tuple[float, float, float, float], panels: Sequence[Panel], scale: Window
) -> None:
    """The one colour bar of a row of pictures, in a unit that keeps its numbers short."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    quantity = panels[0].quantity
    size = max(abs(scale.low), abs(scale.high))
    factor, unit = wording.scaled(quantity.replace(" ", "_"), panels[0].unit, size)
    colours = ScalarMappable(Normalize(scale.low * factor, scale.high * factor), scale.colours)
    bar = figure.colorbar(
        colours, cax=figure.add_axes(place), extend=scale.beyond([one.pixels for one in panels])
    )
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=7, width=0.4, length=2)
    # The title says the model of a map; the bar is short.
    name = quantity.rpartition(" ")[2] if panels[0].kind == "map" else quantity.replace("_", " ")
    label = f"{name} ({unit})" if unit else name
    # A letter is about 0.6 of its size wide; a label that runs out of the figure would be cut.
    middle = place[1] + place[3] / 2
    room = 2 * min(middle, 1 - middle) * figure.get_figheight() * POINTS_PER_INCH
    bar.set_label(label, fontsize=min(7.5, room / (0.6 * len(label))))


def _label(panel: Panel, arm: str) -> str:
    """Subject, arm and session, and the view where it is not the usual one; `$` is no formula."""
    parts = [panel.subject, arm, wording.session_name(panel.session)]
    if panel.kind == "mip_sagittal":
        parts.append("sagittal")
    if panel.kind in ("slice", "map"):
        parts.append(panel.title.removeprefix("transverse slice through ").strip())
    text = " · ".join(part for part in parts if part)
    text = text if len(text) <= 44 else text[:43] + "…"
    return text.replace("$", r"\$")


def _size(panel: Panel) -> tuple[float, float]:
    """Height and width of a picture in mm."""
    return panel.pixels.shape[0] * panel.spacing[0], panel.pixels.shape[1] * panel.spacing[1]


def _show(axes: Axes, panel: Panel, scale: Window) -> None:
    """A picture in the row's one colours, over the anatomy where there is one."""
    import matplotlib

    height, width = _size(panel)
    # A map's voxels are fits of their own: smoothing would spread a missing or a failed one.
    smooth = "nearest" if panel.kind == "map" else "bilinear"
    placed: dict[str, Any] = {
        "extent": (0.0, width, height, 0.0), "interpolation": smooth, "aspect": "equal",
    }  # fmt: skip
    over = placed | {"vmin": scale.low, "vmax": scale.high}
    axes.set_axis_off()
    pixels = scale.clipped(panel.pixels)
    if panel.under is None:
        colours = matplotlib.colormaps[scale.colours].with_extremes(bad=theme.FAINT)
        axes.imshow(pixels, cmap=colours, **over)
        return
    finite = panel.under[np.isfinite(panel.under)]
    dark, light = np.percentile(finite, (2, 99)) if finite.size else (0.0, 1.0)
    axes.imshow(
        panel.under, cmap="gray", vmin=dark, vmax=dark + max(light - dark, 1e-9) * DIMMED, **placed
    )
    seen = np.clip(scale.strength(pixels) * 2, 0.0, 0.9)
    axes.imshow(pixels, cmap=scale.colours, alpha=seen, **over)


def _palette(panels: Sequence[Panel]) -> dict[str, str]:
    """Region -> colour: lesions share one, the most frequent organs have their own."""
    seen: dict[str, int] = {}
    kinds: dict[str, str] = {}
    for panel in panels:
        kinds |= panel.kinds
        for name, mask in panel.outlines.items():
            seen[name] = seen.get(name, 0) + int(np.count_nonzero(mask))
    lesions = [name for name in seen if kinds.get(name) == "lesion"]
    rest = sorted((n for n in seen if n not in lesions), key=lambda n: (-seen[n], natural(n)))
    hues = [colour for colour in theme.COLOURS if colour not in (theme.LESION, "#000000")]
    palette = {name: hues[i] if i < MOST_COLOURS else "#8a8a8a" for i, name in enumerate(rest)}
    return palette | dict.fromkeys(lesions, theme.LESION)


def _outline(axes: Axes, panel: Panel, palette: dict[str, str]) -> None:
    height, width = _size(panel)
    rows, columns = panel.pixels.shape
    y = (np.arange(-1, rows + 1) + 0.5) * height / rows
    x = (np.arange(-1, columns + 1) + 0.5) * width / columns
    order = sorted(panel.outlines, key=lambda n: (panel.kinds.get(n) == "lesion", natural(n)))
    for name in order:
        # A border of zeros closes the outline of a region that touches the picture's edge.
        mask = np.pad(np.asarray(panel.outlines[name], dtype=float), 1)
        if mask.any() and mask.shape == (rows + 2, columns + 2):
            axes.contour(x, y, mask, levels=[0.5], colors=[palette[name]], linewidths=0.9)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _legend(figure: Figure, palette: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    entries: dict[str, str] = {}
    for name, colour in palette.items():
        label = name.replace("$", r"\$")[:28]
        label = "other regions" if colour == "#8a8a8a" else label
        entries["lesions" if colour == theme.LESION else label] = colour
    if not entries:
        return
    handles = [Line2D([], [], color=colour, lw=1.6) for colour in entries.values()]
    figure.legend(
        handles, [str(label) for label in entries], loc="lower left", bbox_to_anchor=(0.01, 0.0),
        ncols=min(len(entries), 6), fontsize=7, frameon=False, handlelength=1.4,
        columnspacing=1.2,
    )  # fmt: skip
