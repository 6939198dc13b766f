"""Judging fits: corrected AIC, runs, identifiability, the rule for t*, the bootstrap."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.linear import solve_linear
from igdd.kinetics import Status


def test_the_bits_are_those_of_the_vocabulary():
    # Whether a curve is enhanced before its input, the stages see: kernels know no inputs.
    for bit in set(Status) - {Status.ENHANCED_BEFORE_INPUT}:
        assert getattr(judge, bit.name) == bit


def test_aicc_is_not_known_where_frames_are_too_few():
    assert np.isnan(judge.aicc(np.array([1.0]), 5, 4))
    assert np.isfinite(judge.aicc(np.array([1.0]), 6, 4))


def test_aicc_prefers_the_smaller_model_of_equal_fit():
    assert judge.aicc(np.array([2.0]), 20, 2) < judge.aicc(np.array([2.0]), 20, 4)


def test_a_constant_unit_does_not_change_differences_of_aicc():
    first = judge.aicc(np.array([2.0]), 20, 2) - judge.aicc(np.array([1.5]), 20, 4)
    second = judge.aicc(np.array([2e6]), 20, 2) - judge.aicc(np.array([1.5e6]), 20, 4)
    assert_allclose(first, second)


@pytest.mark.parametrize(("above", "below"), [(3, 4), (2, 5), (4, 4)])
def test_the_probability_of_runs_is_that_of_counting_all_orders(above, below):
    signs = [1.0] * above + [-1.0] * below
    orders = np.array(sorted(set(permutations(signs))))
    runs = (orders[:, 1:] != orders[:, :-1]).sum(axis=1) + 1
    expected = (runs[None, :] <= runs[:, None]).mean(axis=1)
    assert_allclose(judge.runs_probability(orders), expected)


def test_random_residuals_are_flagged_no_more_often_than_stated():
    values = np.random.default_rng(1).standard_normal((20_000, 25))
    # a discrete test: at most 1 %; binomial sd 0.0007
    assert judge.residual_runs(values, np.zeros_like(values)).mean() < 0.0122


def test_a_model_that_does_not_follow_is_flagged():
    time = np.linspace(0, 6, 30)
    assert judge.residual_runs(np.sin(time)[None], np.zeros((1, 30))).all()


def test_rounding_is_no_misfit():
    values = np.ones((1, 30))
    assert not judge.residual_runs(values, values + 1e-9 * np.linspace(-1, 1, 30)).any()


def test_few_frames_prove_nothing():
    assert not judge.residual_runs(np.array([[1.0, 1, 1, -1, -1, -1]]), np.zeros((1, 6))).any()


def test_frames_that_were_not_used_do_not_count():
    values = np.sin(np.linspace(0, 6, 30))[None]
    predicted = np.zeros((1, 30))
    predicted[:, 4:] = np.nan
    assert not judge.residual_runs(values, predicted).any()


def test_the_condition_does_not_know_units():
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]])
    scale = np.array([1e-6, 1e3])
    assert_allclose(judge.condition(matrix[None]), 3.0)
    assert_allclose(judge.condition((matrix * np.outer(scale, scale))[None]), 3.0)


def test_a_parameter_without_effect_has_no_condition():
    assert judge.condition(np.diag([1.0, 0.0])[None])[0] == np.inf


def test_a_standard_error_above_the_value_is_poorly_identified():
    parameters = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 0.0]])
    covariance = np.zeros((3, 2, 2))
    covariance[:, 0, 0] = [0.5**2, 1.5**2, 0.1]
    assert_array_equal(judge.poorly_identified(parameters, covariance), [False, True, False])


def test_what_may_be_zero_is_known_by_its_error_not_by_its_size():
    parameters, covariance = np.array([[0.01], [0.01], [0.5]]), np.zeros((3, 1, 1))
    covariance[:, 0, 0] = [0.02**2, 0.2**2, 0.2**2]
    for known, open_ in ((0.0, [True, True, False]), (0.1, [False, True, False])):
        assert_array_equal(judge.poorly_identified(parameters, covariance, known=known), open_)
    covariance[0] = np.nan
    of_either_sign = judge.poorly_identified(parameters, covariance, low=np.array([-1.0]))
    assert_array_equal(of_either_sign, [True, False, False])


def test_t_star_is_the_first_frame_of_the_straight_part():
    abscissa = np.arange(12.0)
    bent = np.where(abscissa < 4, abscissa**2, 5 * abscissa - 4) + 1.0
    assert judge.earliest_straight(abscissa, bent[None], 1e-6)[0] == 4
    assert judge.earliest_straight(abscissa, bent[None], 10.0)[0] == 0


def test_no_t_star_where_nothing_is_straight():
    values = np.array([1.0, -1, 1, -1, 1, -1, 1, -1])
    assert judge.earliest_straight(np.arange(8.0), values[None], 0.1)[0] == -1


def test_a_missing_point_is_no_start():
    abscissa = np.arange(9.0)
    values = 2 * abscissa + 1
    values[0] = np.nan
    assert judge.earliest_straight(abscissa, values[None], 0.01)[0] == 1


def test_a_line_needs_three_points():
    with pytest.raises(InputError, match="3 or more"):
        judge.earliest_straight(np.arange(9.0), np.ones((1, 9)), 0.1, least=2)


def test_the_bootstrap_finds_the_standard_error_of_a_line():
    time = np.linspace(0, 1, 40)
    design = np.stack([np.ones(40), time], axis=1)
    values = 1 + time + 0.1 * np.random.default_rng(2).standard_normal((200, 40))
    fitted = solve_linear(design, values)
    found = judge.bootstrap_sd(
        lambda curves: solve_linear(design, curves).coefficients,
        values,
        fitted.predicted,
        fitted=2,
    )
    expected = np.sqrt(np.einsum("njj->nj", fitted.covariance))
    # 200 replicates: 5 % each; the mean over 200 curves shows no bias
    assert_allclose((found / expected).mean(axis=0), 1.0, atol=0.02)
    again = judge.bootstrap_sd(
        lambda curves: solve_linear(design, curves).coefficients,
        values,
        fitted.predicted,
        fitted=2,
    )
    assert_array_equal(again, found)


def test_the_bootstrap_leaves_frames_alone_that_were_not_used():
    values = np.random.default_rng(3).random((2, 10))
    predicted = np.full((2, 10), 0.5)
    predicted[:, :4] = np.nan
    seen = []

    def solve(curves):
        seen.append(curves)
        return curves[:, 4:].mean(axis=1, keepdims=True)

    judge.bootstrap_sd(solve, values, predicted, fitted=1, replicates=20)
    assert_array_equal(np.stack(seen)[:, :, :4], np.broadcast_to(values[:, :4], (20, 2, 4)))
    assert np.stack(seen)[:, :, 4:].std() > 0


def test_the_runs_of_very_many_frames_are_judged_in_little_memory():
    half = np.full(3, 50_000)
    # n / 2 runs are expected of so many signs, with a standard deviation of half the root of n.
    runs = 50_001 + np.array([-3.0, -2.0, 0.0]) * np.sqrt(1e5) / 2
    found = judge.too_few_runs(half, half, runs.astype(int))
    # One normal deviate in a hundred lies below -2.33.
    assert found.tolist() == [True, False, False]
