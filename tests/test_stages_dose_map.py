"""Dose maps: equilibrium, spheres, integration over time, holes, uncertainty, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.decay import nuclide
from igdd.emissions import JOULE_PER_MEV, emissions
from igdd.errors import IgddError, InputError, UnitsError
from igdd.io import bids
from igdd.kernels.voxel_kernel import absorbed_fraction
from igdd.stages.dose_call import dose_map, uncertainties
from igdd.stages.dose_kernels import energy_around
from igdd.types import Grid

TISSUE = "1.04 g/mL"


def save(folder: Path, name: str, values: np.ndarray, side: float, unit: str | None = "Bq.s/mL"):
    grid = Grid(shape=values.shape[:3], affine=np.diag([side, side, side, 1.0]))
    path = folder / f"{name}.nii.gz"
    bids.write_nifti(path, values, grid, None if unit is None else {"Units": unit})
    return path


def label(folder: Path, inside: np.ndarray, side: float) -> Path:
    grid = Grid(shape=inside.shape, affine=np.diag([side, side, side, 1.0]))
    path = folder / "regions_dseg.nii.gz"
    bids.write_label_map(path, inside.astype(np.uint8), grid, {1: "tumour"})
    return path


def loaded(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).get_fdata())


def numbers(found, region: int = 0) -> dict[str, float]:
    return {row["name"]: row["value"] for row in found.facts["regions"][region]["numbers"]}


def distance(count: int) -> np.ndarray:
    place = np.indices((count, count, count)) - (count - 1) / 2
    return np.asarray(np.sqrt((place**2).sum(axis=0)))


@pytest.mark.parametrize("name", ["Y-90", "Lu-177"])
@pytest.mark.parametrize("method", ["kernel", "local"])
def test_an_even_medium_has_the_dose_of_equilibrium(tmp_path, name, method):
    """n E / rho, in the middle of an image that reaches further than any particle."""
    count = 15
    decays = save(tmp_path, "decays", np.full((count,) * 3, 2e9), 2.0)
    found = dose_map(decays, name, tmp_path / "out", density=TISSUE, method=method)
    expected = 2e9 * emissions(name).charged * JOULE_PER_MEV * 1e3 / 1.04
    # single precision of the image that is written
    assert loaded(found.dose)[7, 7, 7] == pytest.approx(expected, rel=2e-7)


@pytest.mark.parametrize(("name", "radius", "side"), [("Y-90", 8, 1.0), ("Lu-177", 10, 0.2)])
def test_a_sphere_absorbs_what_geometry_says(tmp_path, name, radius, side):
    """Mean dose = absorbed fraction x n E / rho, a radius of 8 or 10 voxels and of 1.5 to 4 ranges.

    The staircase of a sphere in voxels loses a little more over its rim than the sphere: 1.5 %.
    """
    inside = distance(2 * radius + 5) <= radius
    decays = save(tmp_path, "decays", np.where(inside, 1e9, 0.0), side)
    mask = label(tmp_path, inside, side)
    found = dose_map(decays, name, tmp_path / "out", density=TISSUE, method="kernel", mask=mask)
    volume = float(inside.sum()) * (side / 10) ** 3
    depth = (3 * volume / (4 * np.pi)) ** (1 / 3) * 1.04  # g/cm2 of a sphere of that volume
    fraction = absorbed_fraction(energy_around(name), depth)
    even = 1e9 * emissions(name).charged * JOULE_PER_MEV * 1e3 / 1.04
    assert numbers(found)["mean"] == pytest.approx(fraction * even, rel=1.5e-2)
    assert numbers(found)["max"] <= even * (1 + 1e-6)
    row = found.facts["regions"][0]["numbers"][0]
    assert row["other_method"] == pytest.approx(even, rel=1e-6)


def test_a_point_reproduces_the_kernel_and_keeps_its_energy(tmp_path):
    values = np.zeros((13, 13, 13))
    values[6, 6, 6] = 1e9
    found = dose_map(
        save(tmp_path, "decays", values, 2.0), "Y-90", tmp_path / "out",
        density=TISSUE, method="kernel",
    )  # fmt: skip
    dose = loaded(found.dose)
    voxel = 0.008  # mL
    energy = dose.sum() * voxel * 1.04 / 1000 / JOULE_PER_MEV / (1e9 * voxel)
    assert energy == pytest.approx(emissions("Y-90").charged, rel=1e-6)  # single precision
    assert found.facts["left_image_share"] == pytest.approx(0.0, abs=1e-9)
    assert np.unravel_index(dose.argmax(), dose.shape) == (6, 6, 6)


def test_what_leaves_the_image_is_told(tmp_path):
    values = np.zeros((9, 9, 9))
    values[0, 4, 4] = 1e9
    found = dose_map(
        save(tmp_path, "decays", values, 2.0), "Y-90", tmp_path / "out",
        density=TISSUE, method="kernel",
    )  # fmt: skip
    assert 0.2 < found.facts["left_image_share"] < 0.6
    assert "dose_left_image" in found.facts["flags"]


def test_an_image_blurred_beyond_the_range_is_not_blurred_again(tmp_path):
    inside = distance(15) <= 4
    decays = save(tmp_path, "decays", np.where(inside, 1e9, 0.0), 4.0)
    mask = label(tmp_path, inside, 4.0)
    found = dose_map(decays, "Lu-177", tmp_path / "a", density=TISSUE, fwhm="12 mm", mask=mask)
    assert found.facts["method"]["chosen"] == "local"
    assert "blur twice" in found.facts["method"]["reason"]
    local = numbers(found)["mean"]
    asked = dose_map(
        decays, "Lu-177", tmp_path / "b", density=TISSUE, fwhm="12 mm", method="kernel", mask=mask
    )
    assert "kernel_blurs_twice" in asked.facts["flags"]
    assert asked.facts["regions"][0]["numbers"][0]["other_method"] == pytest.approx(local)
    assert found.facts["regions"][0]["numbers"][0]["other_method"] == pytest.approx(
        numbers(asked)["mean"]
    )


def test_images_at_several_times_are_integrated_with_decay_applied_once(tmp_path):
    """Mono-exponential activity: the integral is A0 / rate, from raw and from corrected images."""
    rate = np.log(2) / (50 * 3600)
    hours = (4.0, 24.0, 96.0)
    start = np.where(distance(11) <= 3, 1e6, 1e3)
    physical = nuclide("Lu-177").rate
    doses = []
    for state in ("none", "administration"):
        images = []
        for hour in hours:
            back = np.exp(physical * hour * 3600) if state == "administration" else 1.0
            activity = start * np.exp(-rate * hour * 3600) * back
            images.append(save(tmp_path, f"{state}_{hour:g}", activity, 4.0, "Bq/mL"))
        found = dose_map(
            images, "Lu-177", tmp_path / f"out_{state}", density=TISSUE, method="local",
            times=tuple(f"{hour} h" for hour in hours), corrected_to=state,
            rule="mono-exponential",
        )  # fmt: skip
        doses.append(loaded(found.dose))
    expected = start / rate * emissions("Lu-177").charged * JOULE_PER_MEV * 1e3 / 1.04
    # images and dose are written in single precision
    assert_allclose(doses[0], expected, rtol=1e-5)
    assert_allclose(doses[0], doses[1], rtol=1e-5)


def test_a_tail_of_one_half_life_for_all_voxels_and_its_share(tmp_path):
    images = [save(tmp_path, f"at_{n}", np.full((3, 3, 3), 1e6), 4.0, "Bq/mL") for n in range(2)]
    inside = np.ones((3, 3, 3), dtype=bool)
    found = dose_map(
        images, "Lu-177", tmp_path / "out", density=TISSUE, method="local",
        mask=label(tmp_path, inside, 4.0), times=("10 h", "20 h"), corrected_to="none",
        tail="50 h",
    )  # fmt: skip
    after = 50 / np.log(2)
    decays = (5 + 10 + after) * 3600 * 1e6  # triangle, trapezoid, tail
    region = found.facts["regions"][0]
    assert region["decays_Bq_s"] == pytest.approx(decays * 27 * 0.064, rel=1e-6)
    assert region["tail_share"] == pytest.approx(after / (15 + after), rel=1e-6)
    assert "extrapolated_over_fifth" in region["flags"]


@pytest.mark.parametrize(
    "rule",
    [
        {"tail": "physical"},
        {"tail": "none", "start": "extrapolate"},
        {"tail": "last_two"},
        {"tail": "last_three"},
        {"tail": "40 h"},
        {"rule": "mono-exponential"},
    ],
)
def test_voxels_that_no_rule_can_integrate_are_told_and_the_rest_are_not_touched(tmp_path, rule):
    """Zero, below zero, rising, or without a value at one time; all others by the same numbers."""
    images = []
    for place, hour in enumerate((4, 24, 72)):
        activity = np.full((5, 5, 5), 1e6 * 0.5 ** (hour / 40))
        activity[0, 0, 0] = 0.0
        activity[0, 0, 1] = -1e5
        activity[0, 0, 2] = 1e5 * (1 + place)
        activity[0, 0, 3] = np.nan if place == 1 else 1e6
        images.append(save(tmp_path, f"at_{hour}", activity, 4.0, "Bq/mL"))
    found = dose_map(
        images, "Lu-177", tmp_path / "out", density=TISSUE, method="local",
        times=("4 h", "24 h", "72 h"), corrected_to="none", **rule,
    )  # fmt: skip
    dose = loaded(found.dose)
    assert np.isnan(dose[0, 0, 3])
    assert "nan_voxels" in found.facts["flags"]
    usual = dose[1:]
    assert np.isfinite(usual).all()
    assert usual.min() == usual.max() > 0


def test_noisy_voxels_may_fall_back_on_a_half_life_that_is_said(tmp_path):
    """A voxel that is not above zero, one that rises, and one that falls no faster than decay."""
    images = []
    for place, hour in enumerate((4, 24, 72)):
        activity = np.full((5, 5, 5), 1e6 * 0.5 ** (hour / 40))
        activity[0, 0, 0] = -1e5
        activity[0, 0, 1] = 1e5 * (1 + place)
        activity[0, 0, 2] = 1e8 * 0.5 ** (hour / 1000)
        images.append(save(tmp_path, f"at_{hour}", activity, 4.0, "Bq/mL"))
    found = dose_map(
        images, "Lu-177", tmp_path / "out", density=TISSUE, method="local",
        times=("4 h", "24 h", "72 h"), corrected_to="none", tail="last_three", fallback="50 h",
        mask=label(tmp_path, np.ones((5, 5, 5)), 4.0),
    )  # fmt: skip
    gray = emissions("Lu-177").charged * JOULE_PER_MEV * 1e3 / 1.04 * 3600
    dose = loaded(found.dose) / gray
    after = 50 / np.log(2)
    assert dose[0, 0, 0] == pytest.approx(-1e5 * (2 + 68 + after), rel=1e-6)
    assert dose[0, 0, 1] == pytest.approx(1e5 * (2 + 30 + 120 + 3 * after), rel=1e-6)
    assert 0 < found.facts["fallback_share"] < 0.1
    assert found.facts["held_share"] > 0.5
    assert "effective_rate_at_physical" in found.facts["flags"]
    assert "effective_rate_at_physical" in found.facts["regions"][0]["flags"]
    with pytest.raises(InputError, match="a fallback is for"):
        dose_map(
            images, "Lu-177", tmp_path / "b", density=TISSUE, method="local",
            times=("4 h", "24 h", "72 h"), corrected_to="none", tail="physical", fallback="50 h",
        )  # fmt: skip


def test_one_image_by_haenscheids_rule(tmp_path):
    image = save(tmp_path, "at_72", np.full((3, 3, 3), 1e6), 4.0, "Bq/mL")
    call = {"density": TISSUE, "method": "local", "corrected_to": "none", "rule": "haenscheid"}
    found = dose_map(image, "Lu-177", tmp_path / "out", times=("72 h",), **call)
    expected = 1e6 * 2 * 72 * 3600 / np.log(2) * 27 * 0.064
    assert found.facts["decays_Bq_s"] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found.facts["tail_share"])
    with pytest.raises(InputError, match="is for one"):
        dose_map([image, image], "Lu-177", tmp_path / "b", times=("24 h", "72 h"), **call)
    with pytest.raises(InputError, match="goes with the trapezoid"):
        dose_map(image, "Lu-177", tmp_path / "b", times=("72 h",), tail="none", **call)


def test_a_tail_slower_than_decay_is_refused(tmp_path):
    image = save(tmp_path, "at_72", np.full((3, 3, 3), 1e6), 4.0, "Bq/mL")
    with pytest.raises(InputError, match="at most at the physical one"):
        dose_map(
            image, "Lu-177", tmp_path / "out", density=TISSUE, method="local",
            times=("72 h",), corrected_to="none", tail="300 h",
        )  # fmt: skip


def test_order_of_the_images_does_not_matter(tmp_path):
    values = {hour: np.full((3, 3, 3), 1e6 / hour) for hour in (5, 20, 40)}
    images = {hour: save(tmp_path, f"at_{hour}", one, 4.0, "Bq/mL") for hour, one in values.items()}
    doses = [
        loaded(
            dose_map(
                [images[hour] for hour in order], "Lu-177", tmp_path / f"out_{order[0]}",
                density=TISSUE, method="local", times=tuple(f"{hour} h" for hour in order),
                corrected_to="none", tail="last_two",
            ).dose
        )
        for order in ((5, 20, 40), (40, 5, 20))
    ]  # fmt: skip
    assert_allclose(doses[0], doses[1], rtol=0)


def test_a_voxel_without_value_stays_without_and_is_told(tmp_path):
    values = np.full((9, 9, 9), 1e9)
    values[4, 4, 4] = np.nan
    values[0, 0, 0] = np.inf
    mask = label(tmp_path, np.ones(values.shape, dtype=bool), 2.0)
    found = dose_map(
        save(tmp_path, "decays", values, 2.0), "Y-90", tmp_path / "out", density=TISSUE,
        method="kernel", mask=mask,
    )  # fmt: skip
    dose = loaded(found.dose)
    assert np.isnan(dose[4, 4, 4])
    assert np.isnan(dose[0, 0, 0])
    assert np.isfinite(dose).sum() == dose.size - 2
    assert "nan_voxels" in found.facts["flags"]
    assert found.facts["voxels_without_value"] == 2
    assert found.facts["regions"][0]["voxels"] == dose.size - 2


def test_a_region_without_a_value_has_no_numbers(tmp_path):
    values = np.full((5, 5, 5), 1e9)
    inside = np.zeros(values.shape, dtype=bool)
    inside[1:3, 1:3, 1:3] = True
    values[inside] = np.nan
    found = dose_map(
        save(tmp_path, "decays", values, 4.0), "Lu-177", tmp_path / "out", density=TISSUE,
        method="local", mask=label(tmp_path, inside, 4.0),
    )  # fmt: skip
    region = found.facts["regions"][0]
    assert region["numbers"] == []
    assert region["voxels"] == 0
    assert {"empty_region", "nan_voxels"} <= set(region["flags"])
    assert len((tmp_path / "out" / "numbers.tsv").read_text("utf-8").splitlines()) == 1


def test_a_map_of_densities_gives_each_voxel_its_own_mass(tmp_path):
    values = np.full((7, 7, 7), 1e9)
    density = np.full(values.shape, 1.04)
    density[:, :, :3] = 0.26
    density[0, 0, 0] = 0.0
    path = save(tmp_path, "density", density, 4.0, "g/mL")
    found = dose_map(
        save(tmp_path, "decays", values, 4.0), "Lu-177", tmp_path / "out", density=TISSUE,
        method="local", density_map=path, mask=label(tmp_path, np.ones((7, 7, 7)), 4.0),
    )  # fmt: skip
    dose = loaded(found.dose)
    assert dose[3, 3, 1] == pytest.approx(4 * dose[3, 3, 5], rel=1e-6)
    assert np.isnan(dose[0, 0, 0])
    mass = found.facts["regions"][0]["mass_g"]
    assert mass == pytest.approx((146 * 0.26 + 196 * 1.04) * 0.064, rel=1e-6)


def test_negative_decays_stay_negative(tmp_path):
    values = np.full((3, 3, 3), -1e9)
    found = dose_map(
        save(tmp_path, "decays", values, 4.0), "Lu-177", tmp_path / "out", density=TISSUE,
        method="local",
    )  # fmt: skip
    assert (loaded(found.dose) < 0).all()
    assert "negative_voxels" in found.facts["flags"]


def test_shared_uncertainties_move_every_number(tmp_path):
    """Dose is in proportion to activity; BED is not: D + G D^2 / (alpha/beta), by its slope."""
    inside = np.ones((5, 5, 5), dtype=bool)
    found = dose_map(
        save(tmp_path, "decays", np.full((5, 5, 5), 5e11), 4.0), "Lu-177", tmp_path / "out",
        density=TISSUE, method="local", mask=label(tmp_path, inside, 4.0),
        alpha=0.3, alpha_beta="10 Gy", repair="1.5 h", effective="50 h", exponent=-8.0,
        volume_from=("5 Gy",), sd=("calibration=3 %", "time_integration=4 %"),
    )  # fmt: skip
    rows = {row["name"]: row for row in found.facts["regions"][0]["numbers"]}
    dose = rows["mean"]["value"]
    assert rows["mean"]["sd"] == pytest.approx(0.05 * dose, rel=1e-9)
    assert rows["mean"]["high"] == pytest.approx(dose * (1 + 1.959964 * 0.05), rel=1e-6)
    factor = 1.5 / 51.5
    assert rows["BED_mean"]["value"] == pytest.approx(dose * (1 + factor * dose / 10), rel=1e-6)
    slope = dose * (1 + 2 * factor * dose / 10)
    assert rows["BED_mean"]["sd"] == pytest.approx(0.05 * slope, rel=1e-6)
    assert rows["EUBED"]["value"] == pytest.approx(rows["BED_mean"]["value"], rel=1e-9)
    assert rows["gEUD"]["value"] == pytest.approx(dose, rel=1e-9)
    assert rows["V5Gy"]["value"] == 100.0


def test_without_an_uncertainty_there_is_no_interval(tmp_path):
    inside = np.ones((3, 3, 3), dtype=bool)
    found = dose_map(
        save(tmp_path, "decays", np.full((3, 3, 3), 1e9), 4.0), "Lu-177", tmp_path / "out",
        density=TISSUE, method="local", mask=label(tmp_path, inside, 4.0),
    )  # fmt: skip
    assert all(np.isnan(row["sd"]) for row in found.facts["regions"][0]["numbers"])
    assert found.facts["uncertainty"]["sources"] == {}


def test_files_hold_what_is_told_and_repeat_to_the_byte(tmp_path):
    inside = distance(9) <= 3
    decays = save(tmp_path, "decays", np.where(inside, 1e9, 1e7), 2.0)
    mask = label(tmp_path, inside, 2.0)
    made = [
        dose_map(decays, "Y-90", tmp_path / name, density=TISSUE, fwhm="2 mm", mask=mask)
        for name in ("one", "two")
    ]
    for name in ("dose.nii", "dose.json", "dvh.tsv", "numbers.tsv"):
        first, second = ((tmp_path / out / name).read_bytes() for out in ("one", "two"))
        assert first == second
    account = json.loads(made[0].account.read_text("utf-8"))
    assert account["Units"] == "Gy"
    assert account["method"]["chosen"] == "kernel"
    assert set(account["sources"]) >= {decays.name, mask.name}
    assert account["regions"][0]["numbers"][0]["sd"] is None
    curve = (tmp_path / "one" / "dvh.tsv").read_text("utf-8").splitlines()
    assert curve[0].split("\t")[:3] == ["region", "dose_Gy", "volume_share"]
    assert curve[1].split("\t")[:3] == ["tumour", "0.0", "1.0"]
    assert len(curve) == 201
    assert float(curve[-1].split("\t")[2]) == 0.0


def test_the_unit_may_be_per_voxel_and_in_any_multiple(tmp_path):
    values = np.full((5, 5, 5), 1e9)
    doses = [
        loaded(
            dose_map(
                save(tmp_path, f"as_{n}", values * factor, 4.0, unit), "Lu-177",
                tmp_path / f"out_{n}", density=TISSUE, method="local",
            ).dose
        )
        for n, (factor, unit) in enumerate(
            [(1.0, "Bq.s/mL"), (0.064, "Bq.s"), (1 / 3.6e9, "MBq.h/mL"), (1e-6, "MBq.s/cc")]
        )
    ]  # fmt: skip
    for other in doses[1:]:
        assert_allclose(other, doses[0], rtol=1e-6)


def test_a_table_is_used_as_it_stands(tmp_path, reference):
    path = reference("delivery/voxel_s_lanconelli/90Y3mmsoft.txt")
    values = np.zeros((11, 11, 11))
    values[5, 5, 5] = 1e9
    found = dose_map(
        save(tmp_path, "decays", values, 3.0), "Y-90", tmp_path / "out", density=TISSUE,
        method="kernel", kernel=path,
    )  # fmt: skip
    first = float(path.read_text("latin-1").splitlines()[2].split()[3]) * 1e-9
    assert loaded(found.dose)[5, 5, 5] == pytest.approx(1e9 * 0.027 * first, rel=1e-6)
    assert found.facts["kernel"]["origin"] == "table"
    assert path.name in json.loads(found.account.read_text("utf-8"))["sources"]
    with pytest.raises(InputError, match="resample the image"):
        dose_map(
            save(tmp_path, "other", values, 2.5), "Y-90", tmp_path / "b", density=TISSUE,
            method="kernel", kernel=path,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"density": "1.04 g/mL"}, "how sharp"),
        ({"density": "1.04"}, "no unit"),
        ({"density": "1040 g/mL", "fwhm": "3 mm"}, "density is"),
        ({"density": TISSUE, "fwhm": "3"}, "no unit"),
        ({"density": TISSUE, "method": "best"}, "expected one of"),
        ({"density": TISSUE, "method": "local", "times": ("4 h",)}, "expected a tail"),
        ({"density": TISSUE, "method": "local", "tail": "none"}, "goes with images of activity"),
        ({"density": TISSUE, "method": "local", "alpha_beta": "10 Gy"}, "all three or none"),
        ({"density": TISSUE, "method": "local", "alpha": 0.0}, "alpha is"),
        ({"density": TISSUE, "method": "local", "sd": ("noise=5 %",)}, "SOURCE=PERCENT"),
        ({"density": TISSUE, "method": "local", "sd": ("density=300 %",)}, "0 to 1"),
        ({"density": TISSUE, "method": "local", "volume_from": ("-5 Gy",)}, "0 Gy or more"),
        (
            {"density": TISSUE, "method": "local", "times": ("4 h",), "tail": "none",
             "corrected_to": "none"},
            "integrated already",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named(tmp_path, said, words):
    decays = save(tmp_path, "decays", np.full((3, 3, 3), 1e9), 4.0)
    with pytest.raises(IgddError, match=words):
        dose_map(decays, "Lu-177", tmp_path / "out", **said)


def test_units_are_never_guessed(tmp_path):
    values = np.full((3, 3, 3), 1e9)
    call = {"density": TISSUE, "method": "local"}
    silent = save(tmp_path, "silent", values, 4.0, None)
    with pytest.raises(UnitsError, match="nothing says its unit"):
        dose_map(silent, "Lu-177", tmp_path / "out", **call)
    assert dose_map(silent, "Lu-177", tmp_path / "out", unit="Bq.s/mL", **call).dose.exists()
    activity = save(tmp_path, "activity", values, 4.0, "Bq/mL")
    with pytest.raises(UnitsError, match="say at which times"):
        dose_map(activity, "Lu-177", tmp_path / "out", **call)
    with pytest.raises(UnitsError, match="by its sidecar and"):
        dose_map(activity, "Lu-177", tmp_path / "out", unit="kBq/mL", **call)
    with pytest.raises(UnitsError, match="expected such as"):
        dose_map(save(tmp_path, "suv", values, 4.0, "g/mL"), "Lu-177", tmp_path / "out", **call)


def test_an_unknown_state_of_decay_is_refused(tmp_path):
    activity = save(tmp_path, "activity", np.full((3, 3, 3), 1e6), 4.0, "Bq/mL")
    with pytest.raises(InputError, match="corrected for decay"):
        dose_map(
            activity, "Lu-177", tmp_path / "out", density=TISSUE, method="local",
            times=("4 h",), tail="physical",
        )  # fmt: skip


def test_images_must_lie_on_one_another(tmp_path):
    one = save(tmp_path, "one", np.full((3, 3, 3), 1e6), 4.0, "Bq/mL")
    call = {"density": TISSUE, "method": "local", "corrected_to": "none", "tail": "none"}
    for other in (
        save(tmp_path, "larger", np.full((3, 3, 4), 1e6), 4.0, "Bq/mL"),
        save(tmp_path, "finer", np.full((3, 3, 3), 1e6), 2.0, "Bq/mL"),
    ):
        with pytest.raises(InputError, match="register and resample"):
            dose_map([one, other], "Lu-177", tmp_path / "out", times=("4 h", "24 h"), **call)
    dynamic = save(tmp_path, "dynamic", np.full((3, 3, 3, 2), 1e6), 4.0, "Bq/mL")
    with pytest.raises(InputError, match="holds 2 volumes"):
        dose_map(dynamic, "Lu-177", tmp_path / "out", times=("4 h",), **call)
    with pytest.raises(InputError, match="times for 1 images"):
        dose_map(one, "Lu-177", tmp_path / "out", times=("4 h", "24 h"), **call)


def test_a_density_map_without_its_unit_is_refused(tmp_path):
    values = np.full((3, 3, 3), 1e9)
    call = {"density": TISSUE, "method": "local"}
    decays = save(tmp_path, "decays", values, 4.0)
    for unit in (None, "HU"):
        path = save(tmp_path, "ct", values, 4.0, unit)
        with pytest.raises(InputError, match="Hounsfield"):
            dose_map(decays, "Lu-177", tmp_path / "out", density_map=path, **call)
        (tmp_path / "ct.json").unlink(missing_ok=True)


def test_a_failed_map_leaves_no_file(tmp_path):
    decays = save(tmp_path, "decays", np.full((3, 3, 3), 3e38), 4.0, "TBq.s/mL")
    with pytest.raises(InputError, match="single precision"):
        dose_map(decays, "Lu-177", tmp_path / "out", density=TISSUE, method="local")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "missing"])
def test_damaged_images_raise_only_our_errors(tmp_path, damage):
    decays = save(tmp_path, "decays", np.full((9, 9, 9), 1e9), 4.0)
    whole = decays.read_bytes()
    content = {"cut": whole[: len(whole) // 2], "text": b"no image", "empty": b""}
    if damage == "missing":
        decays.unlink()
    else:
        decays.write_bytes(content[damage])
    with pytest.raises(InputError):
        dose_map(decays, "Lu-177", tmp_path / "out", density=TISSUE, method="local")


def test_a_sheared_image_is_refused(tmp_path):
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[0, 1] = 1.0
    path = tmp_path / "sheared.nii.gz"
    bids.write_nifti(
        path, np.full((3, 3, 3), 1e9), Grid(shape=(3, 3, 3), affine=affine), {"Units": "Bq.s/mL"}
    )
    with pytest.raises(InputError, match="right angles"):
        dose_map(path, "Lu-177", tmp_path / "out", density=TISSUE, method="local")


def test_uncertainties_are_told_once(tmp_path):
    with pytest.raises(InputError, match="once for a source"):
        uncertainties(["calibration=5 %", "calibration=6 %"])


@pytest.mark.parametrize("method", ["kernel", "local"])
def test_photons_add_the_same_to_either_method(tmp_path, method):
    inside = distance(11) <= 3
    decays = save(tmp_path, "decays", np.where(inside, 1e9, 0.0), 4.0)
    call = {"density": TISSUE, "method": method}
    without = dose_map(decays, "I-131", tmp_path / "a", **call)
    found = dose_map(decays, "I-131", tmp_path / "b", photons="10 cm", **call)
    assert "photons_left_out" in without.facts["flags"]
    assert "photons_left_out" not in found.facts["flags"]
    added = loaded(found.dose) - loaded(without.dose)
    assert (added > 0).all()
    # up to 8.5 mm of absorption length 30 cm: a few per cent of the photons' energy
    share = added[5, 5, 5] / loaded(without.dose)[5, 5, 5]
    assert 0.03 < share < 0.2
    assert found.facts["photons"]["photons"]


def test_photons_of_a_table_are_not_counted_twice(tmp_path, reference):
    path = reference("delivery/voxel_s_lanconelli/131I3mmsoft.txt")
    decays = save(tmp_path, "decays", np.full((3, 3, 3), 1e9), 3.0)
    with pytest.raises(InputError, match="not both"):
        dose_map(
            decays, "I-131", tmp_path / "out", density=TISSUE, method="kernel", kernel=path,
            photons="10 cm",
        )  # fmt: skip


@pytest.mark.parametrize("photons", ["1 mm", "3 m", "-10 cm"])
def test_a_reach_of_photons_that_cannot_be_is_refused(tmp_path, photons):
    decays = save(tmp_path, "decays", np.full((3, 3, 3), 1e9), 3.0)
    with pytest.raises(InputError, match="from one voxel"):
        dose_map(decays, "I-131", tmp_path / "out", density=TISSUE, method="local", photons=photons)
