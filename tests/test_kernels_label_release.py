"""Released label by deconvolution: exact cases, bladder arithmetic, what cannot be told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import FitError, InputError
from igdd.kernels.label_release import Place, never_falling, released, separation
from igdd.kernels.label_response import Response, Seen, bladder_rows, fair_variance, response
from igdd.kernels.rate_process import ROUGHNESS, Problem, bin_edges, clocks, estimate, rising

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0])
RATE = 0.9  # 1/h: free label into urine
SHARE = 0.7  # of free label that ends in urine


def free_urine(t: np.ndarray) -> np.ndarray:
    return SHARE * -np.expm1(-RATE * np.maximum(t, 0.0))


def seen(times, values, sd, animals: int = 1) -> Seen:
    times = np.asarray(times, float)
    return Seen(
        times, np.tile(np.eye(times.size), (animals, 1)), np.tile(values, animals),
        np.broadcast_to(np.asarray(sd, float), (times.size * animals,)).copy(),
        np.repeat(np.arange(animals), times.size),
    )  # fmt: skip


def released_urine(fraction: float, rate: float, t: np.ndarray) -> np.ndarray:
    """Urine after first-order release, in closed form."""
    carried = (rate * np.exp(-RATE * t) - RATE * np.exp(-rate * t)) / (RATE - rate)
    return fraction * SHARE * (1 + carried)


def control(sd: float = 1e-4, animals: int = 3) -> Response:
    return response(seen(TIMES, free_urine(TIMES), sd, animals), jump=False)


def test_a_response_follows_a_curve_between_its_samples():
    # Seven samples of an exponential: the largest error between two of them is that of a smooth
    # curve through seven points; 1 point of 70 where the curve bends most.
    found = control()
    t = np.linspace(0.1, 24, 200)
    assert_allclose(found.at(t), free_urine(t), atol=0.01)
    assert_allclose(found.at(TIMES), free_urine(TIMES), atol=5e-4)
    assert found.at(np.array([-1.0, 48.0])).tolist() == [0.0, found.values[-1]]


def test_the_area_of_a_response_is_its_integral():
    found = control()
    fine = np.linspace(0, 40, 200_001)
    steps = np.diff(fine) * (found.at(fine)[1:] + found.at(fine)[:-1]) / 2
    for end in (0.0, 0.3, 7.0, 24.0, 40.0):
        # the trapezoidal sum on a grid of 0.2 ms of an hour, straight pieces
        assert_allclose(found.area(np.array(end)), steps[fine[1:] <= end + 1e-9].sum(), atol=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_first_order_release_is_found_without_noise(rate):
    values = released_urine(0.6, rate, TIMES)
    found = released([Place(seen(TIMES, values, 2e-4), control(), None)], TIMES)
    truth = 0.6 * -np.expm1(-rate * TIMES)
    # Between samples the rate is not seen: 3 points at any time, 2 at the last.
    assert_allclose(found.value, truth, atol=0.03)
    assert_allclose(found.value[-1], truth[-1], atol=0.02)
    assert found.misfit > 0.01


def test_a_burst_is_the_free_labels_own_course():
    found = released([Place(seen(TIMES, 0.4 * free_urine(TIMES), 2e-4), control(), None)], TIMES)
    assert_allclose(found.value, 0.4, atol=0.01)


def test_nothing_released_is_nothing_found():
    found = released([Place(seen(TIMES, 0 * TIMES, 1e-3), control(), None)], TIMES)
    assert_allclose(found.value, 0, atol=1e-3)
    assert (found.low == 0).all()


def test_a_carrier_that_stays_gives_its_own_course_and_no_release():
    carried = 0.05 * np.exp(-0.05 * TIMES)
    stays = response(seen(TIMES, carried, 1e-4, 3), jump=True)
    place = Place(seen(TIMES, carried, 2e-4), control(), stays)
    assert_allclose(released([place], TIMES).value, 0, atol=2e-3)


def test_the_carriers_own_course_shrinks_as_its_label_leaves():
    carried = 0.3 * np.exp(-0.02 * TIMES)
    left = 1 - 0.6 * -np.expm1(-0.1 * TIMES)
    stays = response(seen(TIMES, carried, 1e-4, 3), jump=True)
    values = carried * left + released_urine(0.6, 0.1, TIMES)
    found = released([Place(seen(TIMES, values, 2e-4), control(), stays)], TIMES)
    assert_allclose(found.value, 1 - left, atol=0.03)


def test_two_places_of_one_release_agree_and_narrow_the_interval():
    bone = response(seen(TIMES, 0.2 * -np.expm1(-TIMES), 1e-3, 3), jump=True)
    rate, share, uptake = 0.1, 0.6, 1.0
    shape = 1 + (rate * np.exp(-uptake * TIMES) - uptake * np.exp(-rate * TIMES)) / (uptake - rate)
    urine = Place(seen(TIMES, released_urine(share, rate, TIMES), 0.02), control(), None)
    sink = Place(seen(TIMES, 0.2 * share * shape, 0.004), bone, None)
    alone, both = released([urine], TIMES), released([urine, sink], TIMES)
    assert_allclose(both.value, share * -np.expm1(-rate * TIMES), atol=0.05)
    assert both.sd[-1] < alone.sd[-1]


def test_limits_hold_the_value_and_stay_from_0_to_1():
    generator = np.random.default_rng(1)
    for scale in (0.0, 0.5, 1.0):
        values = released_urine(scale, 0.1, TIMES) + 0.05 * generator.standard_normal(TIMES.size)
        found = released([Place(seen(TIMES, values, 0.05), control(0.02), None)], TIMES)
        assert (found.low <= found.value).all()
        assert (found.value <= found.high).all()
        assert (found.low >= 0).all()
        assert (found.high <= 1).all()
        assert (np.diff(found.value) >= 0).all()


def test_urine_that_falls_is_no_release():
    values = np.array([0.3, 0.28, 0.2, 0.15, 0.1, 0.05, 0.02])
    assert released([Place(seen(TIMES, values, 0.005), control(), None)], TIMES).misfit < 1e-6


def test_scatter_between_controls_widens_the_interval_and_is_found():
    generator = np.random.default_rng(3)
    factors = 1 + 0.2 * generator.standard_normal(40)
    several = Seen(
        TIMES, np.tile(np.eye(TIMES.size), (40, 1)), np.outer(factors, free_urine(TIMES)).ravel(),
        np.full(40 * TIMES.size, 0.002), np.repeat(np.arange(40), TIMES.size),
    )  # fmt: skip
    found = response(several, jump=False)
    amount = found.scatter[0, -1] / found.values[-1]
    # 40 animals: the sample standard deviation of 0.2 has a standard error of 0.022
    assert_allclose(amount, np.std(factors, ddof=1) / factors.mean(), rtol=0.05)
    values = released_urine(0.5, 0.1, TIMES)
    wide = released([Place(seen(TIMES, values, 1e-3), found, None)], TIMES[-1:])
    narrow = released([Place(seen(TIMES, values, 1e-3), control(), None)], TIMES[-1:])
    # one animal's own amount is known to 20 %
    assert_allclose(wide.sd / wide.value, amount, rtol=0.25)
    assert narrow.sd < wide.sd / 5


def test_sampling_beyond_the_stated_noise_is_found_in_the_controls():
    generator = np.random.default_rng(4)
    values = np.tile(free_urine(TIMES), 12) * (1 + 0.1 * generator.standard_normal(84))
    noisy = Seen(TIMES, np.tile(np.eye(7), (12, 1)), values, np.full(84, 1e-3),
                 np.repeat(np.arange(12), 7))  # fmt: skip
    # 84 samples less 24 of animals and 5 of the mean: standard error 0.1 / sqrt(2 x 55) = 0.01
    assert_allclose(response(noisy, jump=False).sampling_cv, 0.1, atol=0.03)


def test_weights_do_not_follow_counts_that_happen_to_be_low():
    generator = np.random.default_rng(5)
    counts = generator.poisson(5.0, 400) + 0.0
    one = Seen(np.array([1.0]), np.ones((400, 1)), counts, np.sqrt(np.maximum(counts, 1)),
               np.zeros(400, int))  # fmt: skip
    fair = fair_variance(one, np.full(400, 5.0))
    naive = np.average(counts, weights=1 / one.sd**2)
    weighed = np.average(counts, weights=1 / fair)
    assert naive < 4.4  # the bias that is to be avoided: a mean of about 4
    assert_allclose(weighed, counts.mean(), rtol=0.05)


def test_equal_deviations_stay_as_they_are():
    one = seen(TIMES, free_urine(TIMES), 0.01)
    assert_allclose(fair_variance(one, one.values * 1.1), 1e-4, rtol=1e-6)


def test_a_bladder_holds_what_was_formed_since_it_was_emptied():
    scans, voids = np.array([1.0, 4.0, 9.0]), np.array([2.0, 4.0, 8.0])
    times, held, brought = bladder_rows(scans, voids)
    formed = 10 * times
    assert_allclose(held @ formed, [10, 20, 10])  # a scan at the time of a void comes before it
    assert_allclose(brought @ formed, [20, 20, 40])


def test_what_a_void_leaves_behind_comes_with_the_next():
    times, held, brought = bladder_rows(np.array([3.0]), np.array([1.0, 2.0]), residual=0.25)
    formed = 10 * times
    assert_allclose(brought @ formed, [7.5, 0.75 * 12.5])
    assert_allclose(held @ formed, [0.25 * 12.5 + 10])


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True),
    st.floats(0, 0.9),
)
def test_urine_is_never_lost(scans, voids, residual):
    last = np.array([50.0])
    scans = np.append(np.sort(np.array(scans, float)), last)
    times, held, brought = bladder_rows(scans, np.sort(np.array(voids, float)), residual)
    formed = np.sqrt(times)
    assert_allclose((brought @ formed).sum() + (held @ formed)[-1], formed[-1], rtol=1e-12)


def test_separation_is_the_angle_between_the_two_courses():
    free = control()
    assert separation(Place(seen(TIMES, free_urine(TIMES), 0.01), free, None)).angle == 90
    same = free._replace(values=0.4 * free.values)
    assert separation(Place(seen(TIMES, free_urine(TIMES), 0.01), free, same)).angle < 1e-5
    other = response(seen(TIMES, 0.3 * np.exp(-0.5 * TIMES), 1e-4, 3), jump=True)
    found = separation(Place(seen(TIMES, free_urine(TIMES), 0.01), free, other))
    a, b = free_urine(TIMES), np.exp(-0.5 * TIMES)
    truth = np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert_allclose(found.angle, truth, atol=0.2)


def test_free_label_that_does_not_come_has_no_reach():
    generator = np.random.default_rng(2)
    nothing = response(seen(TIMES, 0.01 * generator.standard_normal(7), 0.01, 1), jump=False)
    place = Place(seen(TIMES, 0 * TIMES, 0.01), nothing, None)
    assert separation(place).reach < 3


def test_clocks_are_of_one_length_and_end_at_the_last_edge():
    edges = bin_edges(TIMES)
    for lengths in clocks(edges, TIMES):
        assert_allclose(lengths.sum(), 4.0)
        assert lengths.size == edges.size - 1


def test_an_estimate_is_the_gaussian_posterior():
    # one observation of the total, with a prior that the test computes by itself
    edges = np.array([0.0, 1.0, 2.0])
    total = np.array([[1.0, 1.0, 1.0]])
    problem = Problem(edges, total, np.array([0.3]), np.array([[1e-10]]), total, 1.0)
    found = estimate(problem, edges[1:])
    assert_allclose(found.mean, 0.3, atol=1e-6)
    assert_allclose(found.covariance, 1e-10, rtol=1e-3)
    assert found.roughness in ROUGHNESS


def test_a_rising_curve_never_falls_and_keeps_its_bound():
    edges = bin_edges(TIMES)
    sums = (edges[None, :] <= TIMES[:, None]).astype(float)
    problem = Problem(edges, sums, np.array([0.1, 0.5, 0.4, 0.9, 1.3, 1.2, 1.4]),
                      1e-4 * np.eye(7), sums, 1.0)  # fmt: skip
    growth = rising(problem, estimate(problem, TIMES), most=1.0)
    assert growth.min() >= 0
    assert growth.sum() <= 1 + 1e-3  # the bound is held by a row of weight 1e3


def test_never_falling_is_the_nearest_such_sequence():
    values, weights = np.array([0.2, 0.1, 0.4, 0.3, 0.35]), np.array([1.0, 3.0, 1.0, 1.0, 2.0])
    found = never_falling(values, weights)
    assert (np.diff(found) >= 0).all()
    assert_allclose(found @ weights, values @ weights)
    generator = np.random.default_rng(0)
    for _ in range(200):
        other = np.sort(found + 0.1 * generator.standard_normal(5))
        assert weights @ (other - values) ** 2 >= weights @ (found - values) ** 2


def test_an_observation_without_noise_is_refused():
    edges = bin_edges(TIMES)
    sums = (edges[None, :] <= TIMES[:, None]).astype(float)
    doubled = np.vstack([sums, sums])
    problem = Problem(edges, doubled, np.ones(14), np.zeros((14, 14)), sums, 1.0)
    with pytest.raises(FitError, match="above 0"):
        estimate(problem, TIMES)
    with pytest.raises(InputError, match="none before it"):
        bin_edges(np.array([-1.0, 2.0]))
