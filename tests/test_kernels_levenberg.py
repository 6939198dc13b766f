"""Batched Levenberg-Marquardt: against truth, against scipy, and at the edges of what can be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.levenberg import fit_curves
from igdd.kinetics import Solution, Status

TIME = np.array([10.0, 30, 60, 120, 200, 300, 450, 600, 900, 1200, 1800, 2700, 3600])
# The bounds of the rates part the two terms, which the sum does not.
BOUNDS = np.array([[0.0, np.inf], [2e-3, 1.0], [0.0, np.inf], [1e-6, 2e-3]])
STARTS = np.array([[1.0, 0.02, 1.0, 0.0005], [1.0, 0.005, 1.0, 0.0001]])


def two_exponentials(parameters: np.ndarray) -> np.ndarray:
    first, fast, second, slow = (parameters[:, [j]] for j in range(4))
    return first * np.exp(-fast * TIME) + second * np.exp(-slow * TIME)


def truths(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = np.array([2e4, 5e-3, 1e3, 1e-4]), np.array([5e4, 2e-2, 4e3, 4e-4])
    return low + (high - low) * rng.random((count, 4))


def test_noiseless_curves_give_their_parameters_back():
    truth = truths(50)
    fitted = fit_curves(two_exponentials, two_exponentials(truth), None, STARTS, BOUNDS)
    assert_allclose(fitted.parameters, truth, rtol=1e-8)  # conditioning 1e3 times rounding, squared
    assert not fitted.status.any()


def test_scipy_finds_the_same_minimum_and_covariance():
    from scipy.optimize import curve_fit

    truth = truths(5)
    curves = two_exponentials(truth)
    sd = 0.02 * curves + 20
    noisy = curves + np.random.default_rng(2).standard_normal(curves.shape) * sd
    fitted = fit_curves(two_exponentials, noisy, sd, STARTS, BOUNDS)
    scale = np.array([1e4, 1e-2, 1e3, 1e-4])
    for row in range(5):
        found, covariance = curve_fit(
            lambda _, *values: two_exponentials(np.array([values]) * scale)[0],
            TIME,
            noisy[row],
            p0=truth[row] / scale,
            sigma=sd[row],
            ftol=1e-14,
            xtol=1e-14,
            gtol=1e-14,
        )
        # scipy's forward differences: 1e-8 relative in the derivatives
        assert_allclose(fitted.parameters[row], found * scale, rtol=1e-5)
        expected = covariance * np.outer(scale, scale)
        assert_allclose(fitted.covariance[row], expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_the_units_of_parameters_change_nothing():
    scale = np.array([1e9, 1e-6, 1e3, 1e6])
    truth = truths(10)
    noisy = two_exponentials(truth) * (
        1 + 0.02 * np.random.default_rng(3).standard_normal((10, 13))
    )
    plain = fit_curves(two_exponentials, noisy, None, STARTS, BOUNDS)
    turned = fit_curves(
        lambda values: two_exponentials(values / scale),
        noisy,
        None,
        STARTS * scale,
        BOUNDS * scale[:, None],
    )
    # both end within 1e-6 standard errors (2 % noise) of the one minimum
    assert_allclose(turned.parameters / scale, plain.parameters, rtol=1e-6)
    assert_array_equal(turned.status, plain.status)


def test_an_analytic_jacobian_gives_the_same():
    def jacobian(parameters: np.ndarray) -> np.ndarray:
        first, fast, second, slow = (parameters[:, [j]] for j in range(4))
        one, two = np.exp(-fast * TIME), np.exp(-slow * TIME)
        return np.stack([one, -TIME * first * one, two, -TIME * second * two], axis=2)

    truth = truths(10)
    noisy = two_exponentials(truth) * (
        1 + 0.02 * np.random.default_rng(4).standard_normal((10, 13))
    )
    given = fit_curves(two_exponentials, noisy, None, STARTS, BOUNDS, jacobian=jacobian)
    found = fit_curves(two_exponentials, noisy, None, STARTS, BOUNDS)
    assert_allclose(given.parameters, found.parameters, rtol=1e-6)
    assert_allclose(given.covariance, found.covariance, rtol=1e-5, atol=1e-9)


def test_a_held_parameter_stays_and_has_no_variance():
    truth = truths(3)
    truth[:, 3] = 2e-4
    starts = STARTS.copy()
    starts[:, 3] = 2e-4
    free = np.array([True, True, True, False])
    fitted = fit_curves(two_exponentials, two_exponentials(truth), None, starts, BOUNDS, free=free)
    assert_allclose(fitted.parameters, truth, rtol=1e-8)
    assert (fitted.covariance[:, 3] == 0).all()


def test_with_everything_held_the_fit_is_the_prediction():
    truth = truths(2)
    curves = two_exponentials(truth)
    fitted = fit_curves(
        two_exponentials, curves, None, truth[:, None], BOUNDS, free=np.zeros(4, dtype=bool)
    )
    assert_allclose(fitted.predicted, curves)
    assert not fitted.covariance.any()


def test_a_parameter_at_its_bound_is_reported_and_leaves_the_others_at_their_optimum():
    truth = np.array([[2e4, 1e-2, 2e3, 3e-4]])
    bounds = BOUNDS.copy()
    bounds[3] = [4e-4, 1.0]
    fitted = fit_curves(two_exponentials, two_exponentials(truth), None, STARTS, bounds)
    assert fitted.parameters[0, 3] == 4e-4
    assert Status(int(fitted.status[0])) & Status.AT_BOUND
    held = STARTS.copy()
    held[:, 3] = 4e-4
    free = np.array([True, True, True, False])
    other = fit_curves(two_exponentials, two_exponentials(truth), None, held, BOUNDS, free=free)
    assert_allclose(fitted.parameters, other.parameters, rtol=1e-6)
    # As unknown as any other, it widens their errors; its own is 0.
    steps = 1e-6 * fitted.parameters[0] * np.eye(4)
    ends = [two_exponentials(fitted.parameters + way * steps) for way in (1, -1)]
    slopes = (ends[0] - ends[1]) / (2e-6 * fitted.parameters[0])[:, None]
    left = two_exponentials(truth) - fitted.predicted
    variance = np.sum(left**2) / (left.size - 3)
    expected = np.linalg.inv(slopes @ slopes.T) * variance
    assert_allclose(fitted.covariance[0, :3, :3], expected[:3, :3], rtol=1e-5)
    assert not fitted.covariance[0, 3].any()
    assert (fitted.covariance[0, :3, :3].diagonal() > np.diag(other.covariance[0])[:3]).all()


def test_a_parameter_at_its_bound_that_is_hard_to_tell_from_another_leaves_that_open():
    """Nearly the same columns twice: it is the bound that keeps them apart, not the data."""
    time = np.linspace(0, 3, 30)
    one, other = np.exp(-time), np.exp(-time) + 1e-3 * np.sin(5 * time)

    def twins(found):
        return found[:, [0]] * one + found[:, [1]] * other

    curve = (one - 0.01 * np.sin(5 * time))[None]
    bounds, start = np.array([[0.0, 10.0], [0.0, 10.0]]), np.array([[0.9, 0.1]])
    fitted = fit_curves(twins, curve, None, start, bounds)
    held = np.array([[0.9, 0.0]])
    alone = fit_curves(twins, curve, None, held, bounds, free=np.array([True, False]))
    assert fitted.parameters[0, 1] == 0
    assert_allclose(fitted.covariance, alone.covariance, rtol=1e-6)
    assert Status(int(fitted.status[0])) == Status.AT_BOUND | Status.POORLY_IDENTIFIED
    assert Status(int(alone.status[0])) == Status(0)


def test_a_parameter_at_its_bound_that_can_be_told_from_the_others_leaves_none_open():
    time = np.linspace(0, 3, 30)

    def apart(found):
        return found[:, [0]] * np.exp(-time) + found[:, [1]] * np.sin(5 * time)

    curve = (np.exp(-time) - 0.01 * np.sin(5 * time))[None]
    bounds, start = np.array([[0.0, 10.0], [0.0, 10.0]]), np.array([[0.9, 0.1]])
    assert Status(int(fit_curves(apart, curve, None, start, bounds).status[0])) == Status.AT_BOUND


def shifted(parameters: np.ndarray) -> np.ndarray:
    """A bump and its slope, both delayed: a h(t - d) + b h'(t - d). Where b is 0, the derivatives
    by b and by d are parallel, and along b = a d the curve changes by -a d^2 h'' / 2 only."""
    height, slope, delay = (parameters[:, [j]] for j in range(3))
    late = np.linspace(-5, 5, 41) - delay
    return (height - slope * late) * np.exp(-(late**2) / 2)


def bumps(curvature: float) -> np.ndarray:
    late = np.linspace(-5, 5, 41)
    return ((1 + curvature * (late**2 - 1)) * np.exp(-(late**2) / 2))[None]


@pytest.mark.parametrize("start", [[0.8, 0.1, 0.3], [1.0, 1e-15, 0.1], [1.0, 0.02, -0.2]])
def test_a_minimum_at_a_bound_where_derivatives_are_parallel_is_reached(start):
    bounds = np.array([[0.0, 9], [0, 1], [-2, 2]])
    fitted = fit_curves(shifted, bumps(0.01), None, np.array([start]), bounds)
    status = Status(int(fitted.status[0]))
    assert status & (Status.AT_BOUND | Status.NOT_CONVERGED) == Status.AT_BOUND
    assert fitted.parameters[0, 1] == 0
    assert_allclose(fitted.parameters[0, 2], 0, atol=1e-6)  # by symmetry; 1e-6 standard errors


def test_such_a_minimum_without_a_bound_has_settled_and_says_what_is_open():
    bounds = np.array([[0.0, 9], [-1, 1], [-2, 2]])
    fitted = fit_curves(shifted, bumps(0.01), None, np.array([[0.8, 0.1, 0.3]]), bounds)
    assert Status(int(fitted.status[0])) == Status.POORLY_IDENTIFIED
    assert_allclose(fitted.parameters[0, 1:], 0, atol=1e-4)  # fourth root of the rounding


def test_a_saddle_at_a_bound_is_left():
    bounds = np.array([[0.0, 9], [0, 1], [-2, 2]])
    start = np.array([[1.0, 0.0, 0.0]])
    fitted = fit_curves(shifted, bumps(-0.01), None, start, bounds)
    assert not Status(int(fitted.status[0])) & (Status.NOT_CONVERGED | Status.AT_BOUND)
    # -a d^2 / 2 = -0.01 to second order
    assert_allclose(fitted.parameters[0, 1:], np.sqrt(0.02), rtol=0.05)


def test_a_step_that_meets_bounds_ends_where_non_negative_least_squares_does():
    from scipy.optimize import nnls

    rng = np.random.default_rng(7)
    design = rng.random((13, 4)) + 1
    curves = design @ rng.standard_normal((4, 20))
    fitted = fit_curves(
        lambda values: values @ design.T, curves.T, None, np.ones((1, 4)), np.array([[0, 1e3]] * 4)
    )
    expected = np.array([nnls(design, curve)[0] for curve in curves.T])
    assert_allclose(fitted.parameters, expected, atol=1e-9)  # rounding, times a condition of 1e3
    assert not (fitted.status & Status.NOT_CONVERGED).any()
    assert_array_equal((fitted.status & Status.AT_BOUND) > 0, (expected == 0).any(axis=1))


def test_starts_beyond_a_false_minimum_are_overcome_by_others():
    def wave(parameters: np.ndarray) -> np.ndarray:
        return np.sin(parameters[:, [0]] * TIME / 600)

    truth = np.array([[3.0]])
    starts = np.array([[0.5], [1.5], [2.9], [6.0], [9.0]])
    fitted = fit_curves(wave, wave(truth), None, starts, np.array([[0.1, 20.0]]))
    assert_allclose(fitted.parameters, truth, rtol=1e-9)


def test_one_bad_curve_changes_no_other():
    truth = truths(4)
    curves = two_exponentials(truth) * 1.01
    alone = fit_curves(two_exponentials, curves, None, STARTS, BOUNDS)
    spoilt = np.vstack([curves, curves[:2]])
    spoilt[4, 3] = np.nan
    spoilt[5] = 0.0
    fitted = fit_curves(two_exponentials, spoilt, None, STARTS, BOUNDS)
    assert_array_equal(fitted.parameters[:4], alone.parameters)
    assert np.isnan(fitted.parameters[4:]).all()
    assert np.isnan(fitted.covariance[4:]).all()
    assert_array_equal(fitted.status[4:], judge.NOT_FITTED)


def test_a_frame_of_infinite_deviation_is_as_if_it_were_not_there():
    truth = truths(3)
    noisy = two_exponentials(truth) * (1 + 0.02 * np.random.default_rng(5).standard_normal((3, 13)))
    sd = np.ones(13)
    sd[[0, 5]] = np.inf
    spoilt = noisy.copy()
    spoilt[:, 0], spoilt[:, 5] = np.nan, 1e9
    fitted = fit_curves(two_exponentials, spoilt, sd, STARTS, BOUNDS)
    used = np.isfinite(sd)
    fewer = fit_curves(
        lambda values: two_exponentials(values)[:, used], noisy[:, used], None, STARTS, BOUNDS
    )
    assert_allclose(fitted.parameters, fewer.parameters, rtol=1e-9)
    assert_allclose(fitted.covariance, fewer.covariance, rtol=1e-7)
    assert np.isnan(fitted.predicted[:, ~used]).all()


def test_fewer_frames_than_parameters_is_not_fitted():
    fitted = fit_curves(two_exponentials, np.ones((1, 13)), np.r_[[1.0] * 3, [np.inf] * 10], STARTS,
                        BOUNDS)  # fmt: skip
    assert_array_equal(fitted.status, judge.NOT_FITTED)


def test_as_many_frames_as_parameters_leave_no_standard_error():
    truth = truths(1)
    sd = np.where(np.arange(13) % 4 == 0, 1.0, np.inf)
    fitted = fit_curves(two_exponentials, two_exponentials(truth), sd, truth[:, None], BOUNDS)
    assert_allclose(fitted.parameters, truth, rtol=1e-7)
    assert np.isnan(fitted.covariance).all()


def test_absolute_deviations_are_taken_at_their_word():
    truth = truths(1)
    curves = two_exponentials(truth)
    relative = fit_curves(two_exponentials, curves * 1.02, None, STARTS, BOUNDS)
    once = fit_curves(two_exponentials, curves, np.full(13, 10.0), STARTS, BOUNDS, absolute=True)
    twice = fit_curves(two_exponentials, curves, np.full(13, 20.0), STARTS, BOUNDS, absolute=True)
    assert_allclose(twice.covariance, 4 * once.covariance, rtol=1e-6)
    assert relative.covariance[0, 0, 0] < once.covariance[0, 0, 0]


def test_intervals_cover_the_truth_as_often_as_they_say():
    truth = np.tile([[2e4, 1e-2, 2e3, 3e-4]], (2000, 1))
    curves = two_exponentials(truth)
    sd = 0.01 * curves[0] + 5
    noisy = curves + np.random.default_rng(6).standard_normal(curves.shape) * sd
    fitted = fit_curves(two_exponentials, noisy, sd, STARTS, BOUNDS)
    deviation = np.sqrt(np.einsum("njj->nj", fitted.covariance))
    quantile = 2.2621571627409915  # Student's t, 0.975, 13 - 4 = 9 degrees of freedom
    inside = np.mean(np.abs(fitted.parameters - truth) <= quantile * deviation, axis=0)
    # binomial sd of 2000 trials 0.0049; three of them, and curvature
    assert_allclose(inside, 0.95, atol=0.02)


def test_what_the_data_do_not_determine_is_flagged():
    def twins(parameters: np.ndarray) -> np.ndarray:
        return (parameters[:, [0]] + parameters[:, [1]]) * np.exp(-TIME / 600)

    curves = np.exp(-TIME / 600)[None] * 3.0
    fitted = fit_curves(twins, curves, None, np.array([[1.0, 1.0]]), np.array([[0.0, 9.0]] * 2))
    assert Status(int(fitted.status[0])) & Status.POORLY_IDENTIFIED
    assert_allclose(fitted.predicted, curves, rtol=1e-9)


def test_a_model_without_a_value_is_not_fitted():
    fitted = fit_curves(lambda values: np.full((len(values), 13), np.nan), np.ones((2, 13)), None,
                        STARTS, BOUNDS)  # fmt: skip
    assert_array_equal(fitted.status, judge.NOT_FITTED)


def test_a_descent_without_end_is_flagged():
    def away(parameters: np.ndarray) -> np.ndarray:
        return np.log(parameters[:, [0]]) * np.ones_like(TIME) / 50

    bounds = np.array([[1e-3, np.inf]])
    fitted = fit_curves(away, np.full((1, 13), 2e4), None, np.array([[1.0]]), bounds)
    assert Status(int(fitted.status[0])) & (Status.NOT_CONVERGED | Status.POORLY_IDENTIFIED)


def test_what_is_found_makes_a_solution():
    fitted = fit_curves(two_exponentials, two_exponentials(truths(2)), None, STARTS, BOUNDS)
    assert Solution(**fitted._asdict()).parameters.shape == (2, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sd": np.zeros(13)}, "expected positive"),
        ({"starts": np.ones((2, 3))}, "starts have shape"),
        ({"bounds": BOUNDS[:, ::-1]}, "lower one first"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    given = {"sd": None, "starts": STARTS, "bounds": BOUNDS} | change
    with pytest.raises(InputError, match=message):
        fit_curves(two_exponentials, np.ones((1, 13)), **given)


def test_a_rival_that_does_as_well_is_told_of():
    """A pulse that is about as high as the noise may as well stand where the noise is highest."""

    def pulse(parameters: np.ndarray) -> np.ndarray:
        height, place = (parameters[:, [j]] for j in range(2))
        return np.asarray(height * np.exp(-(((np.arange(40.0) - place) / 3) ** 2)))

    noise = 0.3 * np.random.default_rng(3).standard_normal((200, 40))
    starts, bounds = np.array([[0.1, 10.0], [0.1, 30.0]]), np.array([[0.01, 5.0], [-10.0, 50.0]])
    for height, weak in ((0.3, True), (3.0, False)):
        values = pulse(np.array([[height, 10.0]])) + noise
        quiet, asked = (
            fit_curves(pulse, values, None, starts, bounds, rivals=rivals)
            for rivals in (False, True)
        )
        assert_array_equal(asked.parameters, quiet.parameters)
        elsewhere = np.abs(asked.parameters[:, 1] - 10.0) > 10.0
        told = (asked.status & ~quiet.status) == judge.POORLY_IDENTIFIED
        assert told.any() == weak
        # 21 of 200 pulses stand 10 s away with a narrow interval there; three are not told of.
        unsaid = (elsewhere & (quiet.status == 0)).sum(), (elsewhere & (asked.status == 0)).sum()
        assert unsaid[1] <= unsaid[0] / 4
        assert (unsaid[0] > 10) == weak


def test_terms_exchanged_are_no_rivals():
    truth = truths(5)
    noisy = two_exponentials(truth)
    noisy *= 1 + 0.01 * np.random.default_rng(2).standard_normal(noisy.shape)
    swapped = STARTS[:, [2, 3, 0, 1]]
    wide = np.array([[0.0, np.inf], [1e-6, 1.0]] * 2)
    both = np.concatenate([STARTS, swapped])
    fitted = fit_curves(two_exponentials, noisy, None, both, wide, rivals=True)
    assert not fitted.status.any()
