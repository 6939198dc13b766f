"""Laws, Laplacian of Gaussian and Gabor filters against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve

from igdd.errors import InputError
from igdd.kernels import filters_spatial
from igdd.kernels.filters_separable import MODES, whole
from igdd.kernels.filters_spatial import (
    gabor,
    gabor_kernel,
    gabor_reach,
    laplacian_of_gaussian,
    laws,
)

# Sums of some thousand terms, in another order; transforms of some thousand values near 1.
ROUNDING = 1e-11


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(13, 12, 5))


def definition(sigma: float, cutoff: float, dimensions: int) -> np.ndarray:
    """The kernel as the manual writes it, on all its voxels."""
    reach = int(np.floor(cutoff * sigma + 0.5))
    place = np.indices((2 * reach + 1,) * dimensions) - reach
    square = (place**2).sum(axis=0)
    size = (np.sqrt(2 * np.pi) * sigma) ** dimensions
    bell = np.exp(-square / (2 * sigma**2)) / size
    return -bell * (dimensions - square / sigma**2) / sigma**2


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_laplacian_of_gaussian_is_the_manuals_kernel(image, padding, dimensions):
    kernel = definition(1.2, 2.0, dimensions)
    kernel = kernel if dimensions == 3 else kernel[..., None]
    wanted = convolve(image, kernel, mode=MODES[padding])
    found = laplacian_of_gaussian(image, [1.2] * dimensions, 2.0, padding)
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


def test_the_laplacian_of_a_parabola_is_its_curvature():
    place = np.arange(-40, 41.0)
    bowl = np.broadcast_to((3 * place**2)[:, None], (81, 81))[..., None] * np.ones(3)
    found = laplacian_of_gaussian(bowl, [2.0, 2.0], 8.0, "nearest")
    # The sampled bell of sigma 2, cut off at 8 deviations, differs from the integral by exp(-8^2/2)
    # of 3 x 40^2.
    assert found[40, 40, 1] == pytest.approx(6.0, abs=1e-8)


def test_on_oblong_voxels_it_is_the_laplacian_in_mm_per_square_of_the_first():
    """The same smooth field on voxels of 1 x 1 and 1 x 2 mm."""
    fine = np.arange(-30, 31.0)
    field = np.cos(fine[:, None] / 9) * np.sin(fine[None, :] / 7)
    one = laplacian_of_gaussian(field[..., None], [4.0, 4.0], 6.0, "mirror")[..., 0]
    two = laplacian_of_gaussian(field[:, ::2, None], [4.0, 2.0], 6.0, "mirror")[..., 0]
    # A Gaussian of 2 voxels sums like its integral to exp(-2 pi^2 sigma^2); its cut-off is at
    # 6 deviations, 1e-7 of the peak. The edges mirror different places.
    middle = (slice(20, 41), slice(30, 41, 10))
    np.testing.assert_allclose(two[20:41, 15:21:5], one[middle], atol=1e-6)


def test_laws_kernels_have_unit_length():
    for name in ("L5E5", "S5W5R5", "L3E3S3"):
        for (kernel,) in laws(name):
            assert np.linalg.norm(kernel) == pytest.approx(1.0, abs=1e-15)
    # All but the levels answer nothing to a flat image.
    for (kernel,) in laws("E5S5W5") + laws("R5E3S3"):
        assert kernel.sum() == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("name", ["", "L5", "L5E", "L7E5", "L5E5S5W5", "l5e5"])
def test_a_laws_filter_that_is_not_one_is_refused(name):
    with pytest.raises(InputError, match="L3, L5"):
        laws(name)


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_gabor_is_the_modulus_of_the_convolution(image, padding, axes):
    shape, spacing = (0.8, 1.5, 0.75), (1.0, 1.0)
    kernels = [gabor_kernel(shape, theta, spacing) for theta in (0.3, 1.9)]
    other = ({0, 1, 2} - set(axes)).pop()
    responses = []
    for kernel in kernels:
        flat = np.expand_dims(kernel, other)
        real, imaginary = (
            convolve(image, part, mode=MODES[padding]) for part in (flat.real, flat.imag)
        )
        responses.append(np.hypot(real, imaginary))
    found = gabor(image, kernels, axes, padding, pooling="max", box=whole(image))
    np.testing.assert_allclose(found, np.maximum(*responses), atol=ROUNDING)


@pytest.mark.parametrize("padding", MODES)
def test_a_box_of_a_gabor_response_is_cut_from_the_whole(image, padding, monkeypatch):
    kernels = [gabor_kernel((1.0, 2.0, 1.5), theta, (1.0, 2.0)) for theta in (0.0, 1.0)]
    every = gabor(image, kernels, (0, 2), padding, pooling="mean", box=whole(image))
    # Slice by slice, as a large image is.
    monkeypatch.setattr(filters_spatial, "MOST_AT_ONCE", 1)
    box = (slice(0, 5), slice(3, 9), slice(2, 5))
    part = gabor(image, kernels, (0, 2), padding, pooling="mean", box=box)
    np.testing.assert_allclose(part, every[box], atol=ROUNDING)


def test_a_wave_answers_to_its_own_direction_and_wavelength():
    place = np.indices((61, 61, 1))
    theta, wavelength = np.radians(30), 8.0
    wave = np.cos(2 * np.pi * (place[0] * np.cos(theta) + place[1] * np.sin(theta)) / wavelength)

    def answer(direction: float, length: float) -> float:
        kernels = [gabor_kernel((4.0, length, 1.0), np.radians(direction), (1.0, 1.0))]
        found = gabor(wave, kernels, (0, 1), "mirror", pooling="max", box=whole(wave))
        return float(found[30, 30, 0])

    # Half of the Gaussian's sum: the other half is the wave of the opposite direction, whose part
    # is exp(-2 (2 pi sigma / wavelength)^2) of it, 3e-9.
    assert answer(30, 8.0) == pytest.approx(np.pi * 16, rel=1e-6)
    assert answer(30, 8.0) > 3 * max(answer(60, 8.0), answer(0, 8.0), answer(30, 5.0))


def test_lengths_of_a_gabor_filter_are_in_mm():
    fine = gabor_kernel((4.0, 6.0, 0.5), 0.7, (1.0, 1.0))
    coarse = gabor_kernel((4.0, 6.0, 0.5), 0.7, (1.0, 2.0))
    assert gabor_reach(4.0, 0.5, 2.0) == 24
    assert coarse.shape == (97, 49)
    np.testing.assert_allclose(coarse, fine[:, ::2], atol=1e-14)
