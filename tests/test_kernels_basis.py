from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.kernels import basis as tables
from igdd.kernels.basis import Basis, Column, tabulate
from igdd.kernels.convolve import convolve, sample

KNOTS = np.concatenate([np.arange(0.0, 60.0, 2.0), np.arange(60.0, 3601.0, 60.0)])
VALUES = KNOTS * np.exp(-KNOTS / 20) + 4 * np.exp(-KNOTS / 2000) * (1 - np.exp(-KNOTS / 15))
END = np.cumsum(np.repeat([5.0, 20.0, 100.0, 300.0], [12, 9, 6, 9]))
START = np.concatenate([[0.0], END[:-1]])
WINDOW = START, END, "exact"
ITSELF = Column(KNOTS, VALUES, False)
TRAPPED = Column(KNOTS, VALUES, True)
FREE = np.array([np.nan])


def basis_of(columns=(ITSELF,), exponentials=1, given=None, positive=True, delay=(0.0, 0.0)):
    raw = tabulate((KNOTS, VALUES), columns, WINDOW, 0.5, delay)
    given = np.full(len(columns), np.nan) if given is None else np.array(given)
    conditions = given, np.full(len(columns) + 1, positive)
    return Basis(raw, np.ones(END.size), exponentials, conditions)


def response(rate, delay=0.0):
    return convolve(KNOTS, VALUES, WINDOW, np.atleast_1d(rate), delay)[0]


@pytest.mark.parametrize("rate", [0.0, 1e-6, 3e-4, 2e-2, 0.49])
def test_between_nodes_the_table_is_the_convolution(rate):
    basis = basis_of(())
    seen = basis.predict(np.array([[1.0, rate, 0.0]]))[0][0]
    exact = response(rate) @ basis.projection
    # The cubic's error at steps of 0.02 in u: h^4 / 384 of the fourth derivative.
    assert_allclose(seen, exact, atol=2e-9 * np.linalg.norm(exact))


@pytest.mark.parametrize("delay", [-3.3, 0.25, 11.7])
def test_between_delays_the_table_is_the_shifted_input(delay):
    basis = basis_of(delay=(-5.0, 15.0))
    seen = basis.predict(np.array([[0.3, 1.0, 0.01, delay]]))[0][0]
    exact = 0.3 * sample(KNOTS, VALUES, WINDOW, delay)[0] + response(0.01, delay)
    # A knot inside a step of delay bends the slope of a frame's mean.
    assert_allclose(seen, exact @ basis.projection, atol=1e-5 * np.linalg.norm(exact))


def test_the_table_knows_its_own_slopes():
    basis, one = basis_of(delay=(-5.0, 15.0)), np.array([[0.3, 1.0, 0.01, 2.3]])
    slopes = basis.predict(one)[1][0]
    for number, width in enumerate([1e-4, 1e-4, 1e-7, 1e-4]):
        ends = [basis.predict(one + way * width * np.eye(4)[number])[0][0] for way in (1, -1)]
        # Central differences: right to the square of the width.
        expected = (ends[0] - ends[1]) / (2 * width)
        assert_allclose(slopes[:, number], expected, atol=1e-5 * np.abs(expected).max())


def test_the_projection_loses_nothing_of_the_curves():
    basis = basis_of()
    curves = np.stack([response(rate) for rate in (0.0, 1e-4, 1e-2, 0.4)])
    seen, squares = basis.project(curves)
    # Directions below 1e-8 of the largest were left out.
    assert_allclose(np.sum(seen**2, axis=1), squares, rtol=1e-12)
    assert seen.shape[1] < END.size


def test_a_column_whose_coefficient_would_be_negative_is_left_out():
    curve = response(0.004) - 0.2 * sample(KNOTS, VALUES, WINDOW)[0]
    found = basis_of().solve(curve[None])
    alone = basis_of(()).solve(curve[None])
    assert found.canonical[0, 0] == 0
    assert found.status[0] & 4
    assert_allclose(found.canonical[0, 1:3], alone.canonical[0, :2], rtol=1e-9)
    # It is as unknown as if it had stayed, and the others are the less known for it.
    assert found.covariance[0, 0, 0] > 0
    assert found.covariance[0, 1, 1] > 1.1 * alone.covariance[0, 0, 0]


