from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from graphical_curves import frames_of, one_tissue, protocol_of
from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import logan, ma1, ma2

RNG = np.random.default_rng(0)
VT = RNG.uniform(0.5, 8, 40)
K2 = RNG.uniform(0.05, 0.5, 40) / 60

LEVEL = 3e-4  # as for Logan's plot: the tissue is taken as level within each frame


def test_noiseless_one_tissue_curves_give_vt_and_k2():
    protocol = protocol_of(start=1200.0)
    found = ma1.prepare(protocol)(one_tissue(protocol, VT, K2), None)
    assert_allclose(found.parameters[:, 0], VT, rtol=LEVEL)
    assert_allclose(-1 / found.parameters[:, 1], K2, rtol=0.02)


def test_noise_of_five_percent_hardly_shifts_the_median():
    protocol = protocol_of(start=1200.0)
    curves = np.tile(one_tissue(protocol, VT[:1], K2[:1]), (2000, 1))
    rng = np.random.default_rng(1)
    noisy = curves * (1 + 0.05 * rng.standard_normal(curves.shape))
    found = ma1.prepare(protocol)(noisy, None)
    # The median of 2000 draws that scatter by 1.1 % is known to 0.03 %; MA1's own bias is 0.1 %.
    assert_allclose(np.median(found.parameters[:, 0]), VT[0], rtol=2e-3)


def test_covariance_follows_the_coefficients_by_the_delta_method():
    coefficients = np.array([[2e-3, -5e-4]])
    covariance = np.array([[[4e-8, 1e-8], [1e-8, 9e-9]]])
    values, carried = ma1._natural(coefficients, covariance)
    assert_allclose(values, [[4.0, -2000.0]])
    steps = 1e-6 * np.diag(coefficients[0])
    both = np.repeat(covariance, 2, axis=0)
    ends = [ma1._natural(coefficients + sign * steps, both)[0] for sign in (1, -1)]
    slopes = (ends[0] - ends[1]).T / (2e-6 * coefficients[0])
    assert_allclose(carried[0], slopes @ covariance[0] @ slopes.T, rtol=1e-6)  # of the steps


@pytest.mark.parametrize("model", [ma1, logan])
def test_standard_errors_follow_the_scatter(model):
    protocol = protocol_of(start=1200.0)
    curves = np.tile(one_tissue(protocol, VT[1:2], K2[1:2]), (3000, 1))
    rng = np.random.default_rng(4)
    sd = 0.03 * curves[0, -1] * np.sqrt(curves[0] / curves[0, -1] * 300 / protocol.frames.duration)
    found = model.prepare(protocol)(curves + sd * rng.standard_normal(curves.shape), sd)
    error = np.sqrt(np.mean(found.covariance[:, 0, 0]))
    # 3000 draws know a standard deviation to 1.3 %; what is beyond first order adds some percent.
    assert_allclose(error, found.parameters[:, 0].std(), rtol=0.08)


def test_a_tissue_without_a_steady_ratio_is_flagged():
    protocol = protocol_of(start=1200.0)
    rng = np.random.default_rng(6)
    noisy = 1e3 * rng.standard_normal((200, 42))
    found = ma1.prepare(protocol)(noisy, None)
    wild = ~((found.parameters[:, 0] > 1 / 3) & (found.parameters[:, 0] < 3))
    assert (found.status[wild] & (Status.POORLY_IDENTIFIED | Status.NOT_FITTED) > 0).mean() > 0.95


@pytest.mark.parametrize("model", [ma1, ma2, logan])
def test_a_volume_below_zero_is_flagged_however_well_the_curve_tells_it(model):
    protocol = protocol_of(start=1200.0)
    rng = np.random.default_rng(7)
    curves = -one_tissue(protocol, VT, K2)
    curves *= 1 + 0.01 * rng.standard_normal(curves.shape)
    found = model.prepare(protocol)(curves, None)
    volume = model.derive(found.parameters)[:, 0] if model is ma2 else found.parameters[:, 0]
    assert (volume < 0).any()
    assert (found.status[volume < 0] & Status.POORLY_IDENTIFIED > 0).all()


def test_a_gap_is_refused():
    frames = frames_of()
    keep = np.arange(42) != 30
    gap = type(frames)(start=frames.start[keep], duration=frames.duration[keep], zero=frames.zero)
    with pytest.raises(InputError, match="expected frames in a row"):
        ma1.prepare(protocol_of(gap))


def test_pbr28_reaches_the_published_cohort(reference):
    # Tjerkaski et al. (EJNMMI Res 2020;10:94): MA1, last 6 frames, unweighted.
    from pbr28_cohort import cohort

    mean, sd = cohort(reference, ma1, last=6)
    assert_allclose(mean, [3.121, 4.040], rtol=0.005)  # acceptance: 0.5 % and 1 %
    assert_allclose(sd, [1.505, 2.246], rtol=0.01)
