from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.kernels import graphical, judge
from igdd.kernels.linear import solve_linear

KINDS = (graphical.PATLAK, graphical.LOGAN, graphical.MULTILINEAR)
START = np.concatenate([[0.0, 30.0, 60.0], np.arange(120.0, 2100.0, 120.0)])
END = np.append(START[1:], 2100.0)
COUNT = START.size
ROUNDING = 1e-9  # of sums whose columns are nearly parallel (cosine 0.999), in double precision


def plot_of(kind: int, used=None, scale: float = 1.0, offset: float = 0.0) -> graphical.Plot:
    middle = (START + END) / 2
    plasma = 5.0 + 100.0 * np.exp(-middle / 200.0)
    area = 5.0 * middle + 20000.0 * (1 - np.exp(-middle / 200.0))
    return graphical.Plot(
        kind=kind,
        plasma=plasma,
        area=area,
        running=graphical.running_weights(START, END, "exact"),
        used=np.arange(3, COUNT) if used is None else np.asarray(used),
        scale=scale,
        offset=np.full(COUNT, offset),
    )


def noisy(count: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = (START + END) / 2
    slope, level = rng.uniform(0.5, 4, (2, count, 1))
    clean = 20.0 + 10 * slope * np.sqrt(middle) * np.exp(-middle / 3000) + level
    return clean * (1 + 0.03 * rng.standard_normal((count, COUNT)))


def columns(values: np.ndarray, plot: graphical.Plot):
    """Both columns and the target (n, t) of a line, written the slow way."""
    tissue = plot.scale * (values - plot.offset)
    whole = graphical.running_integral(tissue, plot.running)
    area, plasma = (np.broadcast_to(row, values.shape) for row in (plot.area, plot.plasma))
    if plot.kind == graphical.PATLAK:
        return area, plasma, tissue, 1 / plasma
    if plot.kind == graphical.LOGAN:
        return area, tissue, whole, 1 / tissue
    return area, whole, tissue, np.ones_like(tissue)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", ["no", "frames", "voxels"])
def test_lines_are_those_of_a_general_least_squares(kind, weighted):
    plot, values = plot_of(kind, scale=1.25, offset=0.4), noisy()
    rng = np.random.default_rng(1)
    sd = {
        "no": None,
        "frames": rng.uniform(0.5, 2, COUNT),
        "voxels": rng.uniform(0.5, 2, values.shape),
    }[weighted]
    first, second, target, weight = columns(values, plot)
    row_sd = 1 / weight if sd is None else np.broadcast_to(sd, values.shape)
    expected = solve_linear(
        np.stack([first, second], axis=-1)[:, plot.used], target[:, plot.used], row_sd[:, plot.used]
    )
    found = graphical.fit(values, plot, sd)
    assert_allclose(found.coefficients, expected.coefficients, rtol=ROUNDING)
    if kind == graphical.PATLAK:  # rows of the others are not independent
        assert_allclose(found.covariance, expected.covariance, rtol=1e-7)  # of squares of the above


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("integration", ["exact", "trapezium"])
@pytest.mark.parametrize("weighted", [False, True])
def test_noise_of_each_frame_is_followed_through_the_integrals(kind, integration, weighted):
    plot = plot_of(kind, used=np.arange(5, COUNT - 1))
    start, end = START.copy(), END.copy()
    end[8] -= 20.0  # a gap, which the next frame bridges
    running = graphical.running_weights(start, end, integration)
    plot = graphical.Plot(**{**vars(plot), "running": running})
    values = noisy(3)
    sd = np.random.default_rng(8).uniform(0.5, 2, COUNT) if weighted else None
    found = graphical.fit(values, plot, sd)
    for voxel, curve in enumerate(values):
        expected = brute_force(curve, plot, sd)
        assert_allclose(found.covariance[voxel], expected, rtol=1e-6)  # of squares of 1e-9


def brute_force(curve, plot, sd):
    """Covariance of both coefficients with every matrix written out."""
    first, second, target, weight = (row[0] for row in columns(curve[None], plot))
    weight = weight if sd is None else 1 / sd
    noise = {graphical.PATLAK: 1 / weight, graphical.LOGAN: curve}.get(plot.kind, np.ones(COUNT))
    noise = noise if sd is None else sd
    used = plot.used
    design = (np.stack([first, second], axis=1) * weight[:, None])[used]
    rows = (target * weight)[used]
    inverse = np.linalg.pinv(design)
    coefficients = inverse @ rows
    integral = graphical.running_integral(np.eye(COUNT), plot.running).T
    by_kind = {
        graphical.PATLAK: np.eye(COUNT),
        graphical.LOGAN: integral - coefficients[1] * np.eye(COUNT),
        graphical.MULTILINEAR: np.eye(COUNT) - coefficients[1] * integral,
    }
    change = (by_kind[plot.kind] * weight[:, None] * noise)[used]
    left = np.eye(used.size) - design @ inverse
    scale = np.sum((left @ rows) ** 2) / np.sum((left @ change) ** 2)
    return scale * (inverse @ change) @ (inverse @ change).T


@pytest.mark.parametrize("kind", KINDS)
def test_runs_are_judged_as_for_regions(kind):
    plot, values = plot_of(kind), noisy(2000, 5)
    values[::2, 3:6] -= 60.0  # a step that no line follows
    found = graphical.fit(values, plot)
    shown = graphical.predicted(values, found.coefficients, plot)
    first, second, target, weight = columns(values, plot)
    line = found.coefficients[:, :1] * first + found.coefficients[:, 1:] * second
    inside = np.isin(np.arange(COUNT), plot.used)
    expected = judge.residual_runs(weight * target, np.where(inside, weight * line, np.nan))
    assert expected.any()
    assert_allclose((found.status & judge.RESIDUAL_RUNS) > 0, expected)
    assert np.isnan(shown[:, :3]).all()
    assert np.isfinite(shown[:, 3:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_prediction_lies_on_the_line(kind):
    plot, values = plot_of(kind, scale=1.25, offset=0.4), noisy(50)
    coefficients = graphical.fit(values, plot).coefficients
    first, second, target, _ = columns(values, plot)
    line = coefficients[:, :1] * first + coefficients[:, 1:] * second
    shown = graphical.predicted(values, coefficients, plot)
    away = values - shown
    # What is left of the curve is what is left of the row: times 1, 1 / b and 1.
    size = coefficients[:, 1:] if kind == graphical.LOGAN else 1.0
    sign = -1.0 if kind == graphical.LOGAN else 1.0
    expected = sign * (target - line) / size / plot.scale
    assert_allclose(away[:, plot.used], expected[:, plot.used], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_voxel_leaves_its_neighbours_alone(kind):
    plot, values = plot_of(kind), noisy(400)
    alone = graphical.fit(values, plot)
    spoiled = values.copy()
    spoiled[17, 4], spoiled[200, 6], spoiled[399] = np.nan, np.inf, 0.0
    found = graphical.fit(spoiled, plot)
    bad = np.isin(np.arange(400), [17, 200, 399])
    assert np.array_equal(found.status[bad], [judge.NOT_FITTED] * 3)
    assert np.isnan(found.coefficients[bad]).all()
    assert np.isnan(found.covariance[bad]).all()
    assert np.array_equal(found.coefficients[~bad], alone.coefficients[~bad])
    assert np.array_equal(found.status[~bad], alone.status[~bad])


@pytest.mark.parametrize("kind", KINDS)
def test_memory_order_precision_and_number_of_voxels_change_nothing(kind):
    plot, values = plot_of(kind), noisy(391).astype(np.float32)
    found = graphical.fit(values, plot)
    turned = graphical.fit(np.ascontiguousarray(values.T).T, plot)
    single = np.vstack([graphical.fit(row[None], plot).coefficients for row in values[:5]])
    wide = graphical.fit(values.astype(float), plot)
    assert np.array_equal(found.coefficients, turned.coefficients)
    assert np.array_equal(found.coefficients[:5], single)
    assert np.array_equal(found.coefficients, wide.coefficients)


def test_an_infinite_deviation_leaves_a_frame_out():
    plot, values = plot_of(graphical.PATLAK), noisy(20)
    sd = np.ones(COUNT)
    sd[6] = np.inf
    spoiled = values.copy()
    spoiled[:, 6] = 1e6
    fewer = plot_of(graphical.PATLAK, used=np.delete(np.arange(3, COUNT), 3))
    left_out = graphical.fit(spoiled, plot, sd)
    without = graphical.fit(values, fewer, np.ones(COUNT))
    assert_allclose(left_out.coefficients, without.coefficients, rtol=ROUNDING)
    assert_allclose(left_out.covariance, without.covariance, rtol=1e-7)


def test_a_logan_plot_over_negative_values_is_flagged():
    plot, values = plot_of(graphical.LOGAN), noisy(3)
    values[1, 8] = -1.0
    status = graphical.fit(values, plot).status
    assert status[1] & judge.POORLY_IDENTIFIED
    assert not status[0] & judge.POORLY_IDENTIFIED


def test_parallel_columns_are_flagged():
    plot = plot_of(graphical.PATLAK)
    parallel = graphical.Plot(**{**vars(plot), "area": 30.0 * plot.plasma * (1 + 1e-12 * START)})
    status = graphical.fit(noisy(4), parallel).status
    assert (status & (judge.POORLY_IDENTIFIED | judge.NOT_FITTED)).all()


def test_two_frames_give_a_line_without_an_error():
    found = graphical.fit(noisy(4), plot_of(graphical.PATLAK, used=[4, 8]))
    assert np.isfinite(found.coefficients).all()
    assert np.isnan(found.covariance).all()


@pytest.mark.parametrize("integration", ["exact", "instant"])
def test_the_running_integral_is_exact_at_the_frames_borders(integration):
    values = noisy(3)
    weights = graphical.running_weights(START, END, integration)
    found = graphical.running_integral(values, weights)
    until = np.cumsum(values * (END - START), axis=1)
    assert_allclose(found + values * (END - START) / 2, until, rtol=1e-12)


def test_the_trapezium_joins_the_middles():
    values, middle = noisy(3), (START + END) / 2
    found = graphical.running_integral(values, graphical.running_weights(START, END, "trapezium"))
    time, known = np.append(0.0, middle), np.hstack([np.zeros((3, 1)), values])
    expected = np.cumsum(np.diff(time) * (known[:, 1:] + known[:, :-1]) / 2, axis=1)
    assert_allclose(found, expected, rtol=1e-12)


def test_a_bridged_gap_and_a_late_start_run_straight():
    start, end = np.array([10.0, 60.0]), np.array([20.0, 80.0])
    found = graphical.running_integral(
        np.array([[4.0, 6.0]]), graphical.running_weights(start, end, "exact")
    )
    # 10 s up to 4, half of 10 s at 4; the rest of it, 40 s from 4 to 6, half of 20 s at 6.
    assert_allclose(found, [[20.0 + 20.0, 20.0 + 40.0 + 200.0 + 60.0]])


def test_gaps_are_found_and_rounding_is_none():
    assert graphical.find_gap(START, END) == -1
    assert graphical.find_gap(START + np.linspace(0, 0.05, COUNT), END) == -1
    late = START.copy()
    late[6] += 60.0
    assert graphical.find_gap(late, END) == 6
    assert graphical.find_gap(late, END, allowed=60.0) == -1
    overlapping = START.copy()
    overlapping[6] -= 60.0
    assert graphical.find_gap(overlapping, END, allowed=100.0) == 6


@settings(max_examples=40, deadline=None)
@given(above=st.integers(0, 25), below=st.integers(0, 25), runs=st.integers(1, 50))
def test_critical_runs_are_those_of_the_exact_distribution(above, below, runs):
    if not above + below or runs > 2 * min(above, below) + 1 or (runs < 2 and above and below):
        return
    few = judge.few_runs(above, below, runs) < judge.UNLIKELY
    assert few == (runs <= judge.critical_runs(above, below))
