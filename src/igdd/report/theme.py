"""Theme: colours that colour-blind readers tell apart, the one font, the look of every chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

FONT = "DejaVu Sans"
INK = "#222222"
QUIET = "#6b6b6b"
FAINT = "#d9d9d9"
# Okabe and Ito, "Color Universal Design", 2008; black last.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442", "#000000",
)  # fmt: skip
LESION = "#D55E00"

CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": "#ffffff",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelColor": INK,
        "titleColor": INK, "gridColor": "#ececec", "domainColor": "#999999",
        "tickColor": "#999999", "labelLimit": 190, "titlePadding": 8,
    },
    "legend": {
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "orient": "top",
        "labelColor": INK, "titleColor": INK, "labelLimit": 200, "symbolSize": 90,
        "symbolOpacity": 1,
    },
    "header": {
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal",
        "labelFontWeight": "bold", "labelColor": INK, "labelLimit": 190,
    },
    "title": {"fontSize": 12, "fontWeight": "normal", "anchor": "start", "color": INK},
}  # fmt: skip


def colours(names: Sequence[str]) -> list[str]:
    """A colour for each name in turn; they repeat beyond eight."""
    return [COLOURS[place % len(COLOURS)] for place in range(len(names))]


def font_folder() -> Path:
    """The folder of the bundled font, which comes with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