def test_free_signs_are_found_as_they_are():
    curve = -0.3 * response(0.004) + 0.2 * sample(KNOTS, VALUES, WINDOW)[0]
    found = basis_of(positive=False).solve(curve[None])
    assert_allclose(found.canonical[0, :3], [0.2, -0.3, 0.004], rtol=1e-7)


def test_only_one_of_two_negative_columns_may_have_to_go():
    columns = (ITSELF, TRAPPED)
    curve = response(0.004) + 0.1 * sample(KNOTS, VALUES, WINDOW)[0] - 0.02 * response(0.0)
    found = basis_of(columns).solve(curve[None])
    kept = basis_of((ITSELF,)).solve(curve[None])
    assert found.canonical[0, 1] == 0
    assert_allclose(found.canonical[0, [0, 2, 3]], kept.canonical[0, :3], rtol=1e-9)


def test_the_best_of_all_sets_of_columns_is_found():
    # Against every set by brute force, over noise that fits none of them.
    rng = np.random.default_rng(5)
    curves = rng.standard_normal((200, END.size)) + 0.2 * response(0.01) / 100
    basis = basis_of((ITSELF, TRAPPED))
    found = basis.solve(curves)
    seen, _ = basis.project(curves)
    ours = np.sum((seen - basis.predict(found.canonical)[0]) ** 2, axis=1)
    rates = 1e-7 + np.geomspace(1e-6, 0.49, 400)
    fixed = np.stack([sample(KNOTS, VALUES, WINDOW)[0], response(0.0)])
    grid = convolve(KNOTS, VALUES, WINDOW, rates, 0.0)
    best = np.full(len(curves), np.inf)
    for number, curve in enumerate(curves):
        from scipy.optimize import nnls

        for one in grid[::8]:
            _, left = nnls(np.column_stack([fixed.T, one]), curve)
            best[number] = min(best[number], left**2)
    whole = np.sum(curves**2, axis=1) - np.sum(seen**2, axis=1) + ours
    assert (whole <= best * (1 + 1e-9)).mean() > 0.98  # a local minimum in the rate, rarely


def test_two_exponentials_that_are_one_are_said_to_be_one():
    found = basis_of((), exponentials=2).solve(response(0.003)[None] * 2)
    a1, theta1, a2, theta2, _ = found.canonical[0]
    assert_allclose([a1, theta1], [2.0, 0.003], rtol=1e-6)
    assert a2 == 0
    assert theta2 > 0
    assert found.status[0] & 4


def test_held_columns_are_taken_away_at_every_delay():
    curve = 0.4 * sample(KNOTS, VALUES, WINDOW, 3.0)[0] + 0.02 * response(0.004, 3.0)
    found = basis_of(given=[0.4], delay=(-5.0, 15.0)).solve(curve[None])
    assert_allclose(found.canonical[0], [0.4, 0.02, 0.004, 3.0], rtol=1e-4)
    assert not found.covariance[0, 0].any()


def test_empty_and_broken_curves_are_not_fitted():
    curves = np.stack([np.zeros(END.size), np.full(END.size, np.nan), np.full(END.size, np.inf)])
    found = basis_of().solve(curves)
    assert (found.status == 1).all()
    assert np.isnan(found.canonical).all()


def test_a_minimum_on_a_bend_of_the_column_is_a_minimum():
    """At instants the input's own column bends wherever a knot passes one: every half second."""
    middle = np.arange(2.0, 300.0, 10.0)
    window = middle, middle, "instant"
    rng = np.random.default_rng(4)

    def solver(low, high):
        raw = tabulate((KNOTS, VALUES), (ITSELF,), window, 0.5, (low, high))
        return Basis(raw, np.ones(middle.size), 1, (FREE, np.ones(2, dtype=bool)))

    clean = 0.2 * sample(KNOTS, VALUES, window, 3.3)[0]
    clean = clean + 0.02 * convolve(KNOTS, VALUES, window, np.array([0.01]), 3.3)[0]
    curves = clean * (1 + 0.05 * rng.normal(size=(60, middle.size)))
    free = solver(-10.0, 20.0)
    found = free.solve(curves)
    assert not (found.status & 2).any()
    delay = found.canonical[:, -1]
    step = free.tables.grid[1]
    on_bend = np.abs(delay / step - np.rint(delay / step)) < 1e-6
    assert on_bend.any()

    def left(row, shift):
        held = solver(delay[row] + shift, delay[row] + shift)
        seen = held.predict(held.solve(curves[row : row + 1]).canonical)[0][0]
        values, squares = held.project(curves[row : row + 1])
        return squares[0] - values[0] @ values[0] + np.sum((values[0] - seen) ** 2)

    for row in np.flatnonzero(on_bend)[:8]:
        # Beside the bend the sum of squares rises in proportion to the way.
        here = left(row, 0.0)
        assert min(left(row, -0.01), left(row, 0.01)) > here * (1 + 1e-6)


