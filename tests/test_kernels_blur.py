"""Blur and overlap of region weights, and the cells they are cut into."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.ndimage import gaussian_filter

from igdd.kernels import blur
from igdd.kernels.partition import cells_of, cut, moves
from igdd.kernels.shapes import sphere_weights
from igdd.kernels.transfer import invert

SHAPE = (20, 18, 22)


def rows(*masks: np.ndarray) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.stack([mask.ravel() for mask in masks]).astype(float))


def block(low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return mask


def ball(centre: float, diameter: float, shape=SHAPE) -> np.ndarray:
    return sphere_weights(shape, np.eye(4), np.full(3, centre), diameter)


def test_a_cropped_blur_is_the_blur_of_the_whole_image():
    masks = [ball(9.0, 5.0), block((0, 0, 0), (4, 18, 3))]
    sigma = np.array([1.1, 0.7, 2.0])
    blurred = blur.blur_rows(rows(*masks), SHAPE, sigma).toarray()
    whole = [gaussian_filter(mask, sigma, mode="reflect", truncate=4.0) for mask in masks]
    # The same kernel on more voxels: equal to rounding.
    np.testing.assert_allclose(blurred, np.stack(whole).reshape(2, -1), atol=1e-14)


@settings(max_examples=20, deadline=None)
@given(
    corner=st.tuples(st.integers(0, 17), st.integers(0, 15), st.integers(0, 19)),
    size=st.integers(1, 8),
    sigma=st.floats(0.0, 4.0),
)
def test_blur_keeps_the_sum_also_at_the_border(corner, size, sigma):
    mask = block(corner, tuple(c + size for c in corner))
    blurred = blur.blur_rows(rows(mask), SHAPE, np.full(3, sigma))
    # A normalised, mirrored kernel moves signal and makes none: rounding only.
    assert blurred.sum() == pytest.approx(mask.sum(), rel=1e-9)


def test_overlap_closed_by_the_rest_is_that_of_a_stored_rest():
    masks = [ball(7.0, 6.0), ball(12.0, 5.0)]
    rest = 1 - sum(masks)
    sigma = np.array([1.2, 1.2, 0.8])
    weights = rows(*masks)
    closed = blur.overlap(weights, blur.blur_rows(weights, SHAPE, sigma))
    whole = rows(*masks, rest)
    explicit = (whole @ blur.blur_rows(whole, SHAPE, sigma).T).toarray()
    np.testing.assert_allclose(closed, explicit, rtol=1e-9, atol=1e-9)  # rounding
    np.testing.assert_allclose(closed.sum(axis=0), whole.sum(axis=1).A1, rtol=1e-9)


def test_overlap_in_some_voxels_counts_only_what_arrives_there():
    weights = rows(ball(9.0, 6.0))
    blurred = blur.blur_rows(weights, SHAPE, np.ones(3))
    inside = np.ones(SHAPE)
    inside[:, :, 10:] = 0
    part = blur.overlap(weights, blurred, inside.ravel())
    np.testing.assert_allclose(part.sum(axis=0)[0], (blurred @ inside.ravel())[0])
    np.testing.assert_allclose(part.sum(), inside.sum())  # a uniform image stays uniform


def test_noise_overlap_is_the_variance_of_a_sum_of_smoothed_noise():
    weights = rows(ball(9.0, 7.0))
    fwhm, spacing = 4.0, np.full(3, 1.0)
    expected = blur.noise_overlap(weights, SHAPE, spacing, fwhm)[0, 0]
    rng = np.random.default_rng(7)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    unit = np.sqrt((2 * np.sqrt(np.pi) * sigma) ** 3)  # white noise smoothed to variance 1
    padded = tuple(n + 16 for n in SHAPE)
    sums = [
        (
            weights
            @ (unit * gaussian_filter(rng.standard_normal(padded), sigma))[8:-8, 8:-8, 8:-8].ravel()
        )[0]
        for _ in range(600)
    ]
    # The variance of 600 draws is known to sqrt(2 / 600) = 5.8 %; three of that.
    assert np.var(sums) == pytest.approx(expected, rel=0.17)


def test_white_noise_adds_up_by_squares_of_weights():
    mask = ball(9.0, 7.0)
    found = blur.noise_overlap(rows(mask), SHAPE, np.ones(3), 0.0)
    assert found[0, 0] == pytest.approx((mask**2).sum())


def test_the_root_of_the_correlation_has_that_correlation():
    root = blur.correlation_root(12, 2.0, 5.0)
    sigma = 5.0 / np.sqrt(8 * np.log(2))
    distance = 2.0 * np.arange(12)
    # Eigenvalues below rounding are cut off at zero: 1e-7 of 1 after the root.
    np.testing.assert_allclose((root @ root)[0], np.exp(-(distance**2) / (4 * sigma**2)), atol=1e-7)


def test_an_empty_row_stays_empty():
    weights = rows(np.zeros(SHAPE), ball(9.0, 5.0))
    assert blur.blur_rows(weights, SHAPE, np.ones(3))[0].nnz == 0


def test_the_smaller_region_keeps_what_both_claim():
    organ, lesion = block((2, 2, 2), (14, 14, 14)), block((5, 5, 5), (8, 8, 8))
    cells, shares = cut(rows(organ, lesion))
    np.testing.assert_array_equal(cells.toarray()[0], (organ - lesion).ravel())
    np.testing.assert_array_equal(shares, [[1, 1], [0, 1]])


def test_cells_make_up_the_regions_as_drawn():
    a, b, c = ball(8.0, 8.0), ball(10.0, 7.0), ball(11.0, 4.0)
    cells, shares = cut(rows(a, b, c))
    assert cells.toarray().sum(axis=0).max() <= 1 + 1e-12
    volumes = np.asarray(cells.sum(axis=1)).ravel()
    np.testing.assert_allclose(shares @ volumes, [a.sum(), b.sum(), c.sum()], rtol=1e-12)


def test_regions_apart_are_not_cut():
    weights = rows(ball(5.0, 4.0), ball(13.0, 4.0))
    cells, shares = cut(weights)
    assert cells is weights
    np.testing.assert_array_equal(shares, np.eye(2))


def test_shells_and_rest_share_out_every_voxel_once():
    cells = cells_of(rows(ball(6.0, 4.0), ball(13.0, 5.0)), SHAPE, np.ones(3), 1.5)
    assert cells.weights.shape[0] == 6  # two regions, two shells each
    assert cells.weights.toarray().sum(axis=0).max() <= 1 + 1e-12
    assert cells.volume.sum() == pytest.approx(np.prod(SHAPE))


def test_growth_of_a_sphere_is_its_surface():
    shape = (41, 41, 41)
    weights = rows(ball(20.3, 24.0, shape))
    blurred = blur.blur_rows(weights, shape, np.ones(3))
    changes, _ = moves(weights, blurred, shape, np.ones(3))
    # Central differences of averages over voxels: 2 % at a radius of 12 voxels.
    assert changes[3].sum() == pytest.approx(np.pi * 24.0**2, rel=0.02)
    np.testing.assert_allclose(changes[:3].sum(axis=1), 0, atol=0.5)  # moving keeps the volume


def test_a_border_between_two_regions_moves_once():
    left, right = block((4, 4, 4), (9, 13, 13)), block((9, 4, 4), (12, 13, 13))
    weights = rows(left, right)
    blurred = blur.blur_rows(weights, SHAPE, np.ones(3))
    changes, _ = moves(weights, blurred, SHAPE, np.ones(3))
    middle = np.zeros(SHAPE)
    middle[8:10, 8, 8] = 1
    along = np.abs(changes @ middle.ravel())
    assert along[4] == pytest.approx(1.0, abs=0.05)  # the smaller, right one owns it
    assert along[0] == pytest.approx(0.0, abs=0.05)


def test_a_singular_matrix_still_tells_the_others():
    matrix = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 4.0]])
    inverse, lost = invert(matrix, np.array([2.0, 2.0, 4.0]))
    np.testing.assert_array_equal(lost, [True, True, False])
    np.testing.assert_allclose(inverse @ [3.0, 3.0, 8.0], [1.5, 1.5, 2.0])
