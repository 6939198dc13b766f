from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from graphical_curves import frames_of, input_of, protocol_of
from igdd.errors import InputError
from igdd.kinetics import Status
from igdd.models import patlak

RNG = np.random.default_rng(0)
TRUTH = np.stack([RNG.uniform(1e-5, 1e-3, 40), RNG.uniform(0.1, 0.8, 40), np.zeros(40)], axis=1)


def test_noiseless_curves_give_their_parameters_back():
    protocol = protocol_of(start=0.0)
    found = patlak.prepare(protocol)(patlak.predict(TRUTH, protocol), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-10)  # linear, in double precision
    assert not found.status.any()


@pytest.mark.parametrize("integration", ["exact", "instant", "trapezium"])
def test_each_way_of_integrating_is_its_own_inverse(integration):
    protocol = protocol_of(start=600.0, integration=integration)
    everywhere = protocol_of(integration=integration)
    found = patlak.prepare(protocol)(patlak.predict(TRUTH, everywhere), None)
    assert_allclose(found.parameters, TRUTH, rtol=1e-9)


def test_late_frames_alone_count_and_hours_may_lie_between_them():
    early = frames_of()
    hours = 3600.0 * np.array([1, 2, 3, 5])
    frames = type(early)(start=hours, duration=np.full(4, 600.0), zero=early.zero)
    protocol = protocol_of(frames, {"plasma": input_of(2e4)}, start=3000.0)
    found = patlak.prepare(protocol)(patlak.predict(TRUTH, protocol), None)
    assert_allclose(found.parameters[:, 0], TRUTH[:, 0], rtol=1e-9)


def test_blood_in_the_vessels_is_taken_out():
    inputs = {"plasma": input_of(), "blood": input_of(compartment="blood", scale=0.7)}
    protocol = protocol_of(inputs=inputs, held={"Vb": 0.06}, start=600.0)
    truth = TRUTH + np.array([0, 0, 0.06])
    curves = patlak.predict(truth, protocol_of(inputs=inputs))
    pure = patlak.predict(TRUTH, protocol_of())
    blood = protocol.mean("blood")
    assert_allclose(curves, 0.94 * pure + 0.06 * blood, rtol=1e-12)
    found = patlak.prepare(protocol)(curves, None)
    assert_allclose(found.parameters, truth, rtol=1e-9)
    assert_allclose(found.predicted[:, 30:], curves[:, 30:], rtol=1e-9)
    assert not found.covariance[:, 2].any()


def test_t_star_is_chosen_by_rule_and_stands_beside_a_fixed_one():
    protocol = protocol_of()
    # Something that comes and goes in the first ten minutes bends the plot there.
    bent = patlak.predict(TRUTH[:1], protocol)
    bent = bent + 3e4 * np.exp(-protocol.frames.middle / 150)
    by_rule = patlak.prepare(protocol)(bent, None)
    fixed = patlak.prepare(protocol_of(start=1800.0))(bent, None)
    assert 60 < by_rule.notes["t_star"] < 1800
    assert by_rule.notes["t_star"] == by_rule.notes["t_star_by_rule"]
    assert fixed.notes["t_star"] == 1800
    assert fixed.notes["t_star_by_rule"] == by_rule.notes["t_star"]
    again = patlak.prepare(protocol_of(start=by_rule.notes["t_star"]))(bent, None)
    assert_allclose(again.parameters, by_rule.parameters)


def test_a_plot_that_is_nowhere_straight_is_not_fitted():
    rng = np.random.default_rng(3)
    curves = rng.standard_normal((1, 42)) * 1e3
    found = patlak.prepare(protocol_of())(curves, None)
    assert found.status[0] == Status.NOT_FITTED
    assert np.isnan(found.parameters).all()
    assert np.isnan(found.notes["t_star"])


def test_standard_errors_cover_the_noise_that_made_them():
    protocol = protocol_of(start=900.0)
    clean = patlak.predict(np.tile(TRUTH[:1], (4000, 1)), protocol_of())
    # Equal noise on the plot's ordinate, which is what the regression assumes.
    rng = np.random.default_rng(2)
    curves = clean + 0.05 * protocol.mean("plasma") * rng.standard_normal(clean.shape)
    found = patlak.prepare(protocol)(curves, None)
    error = np.sqrt(np.einsum("njj->nj", found.covariance))[:, :2]
    scatter = found.parameters[:, :2].std(axis=0)
    # 4000 draws know a standard deviation to 1.1 %; three of these.
    assert_allclose(np.sqrt((error**2).mean(axis=0)), scatter, rtol=0.035)


def test_bootstrap_errors_are_seeded_and_near_those_of_the_regression():
    clean = patlak.predict(TRUTH[:4], protocol_of())
    protocol = protocol_of(start=900.0, replicates=400.0)
    rng = np.random.default_rng(5)
    curves = clean + 0.05 * protocol.mean("plasma") * rng.standard_normal(clean.shape)
    found = patlak.prepare(protocol)(curves, None)
    again = patlak.prepare(protocol)(curves, None)
    plain = patlak.prepare(protocol_of(start=900.0))(curves, None)
    assert np.array_equal(found.covariance, again.covariance)
    assert np.array_equal(found.parameters, plain.parameters)
    ratio = found.covariance[:, 0, 0] / plain.covariance[:, 0, 0]
    # The plot is unweighted while residuals are drawn as curves, which grow with the input.
    assert ((ratio > 0.3) & (ratio < 3.0)).all()


def test_weights_by_deviations_follow_the_better_frames():
    protocol = protocol_of(start=900.0)
    curves = patlak.predict(TRUTH, protocol_of())
    curves[:, -1] *= 2
    sd = np.ones(42)
    sd[-1] = 1e9
    found = patlak.prepare(protocol)(curves, sd)
    assert_allclose(found.parameters[:, 0], TRUTH[:, 0], rtol=1e-6)


def test_one_frame_and_no_input_are_refused():
    with pytest.raises(InputError, match="1 of 42 frames lie between start and end"):
        patlak.prepare(protocol_of(start=5000.0))
    nothing = input_of(scale=0.0)
    with pytest.raises(InputError, match="the input is zero in frame"):
        patlak.prepare(protocol_of(inputs={"plasma": nothing}, start=900.0))
    with pytest.raises(InputError, match=r"Vb is held at 1\.2"):
        patlak.prepare(protocol_of(held={"Vb": 1.2}))


def test_a_share_of_blood_needs_the_blood():
    with pytest.raises(InputError, match="blood"):
        patlak.prepare(protocol_of(held={"Vb": 0.05}))


def test_frames_before_t_star_are_not_predicted():
    shown = patlak.predict(TRUTH, protocol_of(start=900.0))
    assert np.isnan(shown[:, frames_of().start < 900]).all()
    assert np.isfinite(shown[:, frames_of().start >= 900]).all()
