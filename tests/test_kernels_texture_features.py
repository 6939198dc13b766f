"""Texture features: emphases written out, aggregations by their definition, analytic textures."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels import texture_features
from igdd.kernels.texture_features import EMPHASES, Texture, cells, emphases, tones


def written_out(matrix, voxels):
    """The manual's sums over a dense matrix whose row 0 is level 1 and column 0 is length 1."""
    total = matrix.sum()
    i = np.arange(1, matrix.shape[0] + 1)[:, None].astype(float)
    j = np.arange(1, matrix.shape[1] + 1)[None, :].astype(float)
    p = matrix / total
    rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
    filled = p[p > 0]
    mean_i, mean_j = (i * p).sum(), (j * p).sum()
    return {
        "short": (p / j**2).sum(), "long": (p * j**2).sum(), "low": (p / i**2).sum(),
        "high": (p * i**2).sum(), "short_low": (p / i**2 / j**2).sum(),
        "short_high": (p * i**2 / j**2).sum(), "long_low": (p * j**2 / i**2).sum(),
        "long_high": (p * i**2 * j**2).sum(), "glnu": (rows**2).sum() / total,
        "glnu_norm": (rows**2).sum() / total**2, "jnu": (columns**2).sum() / total,
        "jnu_norm": (columns**2).sum() / total**2, "share": total / voxels,
        "gl_var": ((i - mean_i) ** 2 * p).sum(), "j_var": ((j - mean_j) ** 2 * p).sum(),
        "entr": -(filled * np.log2(filled)).sum(), "energy": (filled**2).sum(),
    }  # fmt: skip


@pytest.mark.parametrize("most", [1, 1 << 22])
def test_emphases_are_their_definitions(monkeypatch, most):
    monkeypatch.setattr(texture_features, "MOST_CELLS", most)
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 4, (3, 5, 6))
    number, row, column = (part.repeat(matrices.ravel()) for part in (
        axis.ravel() for axis in np.indices(matrices.shape)
    ))  # fmt: skip
    order = rng.permutation(number.size)
    entries = cells(number[order], row[order] + 1, column[order] + 1)
    found = emphases(entries, np.array([50.0, 60.0, 70.0]))
    for n, voxels in enumerate((50, 60, 70)):
        wanted = written_out(matrices[n], voxels)
        for name, value in zip(EMPHASES, found[n], strict=True):
            assert value == pytest.approx(wanted[name], rel=1e-12), name


def test_tones_of_voxels_written_out():
    level = np.array([1, 1, 3, 4, 4, 4])
    apart = np.array([0.5, 1.0, 2.0, 0.25, 0.0, 1.5])
    grey = [1, 3, 4]
    p = {1: 2 / 6, 3: 1 / 6, 4: 3 / 6}
    s = {1: 1.5, 3: 2.0, 4: 1.75}
    rough = sum(p[g] * s[g] for g in grey)
    pairs = [(a, b) for a in grey for b in grey]
    wanted = [
        1 / rough,
        sum(p[a] * p[b] * (a - b) ** 2 for a, b in pairs) / 6 * sum(s.values()) / 6,
        rough / sum(abs(a * p[a] - b * p[b]) for a, b in pairs),
        sum(abs(a - b) * (p[a] * s[a] + p[b] * s[b]) / (p[a] + p[b]) for a, b in pairs) / 6,
        sum((p[a] + p[b]) * (a - b) ** 2 for a, b in pairs) / sum(s.values()),
    ]
    np.testing.assert_allclose(tones(level, apart), wanted, rtol=1e-12)


@pytest.fixture
def texture():
    rng = np.random.default_rng(8)
    levels = rng.integers(1, 5, (9, 8, 6))
    region = rng.random(levels.shape) < 0.9
    return Texture(np.where(region, levels, 0), region, 4)


def slices_of(texture):
    return [
        Texture(texture.levels[:, :, [k]], texture.region[:, :, [k]], texture.number)
        for k in range(texture.slices)
    ]


@pytest.mark.parametrize("family", ["pairs", "lengths"])
@pytest.mark.parametrize("ending", ["avg", "comb"])
def test_2d_is_the_average_over_slices_taken_alone(texture, family, ending):
    found = getattr(texture, family)(f"2D_{ending}")
    each = [getattr(one, family)(f"2D_{ending}") for one in slices_of(texture)]
    for name, value in found.items():
        assert value == pytest.approx(np.mean([one[name] for one in each]), rel=1e-10), name


@pytest.mark.parametrize("family", ["sizes", "around"])
def test_families_without_directions_average_over_slices_too(texture, family):
    for n in (0, 1):
        found = getattr(texture, family)("2D")[n]
        each = [getattr(one, family)("2D")[n] for one in slices_of(texture)]
        for name, value in found.items():
            assert value == pytest.approx(np.mean([one[name] for one in each]), rel=1e-10), name


@pytest.mark.parametrize("family", ["pairs", "lengths"])
def test_in_one_slice_the_2_5d_aggregations_are_the_2d_ones(texture, family):
    one = slices_of(texture)[2]
    for ending in ("avg", "comb"):
        flat = getattr(one, family)(f"2D_{ending}")
        assert getattr(one, family)(f"2_5D_{ending}") == pytest.approx(flat, rel=1e-12)


def test_turning_a_volume_changes_no_3d_feature(texture):
    turned = Texture(
        texture.levels.transpose(2, 0, 1)[::-1], texture.region.transpose(2, 0, 1)[::-1], 4
    )
    for ending in ("3D_avg", "3D_comb"):
        assert turned.pairs(ending) == pytest.approx(texture.pairs(ending), rel=1e-10)
        assert turned.lengths(ending) == pytest.approx(texture.lengths(ending), rel=1e-10)
    for family in ("sizes", "around"):
        for one, other in zip(
            getattr(turned, family)("3D"), getattr(texture, family)("3D"), strict=True
        ):
            assert one == pytest.approx(other, rel=1e-10)


def test_a_flat_cube_is_one_zone_of_full_runs():
    region = np.ones((4, 4, 4), bool)
    flat = Texture(region.astype(int), region, 1)
    sizes, distances = flat.sizes("3D")
    assert sizes["long"] == 64**2
    assert sizes["share"] == 1 / 64
    assert distances["short"] == 1  # the zone touches the border
    tone, dependence = flat.around("3D")
    assert tone["coarseness"] == 1e6
    assert tone["contrast"] == tone["strength"] == 0
    assert dependence["share"] == 1


def test_a_checkerboard_contrasts_along_its_axes_only():
    i, j, k = np.indices((6, 6, 6))
    levels = (i + j + k) % 2 + 1
    region = np.ones(levels.shape, bool)
    board = Texture(levels, region, 2)
    found = board.pairs("3D_avg")
    # Of 13 directions 3 along axes and 4 along space diagonals change parity, 6 in planes do not.
    assert found["contrast"] == pytest.approx(7 / 13, rel=1e-12)
    assert board.sizes("3D")[0]["long"] == pytest.approx(108**2)
