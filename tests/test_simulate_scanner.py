from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from igdd import decay
from igdd.errors import InputError
from igdd.simulate import scanner
from igdd.simulate.scanner import Scan

SCAN = Scan(
    psf=6.0, smoothing=4.0, sensitivity=1.2e-4, background=0.2, calibration=1.0,
    start=86400.0, duration=1200.0,
)  # fmt: skip


def box(shape: tuple[int, int, int] = (80, 80, 80)) -> np.ndarray:
    field = np.zeros(shape, dtype=np.float32)
    field[20:-20, 20:-20, 20:-20] = 3000.0
    return field


@pytest.mark.parametrize("fwhm", [1.0, 3.6, 4.5, 6.6, 15.0])
@pytest.mark.parametrize("spacing", [1.0, 2.0, 4.0])
def test_the_kernel_has_the_variance_of_its_width(fwhm, spacing):
    weights = scanner.kernel(fwhm, spacing)
    places = (np.arange(weights.size) - weights.size // 2) * spacing
    assert weights.sum() == pytest.approx(1)
    # The tails beyond five standard deviations (or the neighbour) are cut.
    assert weights @ places**2 == pytest.approx((fwhm / scanner.FWHM) ** 2, rel=2e-2)


def test_blurring_and_binning_keep_all_activity():
    rng = np.random.default_rng(0)
    field = box() * rng.random((80, 80, 80)).astype(np.float32)
    image = scanner.blur_and_bin(field, 4.5, 2.0, 2)
    assert image.shape == (40, 40, 40)
    # 32-bit sums of single voxels: 6e-8 each.
    assert image.sum(dtype=np.float64) * 8 == pytest.approx(field.sum(dtype=np.float64), rel=1e-6)


def test_a_point_becomes_as_wide_as_the_point_spread_and_the_voxel():
    field = np.zeros((80, 80, 80), dtype=np.float32)
    field[40, 40, 40] = 1e6
    profile = scanner.blur_and_bin(field, 4.5, 2.0, 2).sum(axis=(1, 2))
    places = np.arange(40) * 4.0 + 1.0 - 80.0
    variance = profile @ places**2 / profile.sum() - (profile @ places / profile.sum()) ** 2
    # Binning pairs of 2 mm samples adds (2^2 - 1) / 12 * 4 mm2 on average over where it falls.
    assert variance == pytest.approx((4.5 / scanner.FWHM) ** 2 + 1.0, abs=1.1)


def test_a_lattice_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match="cannot be binned by 2"):
        scanner.blur_and_bin(box((81, 80, 80)), 4.5, 2.0, 2)


def test_noise_is_unbiased_and_goes_below_zero_outside():
    image = scanner.acquire(box(), 2.0, 2, SCAN, np.random.default_rng(1))
    total = box().sum(dtype=np.float64) * 0.008
    voxel, counts = 0.064, SCAN.sensitivity * SCAN.duration
    emitted = total * counts + 0.2 * 3000 * voxel * counts * image.size
    found = image.sum(dtype=np.float64) * voxel
    # Poisson: relative standard error of all counts, background included; four of them.
    assert found == pytest.approx(total, abs=4 * np.sqrt(emitted) / counts)
    assert image[:5].min() < 0
    assert abs(image[:5].mean()) < 4 * image[:5].std() / np.sqrt(image[:5].size) * 3


def test_noise_falls_with_the_square_root_of_the_counts():
    def scatter(concentration: float) -> float:
        field = np.full((60, 60, 60), concentration, dtype=np.float32)
        image = scanner.acquire(field, 2.0, 2, SCAN, np.random.default_rng(3))
        return float(image[5:-5, 5:-5, 5:-5].std() / concentration)

    # 8000 correlated voxels: a standard deviation is known to about 2 %.
    assert scatter(1000.0) / scatter(4000.0) == pytest.approx(2.0, rel=0.06)


def test_the_calibration_error_scales_the_image():
    right = scanner.acquire(box(), 2.0, 2, SCAN, np.random.default_rng(4))
    wrong = scanner.acquire(
        box(), 2.0, 2, replace(SCAN, calibration=1.05), np.random.default_rng(4)
    )
    np.testing.assert_allclose(wrong, 1.05 * right, rtol=1e-5, atol=1e-3)  # 32-bit voxels


def test_decay_is_that_of_the_nuclide_table():
    assert decay.nuclide("Zr-89").half_life == pytest.approx(scanner.ZR89_HALF_LIFE, rel=1e-12)
    assert scanner.decay(scanner.ZR89_HALF_LIFE) == 0.5
    assert scanner.mean_decay(1200.0) == pytest.approx(
        1 / float(decay.decay_factor("Zr-89", 0.0, 1200.0)), rel=1e-12
    )


def test_a_filter_wider_than_the_point_spread_is_refused():
    with pytest.raises(InputError, match="cannot hold a filter"):
        scanner.acquire(box(), 2.0, 2, replace(SCAN, psf=3.0), np.random.default_rng(0))
