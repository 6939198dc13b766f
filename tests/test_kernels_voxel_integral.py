"""Decays of voxels: the same as region by region, streamed, unclipped, and at what speed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.time_activity import physical
from igdd.kernels.time_integral import trapezoid
from igdd.kernels.voxel_integral import FALLBACK, HELD, MISSING, integrate, parts

HOURS = np.array([4.0, 24.0, 72.0, 96.0])
DECAY = 0.00434


def test_two_images_give_what_the_rule_gives_region_by_region():
    rng = np.random.default_rng(2)
    images = rng.uniform(1, 10, 200) * np.exp(-rng.uniform(0.006, 0.05, 200) * HOURS[:2, None])
    found = integrate(HOURS[:2], images, DECAY, fallback=0.01)
    rows = physical(HOURS[:2], images.T, None, rate=DECAY, corrected_to="none")
    expected = trapezoid(rows, "triangle", "last_two")
    assert_allclose(found.decays, expected.decays, rtol=1e-10)
    assert_allclose(found.tail, expected.decays * expected.tail_share, rtol=1e-10)


def test_single_precision_images_are_integrated_in_double():
    images = (8 * np.exp(-0.02 * HOURS))[:, None].repeat(3, axis=1)
    double = integrate(HOURS, images, DECAY, fallback=0.01)
    single = integrate(HOURS, images.astype(np.float32), DECAY, fallback=0.01)
    assert single.decays.dtype == np.float64
    assert_allclose(single.decays, double.decays, rtol=1e-5)  # of the stored values


def test_what_a_voxel_cannot_say_its_region_says():
    images = np.array([[5.0, 5.0, 5.0, np.nan], [4.0, 6.0, 1.0, 2.0], [3.9, 7.0, -0.5, 1.0]])
    found = integrate(HOURS[:3], images, DECAY, fallback=0.01)
    assert found.bits.tolist() == [HELD, FALLBACK, FALLBACK, MISSING]
    assert_allclose(found.tail[:3], [3.9 / DECAY, 7.0 / 0.01, -0.5 / 0.01])
    assert np.isnan(found.decays[3])


def test_noise_around_zero_stays_around_zero():
    rng = np.random.default_rng(5)
    images = rng.standard_normal((4, 100_000))
    found = integrate(HOURS, images, DECAY, fallback=0.02, own=False)
    # mean of 100,000 voxels whose standard deviation is about 90
    assert abs(found.decays.mean()) < 5 * found.decays.std() / np.sqrt(100_000)


def test_a_regions_rate_bends_no_mean():
    rng = np.random.default_rng(6)
    truth = np.exp(-0.02 * HOURS)
    images = truth[:, None] + 0.5 * rng.standard_normal((4, 200_000))
    kept = integrate(HOURS, images, DECAY, fallback=0.02, own=False).decays.mean()
    whole = integrate(HOURS, truth[:, None], DECAY, fallback=0.02, own=False).decays[0]
    assert_allclose(kept, whole, rtol=0.01)  # five standard errors are 0.8 %
    # as the module says: own rates bend it upwards
    assert integrate(HOURS, images, DECAY, fallback=0.02).decays.mean() > 1.1 * whole


def test_parts_make_the_whole():
    rng = np.random.default_rng(7)
    images = rng.uniform(0.1, 5, (4, 1001))
    whole = integrate(HOURS, images, DECAY, fallback=0.01).decays
    pieces = np.full(1001, np.nan)
    for where, part in parts(1001, lambda where: images[:, where], size=100):
        pieces[where] = integrate(HOURS, part, DECAY, fallback=0.01).decays
    assert np.array_equal(whole, pieces)


@pytest.mark.parametrize(
    ("time", "shape", "rates", "last", "message"),
    [([4.0], (1, 3), (0.01, 0.02), 3, "two or more"), ([4.0, 5.0], (3, 3), (0.01, 0.02), 3, "two"),
     ([4.0, 4.0], (2, 3), (0.01, 0.02), 3, "ascend"), ([-4.0, 4.0], (2, 3), (0.01, 0.02), 3, "asc"),
     ([4.0, 5.0], (2, 3), (0.02, 0.01), 3, "at least the decay constant"),
     ([4.0, 5.0], (2, 3), (0.0, 0.01), 3, "above 0"),
     ([4.0, 5.0], (2, 3), (0.01, 0.02), 1, "2 or more")],
)  # fmt: skip
def test_what_cannot_be_integrated_is_refused(time, shape, rates, last, message):
    with pytest.raises(InputError, match=message):
        integrate(np.array(time), np.ones(shape), rates[0], fallback=rates[1], last=last)