def test_blood_that_vanishes_is_at_its_bound_and_leaves_the_delay_open():
    """Where the input's own share is 0 a shift of the input is a sum of the other columns."""
    basis = basis_of((ITSELF, TRAPPED), delay=(-5.0, 15.0))
    curve = 0.002 * response(0.0, 4.0) + 0.01 * response(0.004, 4.0)
    found = basis.solve(curve[None])
    assert found.status[0] == 4 + 8
    assert found.canonical[0, 0] == 0
    # The tables beside a delay are good to 1e-6, and a shift hides behind them.
    assert_allclose(found.canonical[0, 3], 0.004, rtol=1e-3)
    assert np.isfinite(found.covariance[0]).all()


def test_a_free_delay_is_the_best_of_all_delays():
    """Against every second of delay by itself, over noise under which blood vanishes in most."""
    columns, rng = (ITSELF, TRAPPED), np.random.default_rng(1)
    clean = 0.01 * sample(KNOTS, VALUES, WINDOW, 3.3)[0] + 0.002 * response(0.0, 3.3)
    clean = clean + 0.01 * response(0.006, 3.3)
    curves = clean * (1 + 0.4 * rng.normal(size=(2000, END.size)))

    def left(low, high):
        basis = basis_of(columns, delay=(low, high))
        found = basis.solve(curves)
        seen, squares = basis.project(curves)
        inside = np.sum((seen - basis.predict(found.canonical)[0]) ** 2, axis=1)
        return squares - np.sum(seen**2, axis=1) + inside, found.status

    ours, status = left(-5.0, 15.0)
    best = np.min([left(delay, delay)[0] for delay in np.arange(-5.0, 15.1, 1.0)], axis=0)
    assert (status & 4 > 0).mean() > 0.5
    # The tables differ by 1e-5 of a curve; beyond that a better valley is missed in few of them.
    assert (ours > best * (1 + 1e-4)).mean() < 2e-3
    assert (ours < best * (1 + 0.01)).all()


@pytest.mark.parametrize("interval", [0.7, 1.0, 2.35, 3.7, 7 / 3, 10.0])
@pytest.mark.parametrize("integration", ["exact", "instant"])
def test_delays_at_which_curves_bend_are_nodes_where_they_are_even(interval, integration):
    start = np.arange(40) * interval
    window = start, start + interval, integration
    middle = start + interval / 2
    later = tables._delays(middle, window, (-20.0, 60.0))
    step = later[1] - later[0]
    assert 0.125 <= step <= 0.5
    assert -20 - step < later[0] <= -20
    assert 60 <= later[-1] < 60 + step
    seen = middle if integration == "instant" else start
    for bend in (seen[4] - middle[3], seen[3] - middle[4]):
        assert np.abs(later - bend).min() < 1e-9


def test_delays_of_uneven_samples_are_even_between_the_bounds():
    rng = np.random.default_rng(2)
    knots = np.cumsum(rng.uniform(1.0, 3.0, 50))
    later = tables._delays(knots, WINDOW, (-20.0, 60.0))
    assert (later[0], later[-1]) == (-20.0, 60.0)
    assert_allclose(np.diff(later), 0.5)
    many = np.arange(200_000) * 0.01  # too many pairs to look through
    assert_allclose(np.diff(tables._delays(many, WINDOW, (-20.0, 60.0))), 0.25)
