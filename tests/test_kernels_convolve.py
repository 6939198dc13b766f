"""Exact convolution with exponentials: closed forms, an independent quadrature, refinement."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from igdd.errors import InputError
from igdd.kernels.convolve import (
    at,
    convolve,
    convolve_with_derivative,
    integral,
    sample,
    with_means,
)

KNOTS = np.array([3.0, 8.0, 20.0, 21.5, 90.0, 400.0, 700.0])
VALUES = np.array([1.0, 9.0, 4.0, 4.5, 2.0, 1.0, 0.3])
START = np.array([0.0, 15.0, 30.0, 100.0, 300.0])
END = np.array([15.0, 30.0, 100.0, 300.0, 650.0])
EXACT = (START, END, "exact")
RATES = [0.0, 1e-9, 1e-4, 0.01, 0.1, 3.0]


def convolved_at(when: float, rate: float, delay: float) -> float:
    """The defining integral by adaptive quadrature, segment by segment."""
    edges = np.unique(np.clip(np.append(KNOTS + delay, when), None, when))
    parts = [
        quad(
            lambda s: float(at(KNOTS, VALUES, np.array(s - delay))) * np.exp(-rate * (when - s)),
            low,
            high,
            epsabs=1e-13,
            epsrel=1e-12,
        )[0]
        for low, high in itertools.pairwise(edges)
    ]
    return float(sum(parts))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("delay", [0.0, 7.25, -4.0])
def test_instants_equal_the_defining_integral(rate, delay):
    found = convolve(KNOTS, VALUES, (START, END, "instant"), np.array([rate]), delay)[0]
    expected = [convolved_at(when, rate, delay) for when in (START + END) / 2]
    # tolerance: that of the adaptive quadrature
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("rate", RATES)
def test_frame_means_are_the_mean_of_instants(rate):
    """Gauss-Legendre with 40 nodes between all knots: exact to rounding for such curves."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    expected = []
    for begun, ended in zip(START, END, strict=True):
        edges = np.unique(np.concatenate([[begun, ended], np.clip(KNOTS, begun, ended)]))
        total = 0.0
        for low, high in itertools.pairwise(edges):
            pieces = np.linspace(low, high, 9)  # a rate of 3/s falls by e^-100 in a long segment
            for left, right in itertools.pairwise(pieces):
                when = left + (right - left) * (nodes + 1) / 2
                instants = convolve(KNOTS, VALUES, (when, when, "instant"), np.array([rate]))[0]
                total += (right - left) / 2 * float(weights @ instants)
        expected.append(total / (ended - begun))
    found = convolve(KNOTS, VALUES, EXACT, np.array([rate]))[0]
    np.testing.assert_allclose(found, expected, rtol=2e-6)  # quadrature of the fast transients


@pytest.mark.parametrize("integration", ["exact", "instant", "trapezium"])
@pytest.mark.parametrize("rate", [1e-4, 0.01, 0.1])
def test_the_derivative_is_the_slope_by_the_rate(integration, rate):
    window = (START, END, integration)
    step = 1e-5 * rate
    above, below = (
        convolve(KNOTS, VALUES, window, np.array([one])) for one in (rate + step, rate - step)
    )
    _, derivative = convolve_with_derivative(KNOTS, VALUES, window, np.array([rate]))
    # central differences: error step^2, and rounding over the step
    np.testing.assert_allclose(derivative, (above - below) / (2 * step), rtol=2e-6, atol=1e-6)


def test_rate_zero_is_the_running_integral():
    found = convolve(KNOTS, VALUES, (START, END, "instant"), np.array([0.0]))[0]
    np.testing.assert_allclose(found, integral(KNOTS, VALUES, (START + END) / 2), rtol=1e-13)


def test_a_constant_input_saturates():
    window = (np.array([50.0]), np.array([50.0 + 1e-6]), "exact")
    found = convolve(np.array([0.0, 1000.0]), np.ones(2), window, np.array([0.02]))[0, 0]
    # a frame of a microsecond leaves ten digits of the difference of two integrals
    assert found == pytest.approx((1 - np.exp(-0.02 * 50)) / 0.02, rel=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.5, 699.5), min_size=1, max_size=8, unique=True),
    st.floats(1e-6, 2.0),
    st.floats(-20.0, 20.0),
)
def test_refining_the_knots_changes_nothing(extra, rate, delay):
    more = np.unique(np.concatenate([KNOTS, [when for when in extra if when > KNOTS[0]]]))
    finer = at(KNOTS, VALUES, more)
    for whole, parts in (
        (
            convolve(KNOTS, VALUES, EXACT, np.array([rate]), delay),
            convolve(more, finer, EXACT, np.array([rate]), delay),
        ),
        (sample(KNOTS, VALUES, EXACT, delay), sample(more, finer, EXACT, delay)),
    ):
        np.testing.assert_allclose(parts, whole, rtol=1e-9, atol=1e-10)  # rounding


