"""Lesion panels: the lesion's own slice, and a histogram that adds up, with and without noise."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.stages.lesion_panels import FEWEST_BINS, MOST, lesion_panels
from lesions import ball, session_of

ASKED = frozenset(("heterogeneity",))


def even(sd=3.0, **known):
    """An even lesion of 10 kBq/mL below white noise."""
    rng = np.random.default_rng(5)
    values = 10.0 + sd * rng.standard_normal((24, 24, 24))
    return session_of(values, {"lesion_1": ball(16.0), "liver": ball(6.0)}, **known)


def test_a_lesion_has_its_slice_and_its_histogram():
    picture, histogram = lesion_panels(even(sd=3.0), ASKED)
    assert (picture.kind, histogram.kind) == ("lesion", "histogram")
    assert picture.title == histogram.title == "lesion_1"
    mask = picture.outlines["lesion_1"]
    assert mask.shape == picture.pixels.shape
    # The middle slice of a ball, of 16 voxels across, with 8 mm around it.
    assert int(mask.sum()) == int(ball(16.0).sum(axis=(0, 1)).max())
    assert mask.shape == (24, 24)


def test_shares_are_of_the_volume_and_sum_to_one():
    _, histogram = lesion_panels(even(sd=3.0, psf=4.0), ASKED)
    edges, imaged, bare = histogram.pixels.astype(float)
    assert imaged.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.isnan(bare).all()  # nobody said how noisy the image is
    assert (np.diff(edges) > 0).all()


def test_the_histogram_without_noise_is_that_of_an_even_lesion():
    session = even(sd=3.0, psf=None)
    session = session_of(np.asarray(session.image.values[..., 0]), {"lesion_1": ball(16.0)}, sd=3.0)
    _, histogram = lesion_panels(session, ASKED)
    edges, imaged, bare = histogram.pixels.astype(float)
    assert bare.sum() == pytest.approx(1.0, abs=1e-6)
    middle = edges + (edges[1] - edges[0]) / 2
    spread = [np.sqrt(share @ (middle - share @ middle) ** 2) for share in (imaged, bare)]
    # 2,100 voxels: the noise of 3 is there as imaged, and all but gone without it.
    assert spread[0] == pytest.approx(3.0, rel=0.1)
    assert spread[1] < 0.9


def test_values_are_those_shown_elsewhere_in_the_report():
    """Without dose and weight the image's own unit; Bq/mL would be shown as kBq/mL."""
    picture, histogram = lesion_panels(even(), ASKED)
    assert picture.unit == histogram.unit == "kBq/mL"
    assert picture.pixels.mean() == pytest.approx(10.0, abs=1.0)


@pytest.mark.parametrize("asked", [frozenset(), frozenset(("uptake", "ledger"))])
def test_nothing_is_kept_where_evenness_is_not_asked(asked):
    assert lesion_panels(even(), asked) == ()


def test_broken_lesions_are_left_out_or_drawn_as_they_are():
    values = np.full((12, 12, 12), 5.0)
    values[9:, 9:, 9:] = np.nan
    one = np.zeros(values.shape, dtype=bool)
    one[0, 0, 0] = True
    masks = {
        "lesion_voxel": one,
        "lesion_empty": np.zeros_like(one),
        "lesion_nan": np.isnan(values),
        "lesion_flat": values == 5.0,
    }
    found = lesion_panels(session_of(values, masks, sd=0.5), ASKED)
    assert [panel.title for panel in found] == ["lesion_flat"] * 2 + ["lesion_voxel"] * 2
    for panel in found[1::2]:
        edges, imaged, _ = panel.pixels
        assert imaged.max() == pytest.approx(1.0)
        assert edges[0] < 5.0 < edges[-1]
    assert found[3].pixels.shape == (3, FEWEST_BINS)


def test_only_the_largest_lesions_of_very_many_are_kept():
    values = np.arange(1000.0).reshape(10, 10, 10)
    masks = {f"lesion_{n}": np.arange(1000).reshape(values.shape) // 4 == n for n in range(MOST)}
    large = np.arange(1000).reshape(values.shape) >= 4 * MOST
    found = lesion_panels(session_of(values, {**masks, "lesion_large": large}), ASKED)
    assert len(found) == 2 * MOST
    assert found[0].title == "lesion_large"
