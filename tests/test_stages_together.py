"""`igdd together`: where the drug is, where the target is, and where only one of them."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter

from igdd.errors import InputError, UnitsError
from igdd.metrics._matched import Stored, blurred, match
from igdd.stages.together import Asked, compare, text, together
from igdd.types import Grid

SPACING = 2.0


def grid_of(shape, spacing=SPACING, origin=0.0):
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine)


def ball(size, radius):
    place = np.indices((size,) * 3) - (size - 1) / 2
    return (place**2).sum(axis=0) <= radius**2


def blurred_noise(size, seed, sigma=1.5):
    noise = np.random.default_rng(seed).standard_normal((size,) * 3)
    field = gaussian_filter(noise, sigma)
    return 5 + field / field.std()


def compared(one, other, inside, fwhm=None, **words):
    grid = grid_of(one.shape)
    stored = [Stored(values=values, grid=grid, fwhm=fwhm) for values in (one, other)]
    return compare(match(*stored, grid), inside, Asked(**words), (None, None)).facts


def row(facts, name):
    return next(one for one in facts["measures"] if one["measure"] == name)


def shares(facts, what="share_of_volume"):
    return {one["quadrant"]: one[what]["value"] for one in facts["quadrants"]}


@pytest.fixture(scope="module")
def inside():
    return ball(21, 9)


def test_identical_maps_are_both_or_neither(inside):
    one = blurred_noise(21, 1)
    facts = compared(one, one, inside)
    assert_allclose(list(shares(facts).values()), [0.5, 0, 0, 0.5], atol=1 / inside.sum())
    assert row(facts, "pearson")["value"] == pytest.approx(1.0)
    assert row(facts, "b_reached")["value"] == 1.0
    assert facts["missed"] == {"parts": 0, "largest_ml": 0.0, "centre_mm": None}
    assert facts["lag"]["distance_mm"] == 0.0


def test_complementary_maps_are_never_both(inside):
    one = blurred_noise(21, 1)
    facts = compared(one, 10 - one, inside)
    found = shares(facts)
    assert found["both"] == pytest.approx(0.0, abs=2 / inside.sum())
    assert found["neither"] == pytest.approx(0.0, abs=2 / inside.sum())
    assert row(facts, "spearman")["value"] == pytest.approx(-1.0)
    assert row(facts, "costes_a")["value"] != row(facts, "costes_a")["value"]
    assert "feature_undefined" in facts["flags"]


def test_quadrants_add_up_and_follow_the_amounts(inside):
    one, other = blurred_noise(21, 1), blurred_noise(21, 2)
    facts = compared(one, other, inside, above=("5.3", "4.8"))
    for what in ("share_of_volume", "share_of_amount_a", "share_of_amount_b"):
        assert sum(shares(facts, what).values()) == pytest.approx(1.0)
    a, b = one[inside], other[inside]
    missed = (a < 5.3) & (b >= 4.8)
    assert shares(facts)["b_only"] == pytest.approx(missed.mean())
    assert shares(facts, "share_of_amount_b")["b_only"] == pytest.approx(b[missed].sum() / b.sum())
    assert row(facts, "manders_a")["value"] == pytest.approx(a[b >= 4.8].sum() / a.sum())
    assert facts["volume_ml"] == pytest.approx(inside.sum() * 0.008)
    assert sum(one["volume_ml"] for one in facts["quadrants"]) == pytest.approx(facts["volume_ml"])


def test_independent_maps_are_within_chance(inside):
    hits = 0
    for seed in range(12):
        one, other = blurred_noise(21, seed), blurred_noise(21, seed + 100)
        facts = compared(one, other, inside)
        quarter = facts["quadrants"][0]["share_of_volume"]
        hits += quarter["low"] <= facts["quadrants"][0]["share_by_chance"] <= quarter["high"]
        assert facts["effective_size"] < inside.sum() / 10
    # 95 % of 12, less three standard errors.
    assert hits >= 9


def test_a_known_shift_is_found_in_mm():
    whole = blurred_noise(40, 3)
    one, other = whole[5:35, 5:35, 5:35], whole[8:38, 5:35, 4:34]
    facts = compared(one, other, ball(30, 11))
    # other(x + lag) = one(x): lag (-3, 0, 1) voxels of 2 mm.
    assert_allclose(facts["lag"]["lag_mm"], [-6.0, 0.0, 2.0])
    assert facts["lag"]["distance_mm"] == pytest.approx(40**0.5)
    assert facts["lag"]["correlation"] == pytest.approx(1.0, abs=1e-6)
    near = compared(one, other, ball(30, 11), reach="4 mm")
    assert near["lag"]["distance_mm"] <= 4


def test_the_missed_part_is_measured_and_placed(inside):
    target = np.where(inside, 2.0, 1.0)
    drug = np.full(inside.shape, 2.0)
    drug[inside & (np.indices(inside.shape)[0] >= 14)] = 0.1
    hole = inside & (drug < 1)
    facts = compared(drug, target, inside, above=("1", "1.5"))
    assert facts["missed"]["parts"] == 1
    assert facts["missed"]["largest_ml"] == pytest.approx(hole.sum() * 0.008)
    assert_allclose(facts["missed"]["centre_mm"], np.argwhere(hole).mean(axis=0) * SPACING)
    assert row(facts, "b_reached")["value"] == pytest.approx(1 - hole.sum() / inside.sum())


def test_units_do_not_matter(inside):
    one, other = blurred_noise(21, 4), blurred_noise(21, 5)
    plain = compared(one, other, inside)
    scaled = compared(1e6 * one, 1e-4 * other, inside)
    for first, second in zip(plain["measures"], scaled["measures"], strict=True):
        if first["unit"] in ("1", "bit"):
            assert second["value"] == pytest.approx(first["value"], rel=1e-6)
            assert second["low"] == pytest.approx(first["low"], rel=1e-5, nan_ok=True)
    assert_allclose(list(shares(plain).values()), list(shares(scaled).values()))


def test_a_known_point_spread_never_adds_samples(inside):
    one, other = (5 + np.random.default_rng(seed).standard_normal(inside.shape) for seed in (1, 2))
    free = compared(one, other, inside)
    blurry = compared(one, other, inside, fwhm=8.0)
    assert "resolution_unmatched" in free["flags"]
    assert "resolution_unmatched" not in blurry["flags"]
    assert blurry["effective_size"] < free["effective_size"] / 5


def test_maps_are_compared_at_the_coarser_resolution():
    sharp = np.random.default_rng(0).standard_normal((40, 40, 40))
    width = 2.3548200450309493 * SPACING
    one, other = gaussian_filter(sharp, 1.0), gaussian_filter(sharp, 2.0)
    grid = grid_of(sharp.shape)
    made = match(
        Stored(values=one, grid=grid, fwhm=width), Stored(values=other, grid=grid, fwhm=2 * width),
        grid,
    )  # fmt: skip
    assert made.fwhm == pytest.approx(2 * width)
    inner = (slice(12, -12),) * 3
    # A Gaussian sampled at one voxel's sigma is not quite one: to a hundredth of the spread.
    assert np.abs(made.values[0] - other)[inner].max() < 0.03 * other.std()
    assert "blurred" in made.rules[0]
    assert made.rules[1] == "as it is"


def test_finer_voxels_are_averaged_over_the_coarser_ones():
    fine = np.random.default_rng(1).random((24, 24, 24))
    coarse = fine.reshape(12, 2, 12, 2, 12, 2).mean(axis=(1, 3, 5))
    grids = grid_of(fine.shape, 2.0), grid_of(coarse.shape, 4.0, origin=1.0)
    made = match(Stored(values=fine, grid=grids[0]), Stored(values=coarse, grid=grids[1]), grids[1])
    # Interpolation is in single precision.
    assert_allclose(made.values[0], coarse, rtol=2e-6)
    assert (made.values[1] == coarse).all()
    assert made.rules[0] == "trilinear, mean of 2 x 2 x 2 points in a voxel"


def test_a_flipped_image_is_the_same_voxels():
    values = np.random.default_rng(2).random((6, 7, 8))
    grid = grid_of(values.shape)
    affine = grid.affine.copy()
    affine[0, 0], affine[0, 3] = -SPACING, 5 * SPACING
    turned = Grid(shape=values.shape, affine=affine)
    made = match(Stored(values=values[::-1], grid=turned), Stored(values=values, grid=grid), grid)
    assert (made.values[0] == values).all()


def test_blur_leaves_a_uniform_image_and_fills_no_hole():
    values = np.full((9, 9, 9), 3.0)
    values[4, 4, 4] = np.nan
    found = blurred(values, np.full(3, 2.0), 5.0)
    assert np.isnan(found[4, 4, 4])
    assert_allclose(found[np.isfinite(found)], 3.0, rtol=1e-12)


@pytest.mark.parametrize("case", ["one voxel", "flat", "two voxels", "both flat"])
def test_small_and_flat_regions_are_undefined_and_flagged(case, inside):
    one, other = blurred_noise(21, 1), blurred_noise(21, 2)
    region = np.zeros(inside.shape, bool)
    region[10, 10, 10] = True
    if case == "two voxels":
        region[10, 10, 11] = True
    if case.endswith("flat"):
        region = inside
        one = np.full(inside.shape, 0.1)
    if case == "both flat":
        other = one
    facts = compared(one, other, region)
    assert {"feature_undefined", "few_independent_samples"} <= set(facts["flags"])
    if case != "two voxels":
        assert np.isnan(row(facts, "pearson")["value"])
        assert np.isnan(facts["quadrants"][0]["share_of_volume"]["value"])
    assert np.isnan(facts["effective_size"])


def test_voxels_without_a_value_are_left_out_and_a_region_at_the_edge_is_measured(inside):
    one, other = blurred_noise(21, 1), blurred_noise(21, 2)
    region = np.zeros(inside.shape, bool)
    region[:8] = True
    holed = one.copy()
    holed[0, :3] = np.nan
    facts = compared(holed, other, region)
    assert "nan_voxels" in facts["flags"]
    assert facts["voxels"] == region.sum() - 3 * 21
    chosen = region & np.isfinite(holed)
    wanted = np.corrcoef(one[chosen], other[chosen])[0, 1]
    assert row(facts, "pearson")["value"] == pytest.approx(wanted)
    with pytest.raises(InputError, match="has a value in both"):
        compared(np.full(one.shape, np.nan), other, region)


def test_values_below_zero_count_as_measured(inside):
    one = blurred_noise(21, 1) - 5
    facts = compared(one, blurred_noise(21, 2), inside)
    assert "negative_voxels" in facts["flags"]


@pytest.mark.parametrize(
    ("above", "message"), [("p0", "p75"), ("otsu", "median"), ("nan", "finite"), ("2 kBq/mL",
                                                                                  "states none")]
)  # fmt: skip
def test_a_threshold_that_is_none_is_refused(inside, above, message):
    with pytest.raises(InputError, match=message):
        compared(blurred_noise(21, 1), blurred_noise(21, 2), inside, above=(above, "median"))


@pytest.fixture
def files(tmp_path):
    """A drug on 2 mm voxels, a target on 4 mm ones, and a mask; the drug states its unit."""
    size = 32
    target = blurred_noise(size, 1)
    drug = 0.5 * target + 0.5 * blurred_noise(size, 2)
    coarse = target.reshape(16, 2, 16, 2, 16, 2).mean(axis=(1, 3, 5))
    fine_affine = grid_of(drug.shape, origin=-31.0).affine
    coarse_affine = grid_of(coarse.shape, 4.0, origin=-30.0).affine
    paths = {}
    for name, array, affine in (
        ("drug", drug.astype(np.float32), fine_affine),
        ("target", coarse.astype(np.float32), coarse_affine),
        ("mask", ball(size, 11).astype(np.int16), fine_affine),
        ("labels", ball(size, 11).astype(np.int16) + ball(size, 5), fine_affine),
        ("far", np.ones((4, 4, 4), np.int16), grid_of((4, 4, 4), origin=500.0).affine),
    ):
        paths[name] = tmp_path / f"{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, affine), paths[name])
    (tmp_path / "drug.json").write_text(json.dumps({"Units": "kBq/mL"}), encoding="utf-8")
    return paths


def test_files_on_other_grids_are_compared_on_the_coarser(files):
    found = together(files["drug"], files["target"], files["mask"]).facts
    assert found["voxel_mm"] == [4.0, 4.0, 4.0]
    assert found["a"]["brought"].startswith("trilinear, mean of 2 x 2 x 2")
    assert found["a"]["unit"] == "kBq/mL"
    fine = together(files["drug"], files["target"], files["mask"], Asked(grid="a")).facts
    assert fine["voxel_mm"] == [2.0, 2.0, 2.0]
    assert fine["b"]["brought"] == "trilinear"
    # Half of the drug is the target: 0.71 of whole maps, within the interval.
    for facts in (found, fine):
        assert row(facts, "pearson")["low"] < 0.5**0.5 < row(facts, "pearson")["high"]


def test_the_answer_says_how_much_of_the_target_is_reached(files):
    found = together(
        files["drug"], files["target"], files["mask"],
        Asked(names=("drug", "target"), above=("5 kBq/mL", "p25"), fwhm=("5 mm", "6 mm")),
    )  # fmt: skip
    lines = text(found)
    reached = row(found.facts, "b_reached")
    assert f"drug is hot in {100 * reached['value']:.3g} %" in lines
    assert "of all target lies where drug is not hot" in lines
    assert found.facts["a"]["hot_from"] == 5.0
    assert found.quadrant.max() <= 4
    assert found.counts.sum() == found.facts["voxels"]
    with pytest.raises(UnitsError):
        together(files["drug"], files["target"], files["mask"], Asked(above=("5 mm", "mean")))


def test_wrong_calls_are_refused(files):
    with pytest.raises(InputError, match="2 regions"):
        together(files["drug"], files["target"], files["labels"])
    with pytest.raises(InputError, match=r"no voxel|outside"):
        together(files["drug"], files["target"], files["far"])
    with pytest.raises(InputError, match="lies outside one of the images"):
        together(files["drug"], files["far"], files["mask"], Asked(grid="a"))
    with pytest.raises(InputError, match="--reach"):
        together(files["drug"], files["target"], files["mask"], Asked(reach="-2 mm"))
    with pytest.raises(InputError, match="grid is"):
        Asked(grid="finer")
    with pytest.raises(InputError, match="fwhm-a"):
        together(files["drug"], files["target"], files["mask"], Asked(fwhm=("0 mm", None)))


def test_the_command_prints_json_and_draws_the_page(files, tmp_path):
    from typer.testing import CliRunner

    from igdd.cli import app

    page = tmp_path / "page.html"
    call = ["together", str(files["drug"]), str(files["target"]), str(files["mask"]), "--json",
            "--names", "<drug>", "target", "--plot", str(page)]  # fmt: skip
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {one["quadrant"] for one in found["quadrants"]} == {
        "both",
        "a_only",
        "b_only",
        "neither",
    }
    assert found["fwhm_mm"] is None
    html = page.read_text(encoding="utf-8")
    assert "&lt;drug&gt; alone" in html
    assert "<drug>" not in html
    assert 'data-chart="together"' in html
