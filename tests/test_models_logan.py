from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from graphical_curves import frames_of, input_of, one_tissue, protocol_of
from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import logan
from igdd.stages.fit import fit
from igdd.stages.fit_text import text
from igdd.types import Curves

RNG = np.random.default_rng(0)
VT = RNG.uniform(0.5, 8, 40)
K2 = RNG.uniform(0.05, 0.5, 40) / 60

# Tissue that is taken as level within each frame, against one that is not: of the late frames'
# relative change squared over 12, seen in the worst of 40 tissues.
LEVEL = 3e-4


def test_noiseless_one_tissue_curves_give_vt_and_k2():
    protocol = protocol_of(start=1200.0)
    found = logan.prepare(protocol)(one_tissue(protocol, VT, K2), None)
    assert_allclose(found.parameters[:, 0], VT, rtol=LEVEL)
    assert_allclose(-1 / found.parameters[:, 1], K2, rtol=0.02)  # seconds of b, not of VT
    assert not (found.status & ~int(Status.RESIDUAL_RUNS)).any()


def test_prediction_is_the_one_tissue_curve():
    protocol = protocol_of()
    parameters = np.stack([VT, -1 / K2, np.zeros(40)], axis=1)
    assert_allclose(logan.predict(parameters, protocol), one_tissue(protocol, VT, K2), rtol=1e-12)


def test_frame_exact_integrals_are_closer_than_those_between_middles():
    exact = protocol_of(start=1200.0)
    curves = one_tissue(exact, VT, K2)
    older = protocol_of(start=1200.0, integration="trapezium")
    bias = [
        np.abs(logan.prepare(one)(curves, None).parameters[:, 0] / VT - 1).max()
        for one in (exact, older)
    ]
    assert bias[0] < LEVEL < bias[1]


def test_a_gap_is_refused_by_name_and_bridged_on_demand():
    frames = frames_of()
    keep = np.arange(42) != 20
    gap = type(frames)(start=frames.start[keep], duration=frames.duration[keep], zero=frames.zero)
    with pytest.raises(InputError, match=r"frame 21 starts at 480 s but frame 20 ends at 420 s"):
        logan.prepare(protocol_of(gap))
    bridged = protocol_of(gap, start=1200.0, gap=60.0)
    found = logan.prepare(bridged)(one_tissue(bridged, VT, K2), None)
    assert_allclose(found.parameters[:, 0], VT, rtol=2e-3)  # a chord instead of the curve, 60 s


def test_a_scan_that_begins_after_the_bolus_is_refused():
    late = frames_of(np.full(10, 300.0), start=1800.0)
    with pytest.raises(InputError, match="first frame starts at 1800 s"):
        logan.prepare(protocol_of(late))


def test_blood_in_the_vessels_is_taken_out():
    inputs = {"plasma": input_of(), "blood": input_of(compartment="blood", scale=0.8)}
    protocol = protocol_of(inputs=inputs, held={"Vb": 0.05}, start=1200.0)
    pure = one_tissue(protocol, VT, K2)
    curves = 0.95 * pure + 0.05 * protocol.mean("blood")
    found = logan.prepare(protocol)(curves, None)
    plain = logan.prepare(protocol_of(start=1200.0))(pure, None)
    assert_allclose(found.parameters[:, :2], plain.parameters[:, :2], rtol=1e-9)
    assert_allclose(found.parameters[:, 2], 0.05)


def test_noise_lowers_vt_as_is_known_of_this_plot():
    protocol = protocol_of(start=1200.0)
    curves = np.tile(one_tissue(protocol, VT[1:2], K2[1:2]), (2000, 1))
    rng = np.random.default_rng(1)
    noisy = curves * (1 + 0.2 * rng.standard_normal(curves.shape))
    found = logan.prepare(protocol)(noisy, None)
    assert np.median(found.parameters[:, 0]) < 0.995 * VT[1]


def test_tissue_that_only_traps_is_flagged():
    protocol = protocol_of(start=1200.0)
    trapped = 1e-3 * protocol.convolve("plasma", np.zeros(1))
    found = logan.prepare(protocol)(trapped, None)
    assert found.status[0] & Status.POORLY_IDENTIFIED


def test_zero_and_missing_voxels_are_not_fitted():
    protocol = protocol_of(start=1200.0)
    curves = one_tissue(protocol, VT[:3], K2[:3])
    curves[0] = 0.0
    curves[1, 2] = np.nan
    found = logan.prepare(protocol)(curves, None)
    assert np.array_equal(found.status[:2], [Status.NOT_FITTED] * 2)
    assert np.isnan(found.parameters[:2]).all()
    assert_allclose(found.parameters[2, 0], VT[2], rtol=LEVEL)


def test_pbr28_reaches_the_published_cohort(reference):
    # Tjerkaski et al. (EJNMMI Res 2020;10:94): Logan, last 10 frames, no blood-volume correction.
    from pbr28_cohort import cohort

    mean, sd = cohort(reference, logan, last=10)
    assert_allclose(mean, [2.927, 3.779], rtol=0.005)  # acceptance: 0.5 % and 1 %
    assert_allclose(sd, [1.478, 2.069], rtol=0.01)


@pytest.mark.parametrize("model", ["patlak", "logan", "ma1"])
def test_curves_that_are_nowhere_straight_are_not_fitted_and_ask_for_no_other_input(model):
    frames = frames_of()
    values = 1e3 * np.random.default_rng(3).normal(size=(2, frames.start.size))
    noise = Curves(
        values=values,
        covariance=np.full((frames.start.size, 2, 2), np.nan),
        volume=np.ones(2),
        volume_sd=np.zeros(2),
        names=("one", "two"),
        kinds=("organ", "organ"),
        frames=frames,
        quantity="activity_concentration",
        unit="Bq/mL",
        analyte="label",
    )
    found = fit(model, noise, {"plasma": input_of()})
    assert found.flags == (("not_fitted",), ("not_fitted",))
    assert np.isnan(found.values).all()
    assert np.isnan(found.predicted).all()
    assert "t_star_by_rule none, t_star none" in text(found)
