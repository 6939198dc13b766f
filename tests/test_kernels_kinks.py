"""Minima on a kink of the sum of squares: where they are, what is near them, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd import catalog
from igdd.kernels.curve_slopes import Problem
from igdd.kernels.kinks import finish
from igdd.kernels.levenberg import fit_curves
from igdd.kernels.population_inputs import parker
from igdd.kinetics import InputCurve, Protocol, Status
from igdd.types import Frames, Zero

# Inputs with knots at whole seconds, seen at whole seconds.
SECONDS = np.arange(40.0)
BOLUS = np.interp(SECONDS, [0, 2, 4, 9, 39], [0.0, 1.0, 9.0, 3.0, 1.0])
LATER = np.interp(SECONDS, [0, 4, 12, 39], [0.0, 2.0, 6.0, 4.0])
DELAYS = [-20.0, 60.0]


def delayed(given: np.ndarray, delay: np.ndarray) -> np.ndarray:
    return np.interp(SECONDS - delay[:, None], SECONDS, given, left=0.0)


def one(parameters: np.ndarray) -> np.ndarray:
    height, delay = parameters.T
    return height[:, None] * delayed(BOLUS, delay)


def two(parameters: np.ndarray) -> np.ndarray:
    height, delay, portal = parameters.T
    return height[:, None] * (delayed(BOLUS, delay) + delayed(LATER, portal))


def best_at(predict, place: np.ndarray, size: float) -> np.ndarray:
    """A curve that the model fits best at a place (p,) whose delays are whole seconds.

    With residuals r that have no part along the height's slope and -size along the direction of
    each delay's slope s to either side, a step of length d raises |r|^2 by 2 size |s| d and more.
    """
    steps = [0.5 * way * np.eye(place.size)[j] for j in range(1, place.size) for way in (1, -1)]
    curves = predict(np.stack([place, *(place + step for step in steps)]))
    slopes = np.vstack([curves[:1], (curves[1:] - curves[0]) / 0.5])
    wish = np.array([0.0, *(-size * np.linalg.norm(slopes[1:], axis=1))])
    noise = 0.3 * np.random.default_rng(1).standard_normal(SECONDS.size)
    return curves[0] + noise + np.linalg.lstsq(slopes, wish - slopes @ noise, rcond=None)[0]


def check(predict, place: np.ndarray, size: float, away: np.ndarray) -> None:
    curve = best_at(predict, place, size)
    bounds = np.array([[0.0, 50.0], *[DELAYS] * (place.size - 1)])
    fitted = fit_curves(predict, curve[None], None, (place + away)[None], bounds)
    assert Status(int(fitted.status[0])) == Status(0)
    least = np.sum((curve - predict(place[None])[0]) ** 2)
    # what the differences that prove a minimum are worth
    assert_allclose(np.sum((fitted.predicted[0] - curve) ** 2), least, rtol=4e-7)
    # Its root is worth 6e-4 of the height over which the curve changes by as much as the residuals,
    # 0.1; along the delay it falls in a straight line.
    assert_allclose(fitted.parameters[0, 0], place[0], atol=6e-5)
    assert_allclose(fitted.parameters[0, 1:], place[1:], atol=4e-7)
    assert np.isfinite(fitted.covariance).all()


@pytest.mark.parametrize("delay", [0.0, 7.0, -4.0])
@pytest.mark.parametrize("size", [0.002, 0.02, 0.3])
@pytest.mark.parametrize("away", [[-1.0, 1.3], [0.5, -1.7], [3.0, 0.0]])
def test_a_minimum_on_a_kink_is_found_and_has_settled(delay, size, away):
    check(one, np.array([2.0, delay]), size, np.array(away))


@pytest.mark.parametrize("size", [0.02, 0.3])
@pytest.mark.parametrize("away", [[-1.0, 0.3, 0.4], [0.5, -0.7, 0.1], [3.0, 0.0, 0.0]])
def test_where_two_kinks_meet_is_found_and_has_settled(size, away):
    check(two, np.array([2.0, 5.0, 8.0]), size, np.array(away))


def test_a_model_is_asked_for_no_curve_once_all_have_settled():
    def decaying(parameters: np.ndarray) -> np.ndarray:
        assert len(parameters)
        height, rate = parameters.T
        return height[:, None] * np.exp(-rate[:, None] * SECONDS)

    bounds, free = np.array([[0.0, 0.0], [50.0, 1.0]]), np.array([True, True])
    problem = Problem(decaying, None, *bounds, free, np.array([1e-9, 1e-9]))
    curves = decaying(np.array([[2.0, 0.1], [3.0, 0.2]])) + 0.01 * np.cos(SECONDS)
    found, proven = finish(problem, curves, np.ones_like(curves), np.array([[1.0, 0.3]] * 2))
    assert proven.all()
    best = fit_curves(decaying, curves, None, found[:, None], bounds.T)
    assert_allclose(found, best.parameters, rtol=1e-6)


def test_a_valley_too_long_to_follow_keeps_its_flag():
    def winding(parameters: np.ndarray) -> np.ndarray:
        along, across = parameters.T
        return np.stack([along, 1e4 * (across - np.sin(20 * along)), 0 * along], axis=1)

    curve = np.array([[1e3, 0.0, 1.0]])
    bounds = np.array([[-np.inf, np.inf], [-2.0, 2.0]])
    fitted = fit_curves(winding, curve, None, np.array([[0.0, 0.0]]), bounds)
    assert Status(int(fitted.status[0])) & Status.NOT_CONVERGED


def test_an_endless_way_down_keeps_its_flag():
    def endless(parameters: np.ndarray) -> np.ndarray:
        """Nears 1 the further the parameter goes, and has a kink at 3."""
        (place,) = parameters.T
        return (1 - np.exp(-0.01 * np.where(place < 3, place, 2 * place - 3)))[:, None] * np.ones(4)

    bounds = np.array([[0.0, np.inf]])
    curve = np.array([[1.0, 1.0, 1.0, 2.0]])
    fitted = fit_curves(endless, curve, None, np.array([[1.0]]), bounds)
    assert Status(int(fitted.status[0])) & (Status.NOT_CONVERGED | Status.POORLY_IDENTIFIED)


def bolus(time: np.ndarray) -> InputCurve:
    values = np.where(time >= 20, parker(time - 20), 0.0)
    return InputCurve(
        time=time, values=values, compartment="plasma", substance="contrast", unit="mmol/L"
    )


@pytest.mark.parametrize("knots", [10.0, 1.0])
def test_delayed_contrast_curves_every_ten_seconds_settle_at_the_least_sum_of_squares(knots):
    """300 curves of extended Tofts with 1 to 5 % noise; the truth is from an input every 0.25 s."""
    model = catalog.find("models", "extended_tofts")
    time = np.arange(0.0, 330.0, 10.0)
    frames = Frames(start=time - 5, duration=np.full(time.size, 10.0), sampled=True,
                    zero=Zero(kind="administration"))  # fmt: skip
    exact, seen = (
        Protocol(frames=frames, inputs={"plasma": bolus(np.arange(0, 390, step))},
                 integration="instant")
        for step in (0.25, knots)
    )  # fmt: skip
    rng = np.random.default_rng(3)
    tissues = np.array([[0.0025, 0.3, 0.05], [0.0008, 0.15, 0.02], [0.007, 0.4, 0.08]])
    truth = np.column_stack([np.tile(tissues, (100, 1)), rng.uniform(0, 12, 300)])
    curves = model.predict(truth, exact)
    noise = rng.uniform(0.01, 0.05, (300, 1)) * curves.max(axis=1, keepdims=True)
    curves += noise * rng.standard_normal(curves.shape)
    bounds = np.array([[0.0, 0.2], [0.0, 1.0], [0.0, 1.0], [-20.0, 60.0]])
    starts = truth[:, None] + np.array([[0, 0, 0, step] for step in (0.0, -6.0, 6.0)])
    fitted = fit_curves(lambda trial: model.predict(trial, seen), curves, None, starts, bounds)
    assert np.mean((fitted.status & Status.NOT_CONVERGED) > 0) <= 0.01
    on_kinks = np.abs(np.mod(fitted.parameters[:, 3] + knots / 2, knots) - knots / 2) < 1e-5
    assert on_kinks.sum() >= 10  # else this tests nothing
    squares = np.sum((fitted.predicted - curves) ** 2, axis=1)
    free = np.array([True, True, True, False])
    for row in np.flatnonzero(on_kinks)[:12].tolist():
        # The kink itself and places beside it, the other parameters fitted anew at each.
        beside = fitted.parameters[row, 3] + np.r_[0, np.linspace(-2, 2, 41)]
        places = np.tile(fitted.parameters[row], (42, 1))
        places[:, 3] = np.r_[np.round(beside[0]), beside[1:]]
        held = fit_curves(lambda trial: model.predict(trial, seen), np.tile(curves[row], (42, 1)),
                          None, places[:, None], bounds, free=free)  # fmt: skip
        least = np.sum((held.predicted - curves[row]) ** 2, axis=1).min()
        assert squares[row] <= least * (1 + 4e-7)
