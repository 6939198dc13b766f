"""Windows: the colours of a map are those of tissue, whatever vessels, air and failed fits hold."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.report.windows import Window, window
from igdd.results import Panel

SHAPE = (20, 30)
CORTEX, VESSEL = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
CORTEX[2:10, 2:14] = True
VESSEL[12:18, 20:28] = True


def panel(tissue, *, outside=0.0, vessel=0.0, regions=True, **changes) -> Panel:
    """A map with what `tissue` (low, high) spans evenly in the cortex."""
    pixels = np.full(SHAPE, outside, dtype=np.float32)
    pixels[CORTEX] = np.linspace(*tissue, CORTEX.sum())
    pixels[VESSEL] = vessel
    plain = {
        "subject": "01", "session": "base", "kind": "map", "title": "transverse slice",
        "pixels": pixels, "spacing": (2.0, 2.0), "quantity": "logan VT", "unit": "mL/cm3",
        "outlines": {"cortex": CORTEX, "aorta": VESSEL} if regions else {},
        "kinds": {"cortex": "organ", "aorta": "blood"},
    }  # fmt: skip
    return Panel(**(plain | changes))


def test_vessel_and_background_do_not_set_the_scale():
    found = window([panel((0.1, 0.2), outside=30.0, vessel=30.0)])
    # 98 % of the way from 0.1 to 0.2, to the 0.02 between the quantiles that are kept
    assert (found.low, found.high) == (0.0, pytest.approx(0.198, rel=1e-3))
    assert "from 0 to the 98th percentile" in found.words
    assert "blood left out" in found.words


def test_flagged_voxels_do_not_set_the_scale():
    one = panel((0.1, 0.2))
    pixels, flagged = one.pixels.copy(), np.zeros(SHAPE, dtype=bool)
    pixels[2:6, 2:14], flagged[2:6, 2:14] = 30.0, True
    found = window([panel((0.1, 0.2), pixels=pixels, flagged=flagged)])
    assert found.high <= 0.2
    assert "unflagged voxels" in found.words


def test_a_map_whose_fits_are_all_flagged_has_the_scale_of_all():
    found = window([panel((0.1, 0.2), flagged=np.ones(SHAPE, dtype=bool))])
    assert found.high == pytest.approx(0.198, rel=1e-3)


def test_a_map_of_negative_numbers_shows_them_and_nothing_is_dark():
    found = window([panel((-30.0, -10.0), outside=40.0)])
    assert (found.low, found.high, found.colours) == (pytest.approx(-29.6), 0.0, "inferno_r")
    assert found.strength(np.array([0.0, -30.0])).tolist() == [0.0, 1.0]


def test_two_signs_diverge_about_zero():
    found = window([panel((-2.0, 3.0))])
    assert found.low == -found.high
    assert found.colours == "berlin"


def test_noise_below_zero_is_no_second_sign():
    found = window([panel((-0.1, 3.0))])
    assert found.low == pytest.approx(-0.1 + 0.02 * 3.1)
    assert found.colours == "inferno"


def test_a_small_lesion_counts_as_much_as_a_large_organ():
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[0, 0:2] = True
    one = panel((0.1, 0.2))
    pixels = one.pixels.copy()
    pixels[lesion] = 1.0
    regions = {"cortex": CORTEX, "lesion": lesion}
    found = window([panel((0.1, 0.2), pixels=pixels, outlines=regions, kinds={})])
    assert found.high == 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_without_a_number_has_a_window_all_the_same(value):
    pixels = np.full(SHAPE, value, dtype=np.float32)
    found = window([panel((0, 1), pixels=pixels)])
    assert (found.low, found.high) == (0.0, 1.0)


def test_without_regions_the_scale_is_that_of_all_voxels():
    found = window([panel((0.1, 0.2), outside=5.0, regions=False)])
    assert found.high == 5.0
    assert "regions" not in found.words


def test_huge_numbers_saturate_without_overflow():
    one = Window(low=0.0, high=1e-9, colours="inferno", words="")
    pixels = np.array([3e38, -3e38, np.inf, np.nan, 5e-10], dtype=np.float32)
    with np.errstate(all="raise"):
        seen = one.strength(pixels)
    assert seen[[0, 1, 2, 3]].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert one.beyond([pixels]) == "both"
    assert Window(low=0.0, high=1.0, colours="", words="").beyond([np.array([0.5])]) == "neither"
