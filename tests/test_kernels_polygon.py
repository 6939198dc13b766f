"""Area weights of polygons: exact against rectangles, triangles, discs, holes and brute force."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.polygon import polygon_area, polygon_weights, polygon_window

# Rounding of sums of some hundred terms of order 1 to 100.
EXACT = 1e-11


def ring(centre: tuple[float, float], radius: float, points: int = 64) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.array(centre) + radius * np.column_stack([np.cos(angle), np.sin(angle)])


def box(low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    return np.array([low, (low[0], high[1]), high, (high[0], low[1])], dtype=float)


def even_odd(contours: list[np.ndarray], points: np.ndarray) -> np.ndarray:
    """Whether each point is inside, by counting the edges to its far side one by one."""
    inside = np.zeros(len(points), dtype=bool)
    for contour in contours:
        for (i0, j0), (i1, j1) in zip(contour, np.roll(contour, -1, axis=0), strict=True):
            if i0 == i1:
                continue
            spans = (np.minimum(i0, i1) <= points[:, 0]) & (points[:, 0] < np.maximum(i0, i1))
            inside ^= spans & (j0 + (points[:, 0] - i0) * (j1 - j0) / (i1 - i0) > points[:, 1])
    return inside


def test_a_rectangle_gives_the_product_of_its_overlaps():
    weights = polygon_weights([box((0.7, 1.25), (3.1, 2.5))], (5, 4))
    rows = np.array([0, 0.8, 1, 0.6, 0])
    columns = np.array([0, 0.25, 1, 0])
    assert_allclose(weights, np.outer(rows, columns), atol=EXACT)


def test_a_triangle_halves_the_pixels_on_its_diagonal():
    corners = np.array([[-0.5, -0.5], [3.5, -0.5], [-0.5, 3.5]])
    expected = np.where(np.add.outer(range(4), range(4)) < 3, 1.0, 0.0)
    expected[np.add.outer(range(4), range(4)) == 3] = 0.5
    assert_allclose(polygon_weights([corners], (4, 4)), expected, atol=EXACT)


def test_pixels_wholly_inside_weigh_exactly_one_and_far_ones_exactly_zero():
    weights = polygon_weights([ring((20, 20), 12.3)], (41, 41))
    distance = np.hypot(*(np.indices((41, 41)) - 20))
    assert (weights[distance < 11] == 1).all()
    assert (weights[distance > 13.5] == 0).all()


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("first", [0, 17])
def test_neither_direction_nor_first_point_matters(direction: int, first: int):
    contour = np.roll(ring((9.3, 8.1), 6.7), first, axis=0)[::direction]
    weights = polygon_weights([contour], (20, 19))
    assert_allclose(weights, polygon_weights([ring((9.3, 8.1), 6.7)], (20, 19)), atol=EXACT)


def test_total_weight_is_the_polygons_own_area():
    contour = ring((9.3, 8.1), 6.7, 100)
    shoelace = 0.5 * 100 * 6.7**2 * np.sin(2 * np.pi / 100)  # area of a regular polygon
    assert_allclose(polygon_weights([contour], (20, 19)).sum(), shoelace, rtol=EXACT)
    assert_allclose(polygon_area([contour]), shoelace, rtol=EXACT)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_contour_inside_another_is_a_hole(direction: int):
    outer, inner = ring((12, 12), 9.2), ring((11, 13.5), 3.4)[::direction]
    difference = polygon_weights([outer], (25, 25)) - polygon_weights([inner], (25, 25))
    assert_allclose(polygon_weights([outer, inner], (25, 25)), difference, atol=EXACT)


def test_an_island_in_a_hole_is_inside_again():
    rings = [ring((12, 12), radius) for radius in (10, 6, 2.5)]
    first, second, third = (polygon_weights([contour], (25, 25)) for contour in rings)
    assert_allclose(polygon_weights(rings, (25, 25)), first - second + third, atol=EXACT)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_keyhole_equals_the_hole_it_stands_for(direction: int):
    outer, inner = ring((12, 12), 9.2), ring((12, 12), 3.4)[::direction]
    keyhole = np.vstack([outer, outer[:1], inner, inner[:1]])
    assert_allclose(
        polygon_weights([keyhole], (25, 25)), polygon_weights([outer, inner], (25, 25)), atol=EXACT
    )


def test_the_same_contour_twice_encloses_nothing():
    contour = ring((9.3, 8.1), 6.7)
    assert polygon_weights([contour, contour], (20, 19)).max() == 0


def test_partly_overlapping_contours_combine_by_exclusive_or():
    weights = polygon_weights([box((0, 0), (4, 4)), box((2, 2), (6, 6))], (8, 8))
    alone = [polygon_weights([box(*corners)], (8, 8)) for corners in (((0, 0), (4, 4)),
             ((2, 2), (6, 6)), ((2, 2), (4, 4)))]  # fmt: skip
    assert_allclose(weights, alone[0] + alone[1] - 2 * alone[2], atol=EXACT)


def test_both_lobes_of_a_figure_eight_are_inside():
    eight = np.array([[0, 0], [4, 4], [4, 0], [0, 4]], dtype=float)
    assert_allclose(polygon_area([eight]), 8.0, rtol=EXACT)  # two triangles of base 4, height 2
    assert_allclose(polygon_weights([eight], (6, 6)).sum(), 8.0, rtol=EXACT)


def test_what_lies_outside_the_lattice_is_cut_off():
    contour = ring((1.0, 2.0), 5.0)
    larger = polygon_weights([contour + 10], (30, 30))
    assert_allclose(polygon_weights([contour], (7, 6)), larger[10:17, 10:16], atol=EXACT)
    assert polygon_weights([contour - 40], (7, 6)).max() == 0


def test_shifting_by_whole_pixels_shifts_the_weights():
    contour = ring((6.2, 7.9), 4.4, 31)
    weights = polygon_weights([contour], (20, 20))
    assert_allclose(
        polygon_weights([contour + np.array([3, 5])], (23, 25))[3:, 5:], weights, atol=EXACT
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(1, 3))
def test_any_contours_agree_with_counting_points(seed: int, points: int, count: int):
    random = np.random.default_rng(seed)
    contours = [random.uniform(-2, 8, (points, 2)) for _ in range(count)]
    steps = 40
    fine = (np.arange(6 * steps) + 0.5) / steps - 0.5
    lattice = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
    counted = even_odd(contours, lattice).reshape(6, steps, 6, steps).mean(axis=(1, 3))
    # A straight edge through a pixel of 40 x 40 points mistakes at most about one point per row,
    # on average half of a point either way; up to 36 edges, typically under 8 in one pixel.
    assert_allclose(polygon_weights(contours, (6, 6)), counted, atol=8 * 0.5 / steps)
    assert_allclose(polygon_weights(contours, (6, 6)).sum(), counted.sum(), atol=0.2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 30))
def test_weights_sum_to_the_area_for_contours_on_a_coarse_lattice(seed: int, points: int):
    # Whole and half coordinates make touching, collinear and doubled edges the rule.
    contour = np.random.default_rng(seed).integers(0, 8, (points, 2)) / 2
    weights = polygon_weights([contour], (5, 5))
    assert_allclose(weights.sum(), polygon_area([contour]), atol=1e-9)
    # Counted on a lattice that no vertex touches.
    steps = 16
    fine = (np.arange(5 * steps) + 0.4871) / steps - 0.5
    lattice = np.stack(np.meshgrid(fine, fine + 0.003, indexing="ij"), axis=-1).reshape(-1, 2)
    counted = even_odd([contour], lattice).mean() * 25
    assert_allclose(weights.sum(), counted, atol=0.5)


def test_a_window_holds_all_that_is_not_zero():
    contour = ring((30.2, 12.9), 4.4)
    window, (first, second) = polygon_window([contour], (64, 48))
    assert max(window.shape) <= 11
    weights = polygon_weights([contour], (64, 48))
    assert_allclose(window.sum(), weights.sum(), rtol=EXACT)
    assert_allclose(weights[first : first + len(window), second : second + window.shape[1]], window)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((1, 2)), np.ones((2, 2))])
def test_fewer_than_three_points_enclose_nothing(points: np.ndarray):
    assert polygon_weights([points], (4, 4)).max() == 0
    assert polygon_area([points]) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_coordinate_that_is_no_place_is_refused(bad: float):
    contour = ring((3, 3), 2)
    contour[4, 1] = bad
    with pytest.raises(InputError, match="coordinate"):
        polygon_weights([contour], (8, 8))


def test_an_edge_of_no_height_does_no_harm():
    flat = np.array([[0, 0], [0, 3], [1e-310, 2], [1e-16, 9], [2, 3], [2, 0]])
    # A trapezium of parallel sides 9 and 3, 2 apart.
    assert_allclose(polygon_area([flat]), 12.0, rtol=EXACT)


def test_wrong_shape_is_refused():
    with pytest.raises(InputError, match=r"\(points, 2\)"):
        polygon_weights([np.zeros((5, 3))], (8, 8))


def test_a_tangle_is_refused_within_a_second():
    tangle = np.random.default_rng(1).uniform(0, 500, (20_000, 2))
    start = time.process_time()
    with pytest.raises(InputError, match="pieces"):
        polygon_weights([tangle], (512, 512))
    assert time.process_time() - start < 1.0  # the project's bound on hostile input
