from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.simulate import phantom
from igdd.simulate.phantom import Anatomy, Shape
from igdd.simulate.trial import Trial
from igdd.types import Grid

COARSE = Trial(fine=4.0, factor=2)


def anatomy(seed: int) -> Anatomy:
    return phantom.draw_anatomy(np.random.default_rng(seed), 20.0, 45.0)


def voxel_volume(shape: Shape, spacing: float) -> float:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -50 + 0.3
    grid = Grid(shape=(round(100 / spacing),) * 3, affine=affine)
    inside = phantom.radius(shape, grid, phantom.bounding_box(shape, grid)) < 1
    return float(inside.sum() * grid.voxel_volume)


def test_an_ellipsoid_has_the_volume_of_an_ellipsoid():
    shape = Shape(centre=(1, 2, 3), semi=(30, 20, 25))
    # Lattice error: below a thousandth for half a million voxels.
    assert voxel_volume(shape, 0.5) == pytest.approx(4 / 3 * np.pi * 15.0, rel=1e-3)


def test_growing_a_sphere_grows_its_radius():
    shape = Shape(centre=(0, 0, 0), semi=(20, 20, 20)).perturbed(np.array([1.0, 0, 0]), 2.0)
    assert shape.centre == (1, 0, 0)
    # A thousandth: lattice error, as above.
    assert voxel_volume(shape, 0.5) == pytest.approx(4 / 3 * np.pi * 22**3 / 1000, rel=1e-3)


def test_a_ripple_stays_inside_its_bounding_box():
    plain = Shape(centre=(0, 0, 0), semi=(20, 15, 18), ripple=0.12, phase=(0.3, 1.0, 2.0))
    grid = Grid(shape=(100, 100, 100), affine=np.diag([1.0, 1, 1, 1]) - np.eye(4, k=3) * 0)
    moved = plain.perturbed(np.full(3, 50.0), 0.0)
    everywhere = (slice(0, 100),) * 3
    inside = phantom.radius(moved, grid, everywhere) < 1
    outside_box = inside.copy()
    outside_box[phantom.bounding_box(moved, grid)] = False
    assert inside.any()
    assert not outside_box.any()


@pytest.mark.parametrize("seed", range(6))
def test_every_region_lies_in_the_body_and_no_lesion_is_painted_over(seed):
    patient, grid = anatomy(seed), COARSE.grid()
    labels = phantom.paint(patient, grid)
    body = phantom.paint(Anatomy(body=patient.body, organs=(), lesions=()), grid) > 0
    assert body[labels > 0].all()
    for number, (name, shapes) in enumerate(patient.regions, start=2):
        found = int((labels == number).sum())
        assert found > 0
        if name.startswith("lesion"):
            alone = np.zeros(grid.shape, dtype=np.uint8)
            phantom._fill(alone, shapes[0], grid, 1)
            assert found == int(alone.sum())


def test_patients_have_one_to_five_lesions_and_all_counts_occur():
    counts = [len(anatomy(seed).lesions) for seed in range(60)]
    assert set(counts) == {1, 2, 3, 4, 5}


def test_lesion_volumes_are_those_of_their_diameters():
    lesions = [one for seed in range(8) for one in anatomy(seed).lesions]
    grid = Trial().grid()
    for lesion in lesions:
        inside = phantom.radius(lesion.shape, grid, phantom.bounding_box(lesion.shape, grid)) < 1
        sphere = np.pi / 6 * lesion.diameter**3 / 1000
        # The surface waves by up to 12 %; its mean square adds at most 3 * 0.12**2 = 4 %, the
        # lattice about 4 % at the smallest.
        assert inside.sum() * grid.voxel_volume == pytest.approx(sphere, rel=0.12)


def test_a_field_of_view_that_cuts_the_body_is_refused():
    narrow = Trial(fine=4.0, extent=(200.0, 256.0, 896.0)).grid()
    with pytest.raises(InputError, match="touches the edge"):
        phantom.paint(anatomy(0), narrow)


def test_drawn_regions_are_moved_no_farther_than_declared():
    patient, trial = anatomy(3), Trial()
    grid = trial.grid()
    true = phantom.paint(patient, grid)
    drawn = phantom.draw_regions(patient, grid, np.random.default_rng(1), trial.shift, 0.0)
    for number, name in enumerate(patient.names, start=1):
        if not name.startswith("lesion"):
            continue
        centres = [
            np.argwhere(m == n).mean(axis=0) for m, n in ((true, number + 1), (drawn, number))
        ]
        moved = float(np.linalg.norm(centres[1] - centres[0]) * trial.fine)
        # 0.2 mm: centroid of a 2 mm lattice of at least 500 voxels.
        assert 0 < moved <= trial.shift + 0.2


def test_growth_of_drawn_regions_has_the_declared_scatter():
    patient, grid = anatomy(3), Trial(fine=4.0).grid()
    liver = 1 + patient.names.index("liver")
    shape = dict(patient.organs)["liver"][0]
    radii = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        drawn = phantom.draw_regions(patient, grid, rng, 0.0, 3.0) == liver
        radii.append(np.cbrt(drawn.sum() * grid.voxel_volume * 1000 * 3 / 4 / np.pi))
    # Mean semi-axis 71 mm; standard deviation of 30 draws is known to 13 %, twice that allowed.
    assert np.std(radii) == pytest.approx(3.0, rel=0.3)
    assert np.mean(radii) == pytest.approx(np.cbrt(np.prod(shape.semi)), rel=0.04)


def test_lesions_that_fit_nowhere_are_refused():
    for smallest, largest in ((50.0, 60.0), (30.0, 20.0), (0.0, 20.0)):
        with pytest.raises(InputError, match="rising diameters"):
            phantom.draw_anatomy(np.random.default_rng(0), smallest, largest)
