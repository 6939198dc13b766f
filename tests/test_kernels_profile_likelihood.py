"""Profile likelihood against Student's interval, one-sided and open likelihoods."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from igdd.kernels.profile_likelihood import (
    Situation,
    fitted_interval,
    profile_likelihood,
    rise,
)

X = np.linspace(1.0, 10.0, 10)
CHI2 = 3.841459  # 95 % quantile with one degree of freedom
FREE = np.array([True, True])
OPEN = np.array([(-np.inf, np.inf)] * 2)


def line(parameters: np.ndarray) -> np.ndarray:
    return parameters[:, :1] + parameters[:, 1:] * X


def decay(parameters: np.ndarray) -> np.ndarray:
    return parameters[:, :1] * np.exp(-parameters[:, 1:] * X)


def noisy(seed: int = 4) -> np.ndarray:
    return 2.0 + 0.5 * X + np.random.default_rng(seed).standard_normal(X.size)


def test_a_straight_line_gives_students_interval():
    values = noisy()
    slope, start = np.polyfit(X, values, 1)
    squares = np.sum((values - start - slope * X) ** 2)
    error = np.sqrt(squares / 8 / np.sum((X - X.mean()) ** 2))
    half = special.stdtrit(8, 0.975) * error
    found = fitted_interval(Situation(line, values, None, np.array([start, slope]), OPEN, FREE), 1)
    # the search stops within 1e-4 of the end
    np.testing.assert_allclose([found.low, found.high], [slope - half, slope + half], rtol=2e-4)
    assert not found.better


def test_the_rise_for_many_samples_is_that_of_chi2():
    assert rise(10**7, 3) == pytest.approx(CHI2, rel=1e-5)
    assert rise(3, 3) == np.inf


def test_a_side_without_an_end_is_infinite():
    found = profile_likelihood(lambda x: 20 * np.exp(-x), 30.0, 5.0, (-np.inf, np.inf), CHI2)
    assert found.high == np.inf
    # 20 exp(-x) = CHI2
    assert found.low == pytest.approx(np.log(20 / CHI2), rel=2e-4)


def test_a_bound_within_the_interval_is_its_end():
    found = profile_likelihood(lambda x: (x - 0.5) ** 2, 0.5, 1.0, (0.0, np.inf), CHI2)
    assert found.low == 0.0
    assert found.high == pytest.approx(0.5 + np.sqrt(CHI2), rel=2e-4)


def test_another_minimum_on_the_way_is_told():
    def deviance(x: float) -> float:
        return min(x**2, (x - 2) ** 2 - 0.5)

    assert profile_likelihood(deviance, 0.0, 1.0, (-20.0, 20.0), limit=1.0).better


def test_a_place_without_a_model_is_beyond_the_interval():
    def deviance(x: float) -> float:
        return (x - 1) ** 2 if x > 0 else np.inf

    found = profile_likelihood(deviance, 1.0, 4.0, (-np.inf, np.inf), CHI2)
    assert found.low == pytest.approx(0.0, abs=1e-3)


def test_a_curved_likelihood_gives_an_interval_of_its_own():
    values = decay(np.array([[10.0, 0.3]]))[0] + 0.8 * np.random.default_rng(2).standard_normal(10)
    bounds = np.array([(0.0, np.inf)] * 2)
    from igdd.kernels.levenberg import fit_curves

    best = fit_curves(decay, values[None], None, np.array([[10.0, 0.3]]), bounds)
    situation = Situation(decay, values, None, best.parameters[0], bounds, FREE)
    found = fitted_interval(situation, 1)
    error = np.sqrt(best.covariance[0, 1, 1])
    below, above = best.parameters[0, 1] - found.low, found.high - best.parameters[0, 1]
    assert above > below > error

    def least(rate: float) -> float:
        shape = np.exp(-rate * X)
        height = shape @ values / (shape @ shape)
        return 10 * np.log(np.sum((values - height * shape) ** 2))

    for end in (found.low, found.high):
        gained = least(end) - least(best.parameters[0, 1])
        assert gained == pytest.approx(rise(10, 2), rel=2e-3)


def test_without_a_sample_to_spare_everything_is_possible():
    values = np.array([1.0, 2.0])
    model = lambda p: p[:, :1] + p[:, 1:] * np.array([0.0, 1.0])  # noqa: E731
    found = fitted_interval(Situation(model, values, None, np.array([1.0, 1.0]), OPEN, FREE), 0)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_intervals_cover_the_truth_as_often_as_they_say():
    level = 0.8
    generator = np.random.default_rng(8)
    truth = np.array([[10.0, 0.2]])
    bounds = np.array([(0.0, np.inf)] * 2)
    from igdd.kernels.levenberg import fit_curves

    curves = decay(truth) + 0.5 * generator.standard_normal((60, 10))
    best = fit_curves(decay, curves, None, truth, bounds).parameters
    inside = []
    for curve, parameters in zip(curves, best, strict=True):
        situation = Situation(decay, curve, None, parameters, bounds, FREE)
        found = fitted_interval(situation, 1, rise(10, 2, level))
        inside.append(found.low <= 0.2 <= found.high)
    # 60 trials: three binomial standard deviations
    assert np.mean(inside) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 60))
