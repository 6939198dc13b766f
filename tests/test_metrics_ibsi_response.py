"""IBSI 2, phase 1: every response map with a consensus; images with holes."""

from __future__ import annotations

import math

import nibabel
import numpy as np
import pytest

from igdd.errors import InputError
from igdd.metrics.ibsi_filters import parse
from igdd.metrics.ibsi_response import reference_filters, response

SPACING = np.array([2.0, 2.0, 2.0])
# Phantoms of the groups of maps (arXiv:2006.05470): the checkerboard but for these.
PHANTOMS = {
    "impulse": ("1.b", "2.a", "3.a", "4.a", "5.a", "9.a"),
    "sphere": ("4.b", "6.a", "9.b"),
    "pattern_1": ("10.b",),
}
MAPS = "radiomics/ibsi2/reference_response_maps"


def phantom_of(name: str) -> str:
    group = ".".join(name.split(".")[:2])
    return next(
        (phantom for phantom, groups in PHANTOMS.items() if group in groups), "checkerboard"
    )


def load(path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj, dtype=float)


@pytest.mark.reference
def test_there_is_a_filter_for_every_reference_map(reference):
    found = {path.name.removesuffix("-ValidCRM.nii.gz") for path in reference(MAPS).iterdir()}
    assert len(found) == 33
    assert found == {name.replace(".", "_") for name in reference_filters()}


@pytest.mark.reference
@pytest.mark.parametrize("name", reference_filters())
def test_every_voxel_of_a_response_map_is_the_consensus(name, reference):
    phantom = phantom_of(name)
    image = load(
        reference(f"radiomics/ibsi2/digital_phantoms/nifti/{phantom}/image/{phantom}.nii.gz")
    )
    wanted = load(reference(f"{MAPS}/{name.replace('.', '_')}-ValidCRM.nii.gz"))
    found = response(image, SPACING, reference_filters()[name])
    # The tolerance of the reference maps: 1 % of their range.
    assert np.abs(found - wanted).max() <= 0.01 * np.ptp(wanted)


FILTERS = {
    "mean": {"method": "mean", "dimensions": 3, "support": 5},
    "mean by slice": {"method": "mean", "dimensions": 2, "support": 3},
    "laplacian": {"method": "laplacian_of_gaussian", "dimensions": 3, "sigma_mm": 1.5},
    "laws": {"method": "laws", "kernels": "L5E5E5", "pooling": "max", "delta": 2},
    "gabor": {
        "method": "gabor",
        "dimensions": 3,
        "sigma_mm": 1.0,
        "wavelength_mm": 4.0,
        "gamma": 1.5,
        "step_degrees": 90,
    },
    "wavelet": {"method": "wavelet", "wavelet": "db2", "band": "LH", "level": 2, "pooling": "mean"},
}
ENDLESS = {
    "simoncelli": {"method": "simoncelli", "dimensions": 3},
    "riesz": {
        "method": "laplacian_of_gaussian",
        "dimensions": 3,
        "sigma_mm": 1.5,
        "riesz": [1, 0, 0],
    },
}


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(50, 10, (24, 23, 22))


@pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
@pytest.mark.parametrize("name", FILTERS)
def test_nothing_beyond_its_reach_decides_about_a_response(name, padding, noise):
    settings = parse({**FILTERS[name], "padding": padding})
    reach = settings.reach(SPACING)
    middle = (12, 11, 10)
    place = np.indices(noise.shape)
    away = np.max(
        [
            np.abs(place[axis] - middle[axis]) / max(reach[axis], 0.5)
            if reach[axis]
            else (place[axis] != middle[axis]) * 2.0
            for axis in range(3)
        ],
        axis=0,
    )
    changed = np.where(away > 1, noise + 100, noise)
    one, other = (response(image, SPACING, settings)[middle] for image in (noise, changed))
    # Rounding of a transform of values near 100.
    assert other == pytest.approx(one, abs=1e-9)


@pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_hole_spoils_what_it_is_part_of_and_nothing_else(name, padding, noise):
    settings = parse({**FILTERS[name], "padding": padding})
    image = noise.copy()
    image[0, 11, 10] = np.nan
    found = response(image, SPACING, settings)
    whole = response(noise, SPACING, settings)
    known = np.isfinite(found)
    np.testing.assert_allclose(found[known], whole[known], atol=1e-9)
    assert not known[0, 11, 10]
    reach = int(settings.reach(SPACING)[0])
    assert not known[reach, 11, 10]
    assert known[reach + 1, 11, 10]
    assert known[-1, 11, 10] == (padding != "periodic")


@pytest.mark.parametrize("name", ENDLESS)
def test_a_filter_without_end_knows_no_response_beside_a_hole(name, noise):
    settings = parse({**ENDLESS[name], "padding": "mirror"})
    assert all(math.isinf(one) for one in settings.reach(SPACING))
    assert np.isfinite(response(noise, SPACING, settings)).all()
    image = noise.copy()
    image[3, 3, 3] = np.inf
    assert np.isnan(response(image, SPACING, settings)).all()


@pytest.mark.parametrize("name", {**FILTERS, **ENDLESS})
def test_a_box_is_cut_from_the_whole_response(name, noise):
    settings = parse({**FILTERS, **ENDLESS}[name] | {"padding": "mirror"})
    box = (slice(0, 9), slice(5, 23), slice(20, 22))
    part = response(noise, SPACING, settings, box)
    np.testing.assert_allclose(part, response(noise, SPACING, settings)[box], atol=1e-9)


@pytest.mark.parametrize("name", {**FILTERS, **ENDLESS})
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("padding", ["zero", "nearest", "periodic", "mirror"])
def test_an_image_smaller_than_the_filter_has_a_response(name, shape, padding):
    image = np.arange(math.prod(shape), dtype=float).reshape(shape)
    found = response(image, SPACING, parse({**FILTERS, **ENDLESS}[name] | {"padding": padding}))
    assert found.shape == shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "table",
    [
        {"method": "laplacian_of_gaussian", "dimensions": 3, "sigma_mm": 1500.0},
        {"method": "wavelet", "wavelet": "db10", "band": "LLH", "level": 8},
        {
            "method": "gabor",
            "dimensions": 2,
            "sigma_mm": 5.0,
            "wavelength_mm": 2.0,
            "gamma": 1e-9,
            "theta_degrees": 0,
        },
    ],
)
def test_a_filter_that_reaches_too_far_is_refused_before_it_costs_anything(table):
    with pytest.raises(InputError, match="voxels on either side; expected at most 1000"):
        response(np.zeros((4, 4, 4)), SPACING, parse({**table, "padding": "mirror"}))