@pytest.mark.parametrize("step", [0.1, 1.0, 7.3])
def test_a_samplers_even_steps_are_as_exact_as_uneven_ones(step):
    even = np.arange(0.0, 700.0, step)  # equal but for rounding
    uneven = np.sort(np.append(even, even[:-1] + 0.37 * step * np.arange(1, even.size) / even.size))
    rates = np.array(RATES)
    found = convolve_with_derivative(even, at(KNOTS, VALUES, even), EXACT, rates)
    again = convolve_with_derivative(
        uneven, at(even, at(KNOTS, VALUES, even), uneven), EXACT, rates
    )
    for one, other in zip(found, again, strict=True):
        # STEP_ALIKE, and the rounding of 7,000 steps.
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12 * np.abs(other).max())


def test_frames_days_apart_are_each_exact():
    knots = np.array([0.0, 600.0, 3600.0, 300000.0])
    values = np.array([0.0, 5.0, 2.0, 0.1])
    window = (np.array([0.0, 86400.0, 259200.0]), np.array([60.0, 87600.0, 261000.0]), "exact")
    together = convolve(knots, values, window, np.array([1e-5]))[0]
    for frame in range(3):
        alone = (window[0][frame : frame + 1], window[1][frame : frame + 1], "exact")
        assert together[frame] == convolve(knots, values, alone, np.array([1e-5]))[0, 0]


def test_the_trapezium_starts_at_time_zero():
    """Two samples at 10 and 20 s of an input 1: F(10) = 10 (1 + e) / 2 with e = exp(-10 rate)."""
    window = (np.array([5.0, 15.0]), np.array([15.0, 25.0]), "trapezium")
    found = convolve(np.array([0.0, 100.0]), np.ones(2), window, np.array([0.05]))[0]
    kept = np.exp(-0.5)
    first = 10 * (1 + kept) / 2
    np.testing.assert_allclose(found, [first, kept * first + first], rtol=1e-14)


def test_rates_and_delays_are_paired():
    rates, delays = np.array([0.01, 0.02, 0.02]), np.array([0.0, 3.0, 5.0])
    together = convolve(KNOTS, VALUES, EXACT, rates, delays)
    for row in range(3):
        alone = convolve(KNOTS, VALUES, EXACT, rates[row : row + 1], delays[row : row + 1])
        np.testing.assert_array_equal(together[row], alone[0])


def test_an_unknown_integration_is_named():
    with pytest.raises(InputError, match="rectangle"):
        convolve(KNOTS, VALUES, (START, END, "rectangle"), np.array([0.1]))


FRAMES = st.lists(
    st.tuples(st.floats(1, 600), st.floats(0, 1e6), st.sampled_from([0.0, 0.0, 2.0, 1e4])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(FRAMES, st.floats(0, 0.09))
def test_a_curve_with_means_has_them_and_does_not_fall_below_zero(seen, overlap):
    duration, means, gap = np.array(seen).T
    start = np.concatenate([[0.0], np.cumsum(duration + gap)[:-1]])
    start[1:] -= overlap
    end, middle = start + duration, start + duration / 2
    time, values = with_means(start, end, means)
    size = means.max() + 1e-9
    assert (np.diff(time) > 0).all()
    assert values.min() >= -1e-9 * size
    np.testing.assert_allclose(at(time, values, middle), means, rtol=0, atol=1e-9 * size)
    # Where clocks overlap by rounding, so much of a frame is its neighbour's.
    shared = 4 * overlap / duration.min()
    found = sample(time, values, (start, end, "exact"))[0]
    np.testing.assert_allclose(found, means, rtol=0, atol=(shared + 1e-9) * size)


def test_a_low_frame_after_a_gap_does_not_pull_the_one_before_it_down():
    start, end = np.array([0.0, 60.0, 3600.0]), np.array([60.0, 120.0, 3660.0])
    time, values = with_means(start, end, np.array([10.0, 8.0, -0.1]))
    lines = np.interp([120.0, 3600.0], (start + end) / 2, [10.0, 8.0, -0.1])
    # The end of the early frame is on the line; the late one's start, by noise, at its mean.
    assert at(time, values, np.array(120.0)) == pytest.approx(lines[0])
    assert at(time, values, np.array(3600.0)) == pytest.approx(-0.1)


def test_between_frames_apart_the_curve_is_straight():
    start, end = np.array([0.0, 100.0]), np.array([10.0, 110.0])
    time, values = with_means(start, end, np.array([8.0, 6.0]))
    when = np.array([10.0, 40.0, 100.0])
    np.testing.assert_allclose(at(time, values, when), 8.0 - 2.0 * (when - 5.0) / 100.0)
