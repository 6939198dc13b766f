from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.simulate import phantom, uptake
from igdd.simulate.trial import Trial

GRID = Trial(fine=4.0).grid()
PATIENT = phantom.draw_anatomy(np.random.default_rng(5), 25.0, 45.0)
LABELS = phantom.paint(PATIENT, GRID)


def test_voxels_add_up_to_the_amount_of_every_region():
    volumes = uptake.true_volumes(PATIENT, LABELS, GRID)
    amounts = {name: 1.0 + n for n, name in enumerate(volumes)}
    field = uptake.spread(
        PATIENT, LABELS, {n: amounts[n] / v for n, v in volumes.items()}, GRID, (1, 2)
    )
    for label, name in enumerate(volumes, start=1):
        found = field[labels_of(label)].sum(dtype=np.float64) * GRID.voxel_volume
        # 32-bit voxels: 6e-8 each.
        assert found == pytest.approx(amounts[name], rel=2e-7)
    assert not field[LABELS == 0].any()


def labels_of(label: int) -> np.ndarray:
    return label == LABELS


def test_a_lesions_pattern_stays_the_same_while_its_uptake_changes():
    volumes = uptake.true_volumes(PATIENT, LABELS, GRID)
    early = uptake.spread(PATIENT, LABELS, dict.fromkeys(volumes, 1.0), GRID, (1, 2))
    late = uptake.spread(PATIENT, LABELS, dict.fromkeys(volumes, 3.0), GRID, (1, 2))
    other = uptake.spread(PATIENT, LABELS, dict.fromkeys(volumes, 1.0), GRID, (1, 3))
    lesion = 2 + PATIENT.names.index("lesion_1") == LABELS
    np.testing.assert_allclose(late, 3 * early, rtol=1e-6)  # 32-bit voxels
    assert early[lesion].std() > 0.1
    assert not np.allclose(other[lesion], early[lesion])


def test_a_cold_core_is_cold_and_leaves_the_mean():
    axis = np.linspace(-1.2, 1.2, 49)
    depth = np.sqrt(sum(x**2 for x in np.meshgrid(axis, axis, axis, indexing="ij")))
    found = uptake.uneven(depth < 1, depth, 0.0, 0.35, np.random.default_rng(0))
    assert found[depth < 1].mean() == pytest.approx(1.0)
    assert found[24, 24, 24] / found[24, 24, 44] == pytest.approx(0.35, rel=0.01)  # 1 % from edge
    assert not found[depth >= 1].any()


def test_a_region_without_a_voxel_is_refused():
    with pytest.raises(InputError, match="lesion_1 holds no voxel"):
        uptake.true_volumes(PATIENT, np.minimum(LABELS, 10), GRID)
