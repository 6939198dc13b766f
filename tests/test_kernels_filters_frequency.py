"""Filters defined by frequency: Simoncelli's bands, Riesz transforms, paddings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels import filters_frequency
from igdd.kernels.filters_frequency import by_frequency, everything, simoncelli

ORDERS = [order for order in product(range(3), repeat=3) if sum(order) <= 2]
# Transforms of some thousand values near 1.
ROUNDING = 1e-12


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(9, 8, 7))


def directly(image, radial, order):
    """The definition: complex transform, samples from -1 to 1, real part."""
    places = [np.fft.ifftshift(np.linspace(-1, 1, size)) for size in image.shape]
    grid = np.meshgrid(*places, indexing="ij")
    radius = np.sqrt(sum(one**2 for one in grid))
    transfer = radial(radius).astype(complex)
    total = sum(order)
    if total:
        counts = [np.prod(np.arange(1, number + 1)) for number in (total, *order)]
        weight = np.sqrt(counts[0] / np.prod(counts[1:])) * (-1j) ** total
        powers = np.prod([one**number for one, number in zip(grid, order, strict=True)], axis=0)
        with np.errstate(invalid="ignore"):
            transfer *= np.where(radius > 0, weight * powers / radius**total, 0)
    return np.fft.ifftn(np.fft.fftn(image) * transfer).real


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("radial", [everything, simoncelli(1), simoncelli(2)])
def test_a_periodic_response_is_the_real_part_of_the_definition(image, radial, order):
    found = by_frequency(image, radial, order, "periodic")
    np.testing.assert_allclose(found, directly(image, radial, order), atol=ROUNDING)


@pytest.mark.parametrize("order", [*ORDERS, (1, 1, 1), (2, 0, 1), (0, 3, 0), (2, 2, 1)])
@pytest.mark.parametrize("level", [1, 2])
def test_a_mirrored_response_is_that_of_the_image_and_its_mirror_image(image, level, order):
    wide = image
    for axis in range(3):
        wide = np.concatenate([wide, np.flip(wide, axis)], axis=axis)
    wanted = directly(wide, simoncelli(level), order)[:9, :8, :7]
    found = by_frequency(image, simoncelli(level), order, "mirror")
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


@pytest.mark.parametrize(("padding", "mode"), [("zero", "constant"), ("nearest", "edge")])
def test_other_paddings_go_half_an_image_far(image, padding, mode):
    wide = np.pad(image, [(5, 5), (4, 4), (4, 4)], mode=mode)
    wanted = directly(wide, simoncelli(1), (1, 0, 1))[5:-5, 4:-4, 4:-4]
    found = by_frequency(image, simoncelli(1), (1, 0, 1), padding)
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


@pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
def test_two_dimensions_answer_slice_by_slice(image, padding):
    found = by_frequency(image, simoncelli(1), (0, 1), padding)
    for k in range(image.shape[2]):
        alone = by_frequency(image[..., k], simoncelli(1), (0, 1), padding)
        np.testing.assert_allclose(found[..., k], alone, atol=ROUNDING)


def test_the_bands_share_the_energy_of_every_frequency_between_them():
    """Neighbouring bands are a cosine and a sine: their squares sum to 1 below half of Nyquist."""
    radius = np.linspace(0.02, 0.5, 50)
    total = sum(simoncelli(level)(radius) ** 2 for level in range(1, 9))
    np.testing.assert_allclose(total, 1.0, atol=1e-14)


def test_a_band_answers_to_its_octave_alone():
    for level in (1, 2, 3):
        top = 2.0 ** (1 - level)
        found = simoncelli(level)(np.array([0.0, top / 4, top / 2, top, 1.2 * top, 1.7]))
        assert np.round(found, 15).tolist() == [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
def test_a_band_answers_nothing_to_a_flat_image(padding):
    flat = np.full((16, 16, 16), 1000.0)
    found = by_frequency(flat, simoncelli(1), (0, 0, 0), padding)
    if padding == "zero":  # its edge is a step
        assert np.abs(found).max() > 1
        return
    assert np.abs(found).max() < 1e-9


def test_the_riesz_transform_turns_a_wave_by_a_quarter():
    """-i sign(n): cosine to sine along the wave, nothing across it, its negative twice."""
    # On an odd lattice one sample lies at frequency 0 across the wave.
    wave = 2 * np.pi * 8 * np.arange(65) / 65
    cosine, sine = (
        np.broadcast_to(one[:, None, None], (65, 9, 9)) for one in (np.cos(wave), np.sin(wave))
    )
    for order, wanted in (((1, 0, 0), sine), ((2, 0, 0), -cosine), ((0, 1, 0), 0 * sine)):
        found = by_frequency(cosine, everything, order, "periodic")
        np.testing.assert_allclose(found, wanted, atol=ROUNDING)


def test_transforms_of_one_order_keep_the_energy():
    """Riesz transforms of one order have transfer functions whose squares sum to 1."""
    image = np.random.default_rng(1).normal(size=(9, 9, 9))  # odd: samples are symmetric
    image -= image.mean()
    for total in (1, 2):
        energy = sum(
            (by_frequency(image, everything, order, "periodic") ** 2).sum()
            for order in product(range(total + 1), repeat=3)
            if sum(order) == total
        )
        assert energy == pytest.approx((image**2).sum(), rel=1e-12)


def test_one_voxel_along_an_axis_is_no_obstacle():
    image = np.random.default_rng(2).normal(size=(8, 1, 8))
    for padding in ("zero", "nearest", "periodic", "mirror"):
        found = by_frequency(image, simoncelli(1), (1, 0, 0), padding)
        assert np.isfinite(found).all()
        assert found.shape == image.shape


def test_an_image_too_large_to_pad_is_refused(image, monkeypatch):
    monkeypatch.setattr(filters_frequency, "MOST_TERMS", 1000)
    with pytest.raises(InputError, match="choose 'mirror' or 'periodic'"):
        by_frequency(image, everything, (1, 0, 0), "zero")
    with pytest.raises(InputError, match="expected one of zero"):
        by_frequency(image, everything, (1, 0, 0), "reflect")
