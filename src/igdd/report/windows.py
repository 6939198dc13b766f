"""Windows: which numbers the colours of a row of pictures span, and the colours themselves.

Projections and slices go from zero to their bright end. A parametric map may be negative, and has
numbers that mean nothing (vessels, air, fits at a bound): its window is that of tissue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from igdd.results import Panel

# The window ends at this percentile of the pictures' pixels; hot spots saturate. A projection is
# bright along every line through an organ, a slice only where it cuts one.
SATURATED = {"projection": 98.0, "slice": 99.5}
# A map's window: percentiles over regions that count alike, whatever their size.
TISSUE = (2.0, 98.0)
LEVELS = np.linspace(0.0, 1.0, 51)
# A region counts where so many of its fits carry no flag: the rest of a failed one is chance.
LEAST_UNFLAGGED = 0.5
# A smaller share than this below (or above) zero is noise about zero, no second sign.
SECOND_SIGN = 0.25


@dataclass(frozen=True, kw_only=True)
class Window:
    """The ends of a colour scale, in the pictures' unit, its colours, and what it is in words."""

    low: float
    high: float
    colours: str
    words: str

    def clipped(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels with what lies beyond at the window's ends; a missing one stays missing."""
        return np.asarray(np.clip(np.asarray(pixels, dtype=float), self.low, self.high))

    def strength(self, pixels: np.ndarray) -> np.ndarray:
        """How far from the colour of nothing a pixel is, from 0 to 1; a missing one is 0."""
        most = max(abs(self.low), abs(self.high))
        return np.asarray(np.nan_to_num(np.abs(self.clipped(pixels)) / most, nan=0.0))

    def beyond(self, pixels: Sequence[np.ndarray]) -> str:
        """Which ends pixels saturate at, as matplotlib's colour bars say it."""
        below = any(bool((one < self.low).any()) for one in pixels)
        above = any(bool((one > self.high).any()) for one in pixels)
        return ("neither", "min", "max", "both")[below + 2 * above]


def window(panels: Sequence[Panel], *, projection: bool = False) -> Window:
    """One window for a row of pictures of one quantity."""
    if panels[0].kind == "map":
        return _of_map(panels)
    low, high = _bright(panels, SATURATED["projection" if projection else "slice"])
    return Window(
        low=low,
        high=high,
        colours="gray_r" if projection else "inferno",
        words="All pictures share one colour scale; beyond its end they saturate.",
    )


def _bright(panels: Sequence[Panel], percentile: float) -> tuple[float, float]:
    """From zero to the median of the pictures' bright ends: one hot spot must not hide the rest."""
    ends = [
        float(np.percentile(finite.astype(float), percentile))
        for panel in panels
        if (finite := panel.pixels[np.isfinite(panel.pixels)]).size
    ]
    top = float(np.median(ends)) if ends else 1.0
    return (0.0, top) if top > 0 else (min(ends, default=0.0), max(top, 0.0) + 1e-9)


def _of_map(panels: Sequence[Panel]) -> Window:
    """From zero to what tissue reaches, or about zero where it has both signs."""
    unflagged = [one for panel in panels for one in _quantiles(panel, unflagged=True)]
    curves = unflagged or [one for panel in panels for one in _quantiles(panel, unflagged=False)]
    low, high = (0.0, 0.0)
    if curves:
        low, high = (float(end) for end in np.percentile(np.concatenate(curves), TISSUE))
    first, last = (f"{end:g}{'nd' if end == 2 else 'th'} percentile" for end in TISSUE)
    colours = "inferno"
    if low >= 0:
        low, high, span = 0.0, high or 1.0, f"from 0 to the {last}"
    elif high <= 0:
        # Reversed: nothing is dark, whichever its sign.
        high, colours, span = 0.0, "inferno_r", f"from the {first} to 0"
    elif min(-low, high) < SECOND_SIGN * max(-low, high):
        colours = "inferno" if high > -low else "inferno_r"
        span = f"from the {first} to the {last}"
    else:
        high = max(-low, high)
        low, colours, span = -high, "berlin", f"about 0, to the {first} or the {last}"
    return Window(low=low, high=high, colours=colours, words=_words(panels, span, bool(unflagged)))


def _words(panels: Sequence[Panel], span: str, unflagged: bool) -> str:
    flags = unflagged and any(panel.flagged is not None for panel in panels)
    whose = f"the {'unflagged ' if flags else ''}voxels"
    if any(panel.outlines for panel in panels):
        blood = any(kind == "blood" for panel in panels for kind in panel.kinds.values())
        whose += " inside the regions" + (", blood left out" if blood else "")
    return (
        f"All pictures share one colour scale, {span} of {whose}; beyond it they saturate. "
        "Grey or clear: no value."
    )


def _quantiles(panel: Panel, *, unflagged: bool) -> Iterator[np.ndarray]:
    """Quantiles of each tissue of a map; of its unflagged fits only, where they are enough."""
    finite = np.isfinite(panel.pixels)
    flagged = panel.flagged if panel.flagged is not None else np.zeros(finite.shape, dtype=bool)
    for mask in _tissues(panel):
        inside = mask & finite
        chosen = inside & ~flagged if unflagged else inside
        if chosen.any() and chosen.sum() >= LEAST_UNFLAGGED * inside.sum():
            yield np.quantile(panel.pixels[chosen].astype(float), LEVELS)


def _tissues(panel: Panel) -> list[np.ndarray]:
    """Masks of the regions but blood and remainder; all where there are no others."""
    tissues = [
        np.asarray(mask, dtype=bool)
        for name, mask in panel.outlines.items()
        if panel.kinds.get(name) not in ("blood", "remainder") and mask.any()
    ]
    every = [np.asarray(mask, dtype=bool) for mask in panel.outlines.values() if mask.any()]
    return tissues or every or [np.ones(panel.pixels.shape, dtype=bool)]
