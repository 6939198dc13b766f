"""Separable filters: the four paddings, right-angle rotations, pooling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.errors import InputError
from igdd.kernels.filters_separable import (
    MODES,
    along,
    cut,
    energy,
    mean,
    near,
    padded_places,
    pooled,
    rotated,
    rotations,
    separable,
    whole,
)
from igdd.kernels.filters_spatial import laws
from igdd.kernels.wavelets import stationary

# numpy's names of the four paddings.
NUMPY = {"zero": "constant", "nearest": "edge", "periodic": "wrap", "mirror": "symmetric"}
# Sums of some hundred terms near 1, in another order.
ROUNDING = 1e-12


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(7, 6, 5))


@pytest.mark.parametrize("padding", MODES)
@given(size=st.integers(1, 6), before=st.integers(0, 14), after=st.integers(0, 14))
def test_padding_is_numpys_however_far_it_goes(padding, size, before, after):
    line = np.arange(1.0, size + 1)
    wanted = np.pad(line, (before, after), mode=NUMPY[padding])
    places = padded_places(-before, size + after, size, padding)
    assert np.array_equal(np.where(places < 0, 0.0, line[places]), wanted)


@pytest.mark.parametrize("padding", MODES)
def test_a_cut_beyond_the_image_is_a_cut_of_the_padded_image(image, padding):
    wide = np.pad(image, 9, mode=NUMPY[padding])
    box = (slice(2, 4), slice(0, 6), slice(4, 5))
    wanted = wide[6:18, 9 - 0 : 15, 9 + 4 - 5 : 9 + 5 + 5]
    assert np.array_equal(cut(image, box, (5, 0, 5), padding), wanted)


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize("length", [1, 3, 9, 31])
def test_a_convolution_is_that_of_the_padded_line(image, padding, length):
    kernel = np.random.default_rng(1).normal(size=length)
    wide = np.pad(image, [(0, 0), (length // 2,) * 2, (0, 0)], mode=NUMPY[padding])
    wanted = np.apply_along_axis(np.convolve, 1, wide, kernel, mode="valid")
    np.testing.assert_allclose(along(image, (kernel,), 1, padding), wanted, atol=ROUNDING)


def test_every_kernel_of_a_line_is_padded_anew(image):
    one, other = np.array([0.0, 1.0, 2.0]), np.array([3.0, 1.0, 0.0])
    twice = along(along(image, (one,), 0, "zero"), (other,), 0, "zero")
    assert np.array_equal(along(image, (one, other), 0, "zero"), twice)
    both = along(image, (np.convolve(one, other),), 0, "zero")
    assert not np.allclose(both[[0, -1]], twice[[0, -1]])
    np.testing.assert_allclose(both[1:-1], twice[1:-1], atol=ROUNDING)


@pytest.mark.parametrize("pooling", ["max", "min", "mean"])
@pytest.mark.parametrize(
    "lines",
    [
        laws("E5L5S3"),
        laws("E3W5E3"),
        stationary("db2", "LHL", 1),
        stationary("db2", "HLL", 2),
        stationary("haar", "HHH", 1),
    ],
)
def test_pooled_over_rotations_a_response_turns_with_the_image(pooling, lines):
    image = np.random.default_rng(2).normal(size=(8, 8, 8))
    found = rotated(image, lines, "mirror", pooling)
    for axes in ((0, 1), (0, 2), (1, 2)):
        again = rotated(np.rot90(image, axes=axes), lines, "mirror", pooling)
        np.testing.assert_allclose(again, np.rot90(found, axes=axes), atol=ROUNDING)


@pytest.mark.parametrize("padding", MODES)
def test_rotations_of_the_filter_are_those_of_the_image(padding):
    """IBSI: turn the image, filter it, turn the response back; 4 in the plane."""
    image = np.random.default_rng(3).normal(size=(6, 6, 3))
    lines = stationary("db3", "LH", 1)
    wanted = np.max(
        [np.rot90(separable(np.rot90(image, turn), lines, padding), -turn) for turn in range(4)],
        axis=0,
    )
    np.testing.assert_allclose(rotated(image, lines, padding, "max"), wanted, atol=ROUNDING)


def test_a_mirror_image_of_the_filter_is_not_a_rotation():
    """Three filters that differ: 24 rotations, and none of the 24 reflections."""
    lines = tuple((np.random.default_rng(n).normal(size=3),) for n in range(3))
    found = {tuple(line[0].tobytes() for line in one) for one in rotations(lines)}
    assert len(found) == 24
    reflected = (lines[0][0][::-1], lines[1][0], lines[2][0])
    assert tuple(kernel.tobytes() for kernel in reflected) not in found


def test_the_number_of_rotations_follows_the_symmetry():
    assert len(rotations(laws("L5S5"))) == 2
    assert len(rotations(laws("L5L5S5"))) == 3
    assert len(rotations(laws("E5E5E5"))) == 8
    assert len(rotations(laws("L5L5L5"))) == 1


def test_pooling_is_over_the_responses():
    maps = [np.array([1.0, -4.0]), np.array([2.0, 5.0]), np.array([6.0, 0.0])]
    assert pooled(iter(maps), "max").tolist() == [6.0, 5.0]
    assert pooled(iter(maps), "min").tolist() == [1.0, -4.0]
    assert pooled(iter(maps), "mean").tolist() == [3.0, 1 / 3]
    assert maps[0].tolist() == [1.0, -4.0]


def test_the_mean_of_a_plane_leaves_the_slices_apart(image):
    found = mean(image, 3, 2, "nearest")
    wide = np.pad(image, [(1, 1), (1, 1), (0, 0)], mode="edge")
    wanted = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (0, 1)).mean(axis=(3, 4))
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


def test_the_energy_is_the_mean_absolute_response(image):
    np.testing.assert_allclose(
        energy(-np.abs(image), 1, 3, "mirror"),
        mean(np.abs(image), 3, 3, "mirror"),
        atol=ROUNDING,
    )


def test_near_marks_across_an_edge_as_the_padding_does():
    marked = np.zeros((8, 1, 1), bool)
    marked[0] = True
    for padding, last in (("periodic", True), ("mirror", False), ("zero", False)):
        found = near(marked, (3, 1, 1), padding).ravel()
        assert found.tolist() == [True, True] + [False] * 5 + [last]


def test_what_is_not_a_padding_or_a_pooling_is_refused(image):
    for call in (
        lambda: padded_places(0, 1, 1, "reflect"),
        lambda: along(image, (np.ones(3),), 0, "reflect"),
        lambda: pooled(iter([image]), "sum"),
    ):
        with pytest.raises(InputError, match="expected one of"):
            call()


def test_the_whole_of_an_image_is_all_of_it(image):
    assert image[whole(image)].shape == image.shape
