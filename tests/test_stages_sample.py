"""Sampling: recovered means, conserved activity, and uncertainty that holds what it says."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.ndimage import gaussian_filter

from igdd.errors import StudyError
from igdd.facts import Scanner
from igdd.kernels.shapes import sphere_weights
from igdd.stages.sample import noise_variance, sample
from igdd.types import Curves, Frames, Grid, Image, Regions, Zero

FWHM = np.sqrt(8 * np.log(2))
SHAPE = (30, 28, 32)
GRID = Grid(shape=SHAPE, affine=np.diag([2.0, 2.0, 2.0, 1.0]))
PSF = 6.0
SCANNER = Scanner(psf=PSF)


def ball(centre: tuple[float, float, float], diameter: float, grid: Grid = GRID) -> np.ndarray:
    return sphere_weights(grid.shape, grid.affine, np.array(centre), diameter)


def regions_of(grid: Grid = GRID, **masks: np.ndarray) -> Regions:
    rows = sparse.csr_matrix(np.stack([mask.ravel() for mask in masks.values()]))
    return Regions(weights=rows, names=tuple(masks), kinds=("organ",) * len(masks), grid=grid)


def image_of(values: np.ndarray, grid: Grid = GRID, **more) -> Image:
    values = values if values.ndim == 4 else values[..., np.newaxis]
    count = values.shape[-1]
    frames = Frames(
        start=60.0 * np.arange(count), duration=np.full(count, 60.0), zero=Zero(kind="scan_start")
    )
    facts = {"quantity": "activity_concentration", "unit": "Bq/mL", "analyte": "label"}
    return Image(values=values, grid=grid, frames=frames, **facts, **more)


def blurred(values: np.ndarray, fwhm: float = PSF, spacing: float = 2.0) -> np.ndarray:
    return gaussian_filter(values, fwhm / FWHM / spacing, mode="reflect", truncate=6.0)


def total(curves: Curves) -> np.ndarray:
    held = curves.volume > 0
    return curves.volume[held] @ curves.values[held]


ORGAN = ball((28.0, 27.0, 25.0), 30.0)
LESION = ball((28.0, 27.0, 50.0), 12.0)
TRUTH = 2.0 + 6.0 * ORGAN + 18.0 * LESION
APART = regions_of(organ=ORGAN, lesion=LESION)


def test_uniform_regions_are_recovered():
    imaged, recovered = sample(image_of(blurred(TRUTH)), APART, SCANNER)
    assert imaged.values[1, 0] < 15.0  # the lesion of 20 lost a quarter and more
    # The truth is a sum of the regions' weights, so that only the truncated kernel differs (6e-5).
    np.testing.assert_allclose(recovered.values[:2, 0], [8.0, 20.0], rtol=1e-3)
    assert recovered.values[2, 0] == pytest.approx(2.0, rel=1e-3)


def test_a_sphere_drawn_finer_than_the_image_is_recovered():
    fine = Grid(shape=(120, 112, 128), affine=np.diag([0.5, 0.5, 0.5, 1.0]))
    fine.affine.flags.writeable = True
    fine.affine[:3, 3] = -0.75
    truth = 1.0 + 9.0 * ball((28.0, 27.0, 30.0), 16.0, fine)
    blocks = blurred(truth, spacing=0.5).reshape(30, 4, 28, 4, 32, 4).mean(axis=(1, 3, 5))
    regions = regions_of(lesion=ball((28.0, 27.0, 30.0), 16.0))
    _, recovered = sample(image_of(blocks), regions, SCANNER)
    # Weights are averages over voxels of a third of the point spread: 1 % of the contrast.
    assert recovered.values[0, 0] == pytest.approx(10.0, rel=0.01)


def test_a_local_background_is_not_mistaken_for_the_air_around_the_body():
    body, lesion = ball((28.0, 27.0, 31.0), 50.0), ball((28.0, 27.0, 31.0), 12.0)
    truth = 4.0 * body + 6.0 * lesion
    _, recovered = sample(image_of(blurred(truth)), regions_of(lesion=lesion), SCANNER)
    # With a remainder that is mostly air as its background it would come out near 12; the shell
    # ends 7 mm below the body's surface, and sees a little of the air.
    assert recovered.values[0, 0] == pytest.approx(10.0, rel=0.01)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    psf=st.one_of(st.none(), st.floats(0.5, 12.0)),
    edge=st.booleans(),
    together=st.booleans(),
)
@example(seed=1808, psf=None, edge=False, together=False)
def test_total_activity_is_unchanged(seed, psf, edge, together):
    rng = np.random.default_rng(seed)
    masks = {
        f"r{n}": ball(tuple(rng.uniform(0 if edge else 14, 56 if edge else 42, 3)), width)
        for n, width in enumerate((20.0, 12.0, 6.0))
    }
    if not together:  # cut apart, later over earlier: no voxel is shared out more than once
        masks["r0"] = masks["r0"] * (1 - masks["r1"]) * (1 - masks["r2"])
        masks["r1"] = masks["r1"] * (1 - masks["r2"])
    values = rng.normal(3.0, 2.0, SHAPE).astype(np.float32)
    image, regions = image_of(values), regions_of(**masks)
    everything = float(values.astype(float).sum()) * GRID.voxel_volume
    scanner = Scanner(psf=psf, boundary_sd=1.0)
    for curves in filter(None, sample(image, regions, scanner)):
        if together and overlaps(masks):
            continue  # as drawn, a shared part is in both: the ledger counts it once
        assert total(curves)[0] == pytest.approx(everything, rel=1e-6)
        ones = np.ones(len(curves.names))
        # What one region gains by a moved border another loses: nothing but rounding remains.
        assert ones @ curves.amount_covariance(0) @ ones < 1e-12 * everything**2 + 1e-9


def overlaps(masks: dict[str, np.ndarray]) -> bool:
    return bool(sum(masks.values()).max() > 1 + 1e-6)


def test_a_lesion_drawn_inside_an_organ_is_recovered_by_itself():
    inside = ball((28.0, 27.0, 25.0), 12.0)
    truth = 1.0 + 7.0 * ORGAN + 12.0 * inside
    regions = regions_of(organ=ORGAN, lesion=inside)
    _, recovered = sample(image_of(blurred(truth)), regions, SCANNER)
    both = 8.0 + 12.0 * inside.sum() / ORGAN.sum()
    np.testing.assert_allclose(recovered.values[:, 0], [both, 20.0, 1.0], rtol=2e-3)  # truncation
    np.testing.assert_allclose(recovered.volume[:2], np.array([ORGAN.sum(), inside.sum()]) / 125)


def test_the_same_region_twice_gives_the_same_twice():
    regions = regions_of(a=LESION, b=LESION)
    _, recovered = sample(image_of(blurred(TRUTH)), regions, SCANNER)
    np.testing.assert_allclose(recovered.values[0], recovered.values[1])


def test_without_a_point_spread_nothing_is_recovered():
    imaged, recovered = sample(image_of(TRUTH), APART, Scanner())
    assert recovered is None
    # Fractional voxels hold a share of the background: as imaged is the weighted mean.
    expected = [(TRUTH * mask).sum() / mask.sum() for mask in (ORGAN, LESION)]
    np.testing.assert_allclose(imaged.values[:2, 0], expected, rtol=1e-12)
    assert imaged.names[-1] == imaged.kinds[-1] == "remainder"


def test_as_imaged_is_the_weighted_mean_also_where_regions_overlap():
    other = ball((28.0, 27.0, 40.0), 24.0)
    values = np.random.default_rng(1).uniform(0, 9, SHAPE)
    imaged, _ = sample(image_of(values), regions_of(organ=ORGAN, other=other), SCANNER)
    expected = [(values * mask).sum() / mask.sum() for mask in (ORGAN, other)]
    np.testing.assert_allclose(imaged.values[:2, 0], expected, rtol=1e-12)


def test_unknown_noise_is_not_zero():
    imaged, recovered = sample(image_of(blurred(TRUTH)), APART, SCANNER)
    for curves in (imaged, recovered):
        assert np.isnan(curves.covariance).all()
        assert all("noise_unknown" in flags for flags in curves.flags)


def test_voxels_without_a_value_are_left_out():
    values = blurred(TRUTH)
    values[:, :, 27:] = np.nan
    imaged, recovered = sample(image_of(values), APART, SCANNER)
    left = LESION.copy()
    left[:, :, 27:] = 0
    expected = (np.nan_to_num(values) * left).sum() / left.sum()
    assert imaged.values[1, 0] == pytest.approx(expected)
    assert recovered.values[1, 0] == pytest.approx(20.0, rel=2e-3)  # truncation of the kernel
    assert "nan_voxels" in imaged.flags[1]
    assert "nan_voxels" not in imaged.flags[0]


def test_a_region_without_any_value_is_nan_and_spares_the_others():
    values = np.stack([blurred(TRUTH)] * 2, axis=-1)
    values[LESION > 0, 1] = np.nan
    imaged, recovered = sample(image_of(values), APART, SCANNER)
    for curves in (imaged, recovered):
        assert np.isnan(curves.values[1, 1])
        assert np.isfinite(curves.values[0]).all()
        assert np.isfinite(curves.values[:, 0]).all()


def test_an_empty_region_is_nan_and_flagged():
    regions = regions_of(organ=ORGAN, nothing=np.zeros(SHAPE))
    imaged, recovered = sample(image_of(blurred(TRUTH)), regions, SCANNER)
    for curves in (imaged, recovered):
        assert np.isnan(curves.values[1, 0])
        assert curves.volume[1] == 0
        assert "empty_region" in curves.flags[1]
        assert np.isfinite(curves.values[[0, 2], 0]).all()


def test_no_regions_at_all_leave_the_remainder():
    none = Regions(weights=sparse.csr_matrix((0, GRID.size)), names=(), kinds=(), grid=GRID)
    imaged, recovered = sample(image_of(TRUTH), none, SCANNER)
    assert imaged.values[0, 0] == pytest.approx(TRUTH.mean())
    assert recovered.values[0, 0] == pytest.approx(TRUTH.mean())


def test_a_region_smaller_than_the_point_spread_is_flagged():
    regions = regions_of(organ=ORGAN, lesion=ball((28.0, 27.0, 50.0), 5.0))
    _, recovered = sample(image_of(blurred(TRUTH)), regions, SCANNER)
    assert "small_region" in recovered.flags[1]
    assert "small_region" not in recovered.flags[0]


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(1e-3, 1e6))
def test_scaling_the_image_scales_values_and_uncertainty(scale):
    scanner = Scanner(psf=PSF, psf_sd=0.4, boundary_sd=1.0)
    image = image_of(blurred(TRUTH), variance=np.full((*SHAPE, 1), 0.1), noise_correlation=4.0)
    larger = replace(image, values=image.values * scale, variance=image.variance * scale**2)
    for one, other in zip(
        sample(image, APART, scanner), sample(larger, APART, scanner), strict=True
    ):
        np.testing.assert_allclose(other.values, one.values * scale, rtol=1e-9)
        np.testing.assert_allclose(
            other.amount_covariance(0), one.amount_covariance(0) * scale**2, rtol=1e-6, atol=0
        )


def test_the_order_of_regions_does_not_matter():
    scanner = Scanner(psf=PSF, psf_sd=0.4, boundary_sd=1.0)
    image = image_of(blurred(TRUTH))
    _, one = sample(image, APART, scanner)
    _, other = sample(image, regions_of(lesion=LESION, organ=ORGAN), scanner)
    order = [1, 0, 2]
    np.testing.assert_allclose(other.values[order], one.values, rtol=1e-9)
    np.testing.assert_allclose(
        other.mean_covariance(0)[np.ix_(order, order)], one.mean_covariance(0), rtol=1e-6
    )


def noisy(rng: np.random.Generator, level: float, fwhm: float, spacing: float) -> np.ndarray:
    sigma = fwhm / FWHM / spacing
    unit = (2 * np.sqrt(np.pi) * sigma) ** 1.5  # white noise smoothed to variance 1
    return level * unit * gaussian_filter(rng.standard_normal(SHAPE), sigma, mode="wrap")


def test_noise_of_means_is_that_of_repeated_images():
    image = image_of(blurred(TRUTH), variance=np.full((*SHAPE, 1), 4.0), noise_correlation=5.0)
    expected = [curves.covariance[0] for curves in sample(image, APART, SCANNER)]
    rng = np.random.default_rng(3)
    draws = [
        [
            curves.values[:, 0]
            for curves in sample(
                image_of(blurred(TRUTH) + noisy(rng, 2.0, 5.0, 2.0)), APART, SCANNER
            )
        ]
        for _ in range(300)
    ]
    for n in range(2):
        found = np.cov(np.array([draw[n] for draw in draws]).T)
        # A standard deviation from 300 draws is known to 4.1 %; three of that.
        np.testing.assert_allclose(
            np.sqrt(np.diag(found)), np.sqrt(np.diag(expected[n])), rtol=0.125
        )


def test_the_scatter_in_a_uniform_region_gives_the_variance():
    scanner = Scanner(psf=PSF, noise_region="organ", noise_correlation=5.0)
    rng = np.random.default_rng(11)
    ratios = []
    for _ in range(40):
        values = blurred(TRUTH) + noisy(rng, 0.8, 5.0, 2.0)
        image = noise_variance(image_of(values), APART, scanner)
        ratios.append(image.variance[14, 13, 12, 0] / 0.64)
        assert image.noise_correlation == 5.0
    # The interior holds some 20 independent parts: 40 images of it tell the variance to 5 %.
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)
    outside = image.variance[2, 2, 2, 0] / image.variance[14, 13, 12, 0]
    assert outside == pytest.approx(2.0 / 8.0, rel=0.35)  # as the means, with noise of 0.8 on 2


def test_the_image_is_left_alone_where_its_noise_is_known_or_nothing_is_declared():
    known = image_of(TRUTH, variance=np.ones((*SHAPE, 1)))
    assert noise_variance(known, APART, Scanner(noise_region="organ")) is known
    plain = image_of(TRUTH)
    assert noise_variance(plain, APART, Scanner()) is plain


def test_a_noise_region_that_is_not_drawn_is_an_error():
    scanner = Scanner(noise_region="liver", noise_correlation=4.0)
    with pytest.raises(StudyError, match="'liver', which is not drawn"):
        noise_variance(image_of(TRUTH), APART, scanner)


def test_a_noise_region_without_correlation_is_an_error():
    with pytest.raises(StudyError, match="correlation"):
        noise_variance(image_of(TRUTH), APART, Scanner(noise_region="organ"))


def test_a_region_may_not_take_the_name_of_the_remainder():
    with pytest.raises(StudyError, match="remainder"):
        sample(image_of(TRUTH), regions_of(remainder=LESION), SCANNER)


def test_the_width_of_the_point_spread_is_in_the_uncertainty():
    image = image_of(blurred(TRUTH))
    _, narrow = sample(image, APART, Scanner(psf=PSF - 0.4))
    _, wide = sample(image, APART, Scanner(psf=PSF + 0.4))
    _, curves = sample(image, APART, Scanner(psf=PSF, psf_sd=0.4))
    _, certain = sample(image, APART, Scanner(psf=PSF))
    found = curves.mean_covariance(0) - certain.mean_covariance(0)
    change = (wide.values - narrow.values)[:, 0] / 2
    # The other solutions against the first order: 7 % of the width.
    np.testing.assert_allclose(np.sqrt(np.diag(found))[:2], np.abs(change[:2]), rtol=0.1)


def test_amounts_are_better_known_than_their_factors():
    _, curves = sample(image_of(blurred(TRUTH)), APART, Scanner(psf=PSF, boundary_sd=1.0))
    mean, volume = curves.values[1, 0], curves.volume[1]
    cv_mean = np.sqrt(curves.mean_covariance(0)[1, 1]) / mean
    cv_volume = curves.volume_sd[1] / volume
    cv_amount = np.sqrt(curves.amount_covariance(0)[1, 1]) / (mean * volume)
    assert cv_amount < np.hypot(cv_mean, cv_volume)
    # Growth of a sphere by sd = 1 / sqrt(2) mm: 3 sd / radius.
    assert cv_volume == pytest.approx(3 / np.sqrt(2) / 6.0, rel=0.06)


def test_recovered_intervals_hold_the_truth_as_often_as_they_say():
    """200 scans: noise, borders moved and grown, a point spread off by its sd."""
    rng = np.random.default_rng(2)
    scanner = Scanner(
        psf=PSF, psf_sd=0.35, boundary_sd=1.0, noise_region="organ", noise_correlation=4.0
    )
    step = 1.0 / np.sqrt(2)
    amount = 20.0 * LESION.sum() * GRID.voxel_volume
    hits, hits_mean = 0, 0
    for _ in range(200):
        moved = {}
        for name, centre, width in (("organ", 25.0, 30.0), ("lesion", 50.0, 12.0)):
            place = np.array([28.0, 27.0, centre]) + rng.normal(0, step, 3)
            moved[name] = ball(tuple(place), width + 2 * rng.normal(0, step))
        fwhm = float(rng.normal(PSF, 0.35))
        values = blurred(TRUTH, fwhm) + noisy(rng, 0.8, 4.0, 2.0)
        _, curves = sample(image_of(values), regions_of(**moved), scanner)
        found = curves.values[1, 0] * curves.volume[1]
        hits += abs(found - amount) < 1.96 * np.sqrt(curves.amount_covariance(0)[1, 1])
        hits_mean += abs(curves.values[1, 0] - 20.0) < 1.96 * curves.estimate(1, 0).sd
    # The acceptance range of the virtual trial: 90 to 99 % of 200.
    assert 180 <= hits <= 198
    assert 180 <= hits_mean <= 198


def test_uneven_uptake_is_in_the_uncertainty():
    core = ball((28.0, 27.0, 25.0), 16.0)
    even, uneven = 2.0 + 8.0 * ORGAN, 2.0 + 8.0 * ORGAN - 8.0 * core
    scanner = Scanner(psf=PSF)
    regions = regions_of(organ=ORGAN)
    _, flat = sample(image_of(blurred(even)), regions, scanner)
    _, hollow = sample(image_of(blurred(uneven)), regions, scanner)
    truth = (uneven * ORGAN).sum() / ORGAN.sum()
    error = abs(hollow.values[0, 0] - truth)
    spread = np.sqrt(hollow.mean_covariance(0)[0, 0])
    assert spread > 20 * np.sqrt(flat.mean_covariance(0)[0, 0])
    assert error < 1.96 * spread


def test_a_body_of_a_million_voxels_and_twenty_regions_takes_a_second():
    shape = (128, 96, 100)
    grid = Grid(shape=shape, affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    rng = np.random.default_rng(5)
    places = [(60.0 + 90 * (n % 5), 60.0 + 120 * (n // 5 % 3), 60.0 + 140 * (n // 15))
              for n in range(20)]  # fmt: skip
    masks = {f"r{n}": ball(place, 20.0 + 4 * n, grid) for n, place in enumerate(places)}
    masks["r0"] = ball((250.0, 190.0, 330.0), 120.0, grid)
    values = rng.normal(1, 0.1, shape)
    scanner = Scanner(psf=6.0, psf_sd=0.4, noise_region="r0", noise_correlation=4, boundary_sd=1)
    image, regions = image_of(values, grid), regions_of(grid, **masks)
    started = time.process_time()
    sample(image, regions, scanner)
    assert time.process_time() - started < 2.0  # the budget; 0.3 s on an idle core
