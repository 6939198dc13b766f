"""Signals of dynamic MR made into concentrations without a study: images, tables, T1 maps."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose

import igdd
from igdd.errors import InputError, UnitsError
from igdd.io import tac_table
from igdd.io.bids import write_json, write_nifti, write_table
from igdd.stages import map_files
from igdd.types import Grid
from test_modalities_mr_dce import COUNT, FLIP, GRID, SIDECAR, TR, course, signal_of, truth

ASKED = {"t1": "T1map.nii", "r1": "3.7 L/mmol/s", "baseline": 4}
SHOWN = 1e6  # mmol/L of mol/mL


@pytest.fixture
def scan(tmp_path):
    """A dynamic signal image and its T1 map in a folder; the truth in mmol/L."""
    t1, amount, signal = truth()
    write_nifti(tmp_path / "dce.nii.gz", signal, GRID, {"Modality": "MR", **SIDECAR})
    write_nifti(tmp_path / "T1map.nii", 1000 * t1, GRID, {"Units": "ms"})
    return tmp_path, SHOWN * amount


def made(folder, image="dce.nii.gz", **asked):
    asked = ASKED | asked
    if isinstance(asked["t1"], str) and asked["t1"].endswith(".nii"):
        asked["t1"] = folder / asked["t1"]
    if "b1" in asked:
        asked["b1"] = folder / asked["b1"]
    out = asked.pop("out", folder / "out")
    return igdd.concentration(folder / image, out=out, **asked)


def values_of(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_an_image_comes_out_in_mmol_per_litre_with_its_frames(scan):
    folder, amount = scan
    found = made(folder)
    image, flags, scatter = found.files
    assert_allclose(values_of(image), amount, rtol=2e-5, atol=1e-5)  # single precision
    assert not values_of(flags).any()
    assert_allclose(values_of(scatter), 0, atol=1e-5)
    assert (found.places, found.converted, found.counts, found.flags) == (GRID.size,) * 2 + ({}, ())
    facts = json.loads(image.with_suffix(".json").read_text())
    assert facts["Units"] == "mmol/L"
    assert facts["FrameTimesStart"] == SIDECAR["FrameTimesStart"]
    assert facts["BaselineFrames"] == [1, 4]
    assert set(facts["Sources"]) == {"dce.nii.gz", "T1map.nii"}


@pytest.mark.parametrize(("interval", "flags"), [("5 s", ()), ("4 s", ("acquisition_override",))])
def test_an_interval_that_the_file_does_not_say_is_flagged(scan, interval, flags):
    folder, _ = scan
    found = made(folder, interval=interval)
    assert found.flags == flags
    facts = json.loads(found.files[0].with_suffix(".json").read_text())
    assert facts["FrameTimesStart"][2] == 2 * float(interval.split()[0])


def test_what_comes_out_is_what_maps_take(scan):
    folder, _ = scan
    image = made(folder).files[0]
    seen = map_files.describe(image, None, None)
    assert seen.unit == "mmol/L"
    assert seen.frames.start.tolist() == SIDECAR["FrameTimesStart"]
    assert nibabel.load(image).header.get_zooms()[:3] == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("factor", "facts", "asked"),
    [
        (1.0, {"Units": "s"}, {}),
        (1000.0, {}, {"t1_unit": "ms"}),
        (None, {"Units": "1/s"}, {}),
        (1.0, {"Units": "ms"}, {"t1_unit": "s"}),
    ],
)
def test_a_map_is_of_t1_or_of_its_rate_in_any_unit(scan, factor, facts, asked):
    folder, amount = scan
    t1 = truth()[0]
    write_nifti(folder / "other.nii", 1 / t1 if factor is None else factor * t1, GRID, facts)
    found = made(folder, t1="other.nii", **asked)
    assert_allclose(values_of(found.files[0]), amount, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("unit", ["1", "%"])
def test_a_map_of_the_flip_angle_is_used(scan, unit):
    folder, amount = scan
    t1 = truth()[0]
    share = np.random.default_rng(2).uniform(0.7, 1.3, GRID.shape)
    signal = signal_of(amount / SHOWN, t1[..., None], flip=FLIP * share[..., None])
    write_nifti(folder / "uneven.nii", signal, GRID, {"Modality": "MR", **SIDECAR})
    share[0, 0, 0] = 0.0
    factor = 100 if unit == "%" else 1
    write_nifti(folder / "B1.nii", factor * share, GRID, {"Units": unit})
    found = made(folder, "uneven.nii", b1=folder / "B1.nii")
    values = values_of(found.files[0])
    assert np.isnan(values[0, 0, 0]).all()
    assert_allclose(values[1:], amount[1:], rtol=5e-5, atol=2e-5)
    assert found.counts == {"b1_not_usable": 1}
    assert values_of(found.files[1])[0, 0, 0] == 16


def test_one_odd_voxel_stays_one_nan(scan):
    folder, amount = scan
    t1, _, signal = truth()
    signal[1, 1, 1, 7], signal[2, 0, 0] = np.nan, 0.0
    t1[0, 0, 0] = 0.0
    write_nifti(folder / "odd.nii", signal, GRID, {"Modality": "MR", **SIDECAR})
    write_nifti(folder / "T1odd.nii", t1, GRID, {"Units": "s"})
    found = made(folder, "odd.nii", t1="T1odd.nii")
    values, flags = (values_of(path) for path in found.files[:2])
    wrong = np.zeros(values.shape, dtype=bool)
    wrong[1, 1, 1, 7], wrong[2, 0, 0], wrong[0, 0, 0] = True, True, True
    assert np.isnan(values[wrong]).all()
    assert_allclose(values[~wrong], amount[~wrong], rtol=2e-5, atol=1e-5)
    assert (flags[1, 1, 1], flags[2, 0, 0], flags[0, 0, 0]) == (1, 2, 4)
    assert np.count_nonzero(flags) == 3
    assert found.counts == {
        "signal_missing": 1,
        "baseline_not_positive": 1,
        "t1_not_usable": 1,
    }
    assert found.converted == GRID.size - 3


def test_the_same_call_gives_the_same_bytes(scan):
    folder, _ = scan
    for out in ("a", "b"):
        made(folder, out=folder / out)
    for path in (folder / "a").iterdir():
        assert path.read_bytes() == (folder / "b" / path.name).read_bytes()


def test_memory_does_not_grow_with_the_image(tmp_path, monkeypatch):
    from igdd.stages import concentration_image

    monkeypatch.setattr(concentration_image, "PIECE", 1 << 14)
    peaks = []
    for size in (20, 160):
        grid = Grid(shape=(32, 32, size), affine=GRID.affine)
        signal = np.broadcast_to(
            signal_of(course(np.array([2e-6])), 1.4)[:, 0], (*grid.shape, COUNT)
        )
        write_nifti(tmp_path / f"{size}.nii", signal, grid, {"Modality": "MR", **SIDECAR})
        tracemalloc.start()
        made(tmp_path, f"{size}.nii", t1="1400 ms", out=tmp_path / f"out{size}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The larger image alone is 8 MB; what is not of the piece is the header and the JSON.
    assert peaks[1] < peaks[0] + 2**20


@pytest.mark.parametrize(
    ("change", "asked", "error", "message"),
    [
        ({"RepetitionTime": "n/a"}, {}, InputError, "RepetitionTime is not in its sidecar"),
        ({}, {"tr": "5"}, UnitsError, "tr: '5' has no unit"),
        ({}, {"tr": "5 s"}, InputError, "time between two excitations"),
        ({}, {"flip": "15"}, UnitsError, "flip: '15' has no unit"),
        ({}, {"flip": "15 rad"}, InputError, "859.437 degrees"),
        ({}, {"flip": "0.26 deg"}, InputError, "radians"),
        ({"FrameDuration": "n/a"}, {}, InputError, "FrameDuration"),
        ({}, {"interval": "5"}, UnitsError, "interval: '5' has no unit"),
        ({}, {"baseline": 0}, InputError, "means 0 of 12"),
        ({}, {"baseline": 12}, InputError, "means 12 of 12"),
        ({}, {"baseline": 100}, InputError, "means 100 of 12"),
        ({}, {"t1": "1400"}, UnitsError, "t1: '1400' has no unit"),
        ({}, {"t1": "0 ms"}, InputError, "T1 is 0 s"),
        ({}, {"t1": "1400 s"}, InputError, "T1 is 1400 s"),
        ({}, {"t1": {"artery": "1 s"}}, InputError, "by region"),
        ({}, {"t1": "none.nii"}, InputError, "none.nii"),
        ({}, {"t1": "coarse.nii"}, InputError, "not the image's"),
        ({}, {"t1": "bare.nii"}, UnitsError, "its unit is 'None'"),
        ({}, {"t1": "zero.nii"}, InputError, "no voxel has a conc.*t1_not_usable: 24"),
        ({}, {"r1": "3.7"}, UnitsError, "3.7 L/mmol/s"),
        ({}, {"r1": "3.7 1/s"}, UnitsError, "3.7 L/mmol/s"),
        ({}, {"r1": "-3.7 L/mmol/s"}, InputError, "relaxivity is -3.7e"),
        ({}, {"r1": {"artery": "3.7 L/mmol/s"}}, InputError, "by region"),
        ({}, {"b1": "coarse.nii", "b1_unit": "1"}, InputError, "not the image's"),
        ({}, {"b1": "bare.nii"}, UnitsError, "its unit is None; expected Units"),
        ({}, {"b1": "coarse.nii"}, UnitsError, "its unit is 's'; expected Units"),
        ({"Units": "mmol/L"}, {}, InputError, "in mmol/L; expected signals"),
        ({"Units": "1/s"}, {}, InputError, "in 1/s; expected signals"),
    ],
)
def test_what_cannot_be_converted_says_why_and_leaves_nothing(scan, change, asked, error, message):
    folder, _ = scan
    write_nifti(folder / "odd.nii", truth()[2], GRID, {"Modality": "MR", **SIDECAR, **change})
    coarse = Grid(shape=(2, 2, 2), affine=GRID.affine)
    write_nifti(folder / "coarse.nii", np.ones(coarse.shape), coarse, {"Units": "s"})
    write_nifti(folder / "bare.nii", np.ones(GRID.shape), GRID)
    write_nifti(folder / "zero.nii", np.zeros(GRID.shape), GRID, {"Units": "s"})
    with pytest.raises(error, match=message):
        made(folder, "odd.nii", **asked)
    assert not any((folder / "out").iterdir())


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_an_image_of_zeros_or_of_negatives_is_refused(scan, sign):
    folder, _ = scan
    write_nifti(folder / "odd.nii", sign * truth()[2], GRID, {"Modality": "MR", **SIDECAR})
    with pytest.raises(InputError, match=r"no voxel has a .*baseline_not_positive: 24"):
        made(folder, "odd.nii")


def test_nothing_is_overwritten(scan):
    folder, _ = scan
    made(folder)
    with pytest.raises(InputError, match="already there"):
        made(folder)


def test_a_file_cut_short_is_refused(scan):
    folder, _ = scan
    whole = gzip.decompress((folder / "dce.nii.gz").read_bytes())
    (folder / "cut.nii").write_bytes(whole[:-100])
    write_json(folder / "cut.json", {"Modality": "MR", **SIDECAR})
    with pytest.raises(InputError, match=r"cut\.nii"):
        made(folder, "cut.nii")
    assert not any((folder / "out").iterdir())


# --- tables -------------------------------------------------------------------------------------

BLOOD, TISSUE = 1.6, 1.4


def table(folder, columns=None, facts=None, sampled=False):
    """Signals of an artery and a tumour, whose T1 differ; their truth in mmol/L."""
    amount = course(np.array([5e-6, 1e-6]))
    signal = {
        "artery": signal_of(amount[:, 0], BLOOD),
        "tumour": signal_of(amount[:, 1], TISSUE, m0=200.0),
    }
    start = np.array(SIDECAR["FrameTimesStart"])
    times = {"time": start + 2.5} if sampled else {"frame_start": start, "frame_end": start + 5}
    every = times | signal | (columns or {})
    rows = [dict(zip(every, row, strict=True)) for row in zip(*every.values(), strict=True)]
    write_table(folder / "signal.tsv", tuple(every), rows)
    seconds = {"time": {"Units": "s"}} if sampled else {}
    write_json(folder / "signal.json", seconds if facts is None else seconds | facts)
    return SHOWN * amount.T


BY_REGION = {
    "t1": {"": "1400 ms", "artery": "1.6 s"},
    "r1": "3.7 L/mmol/s",
    "baseline": "20 s",
    "tr": "5 ms",
    "flip": "15 deg",
}


def converted(folder, **asked):
    return igdd.concentration(curves=folder / "signal.tsv", out=folder / "out", **BY_REGION | asked)


@pytest.mark.parametrize("sampled", [False, True])
def test_curves_come_out_with_their_times_as_fits_take_them(tmp_path, sampled):
    amount = table(tmp_path, sampled=sampled)
    before = tac_table.read(tmp_path / "signal.tsv", unit="1")
    found = converted(tmp_path)
    curves = tac_table.read(found.files[0])
    assert (curves.names, curves.unit, curves.stated) == (("artery", "tumour"), "mol/mL", "mmol/L")
    assert curves.frames.sampled is sampled
    assert_allclose(curves.frames.start, before.frames.start)
    assert_allclose(SHOWN * curves.values, amount, rtol=1e-9, atol=1e-12)
    facts = json.loads(found.files[1].read_text())
    assert facts["artery"]["T1BeforeContrast"] == 1.6
    assert facts["artery"]["BaselineStandardDeviation"] == pytest.approx(0, abs=1e-12)
    assert (found.places, found.converted) == (2, 2)


def test_the_relaxivity_may_differ_by_region(tmp_path):
    amount = table(tmp_path)
    found = converted(tmp_path, r1={"": "3.7 L/mmol/s", "artery": "7.4 L/mmol/s"})
    curves = tac_table.read(found.files[0])
    assert_allclose(SHOWN * curves.values, amount / [[2], [1]], rtol=1e-9, atol=1e-12)


def test_a_repetition_time_of_the_json_will_do(tmp_path):
    amount = table(tmp_path, facts={"RepetitionTime": TR, "FlipAngle": FLIP, "Units": "a.u."})
    found = converted(tmp_path, tr=None, flip=None)
    curves = tac_table.read(found.files[0])
    assert_allclose(SHOWN * curves.values, amount, rtol=1e-9, atol=1e-12)


def test_one_odd_curve_is_nan_with_its_flag(tmp_path):
    amount = table(tmp_path, {"air": np.zeros(COUNT)})
    found = converted(tmp_path)
    curves = tac_table.read(found.files[0])
    assert np.isnan(curves.values[2]).all()
    assert_allclose(SHOWN * curves.values[:2], amount, rtol=1e-9, atol=1e-12)
    assert found.counts == {"baseline_not_positive": 1}
    assert json.loads(found.files[1].read_text())["air"]["Flags"] == ["baseline_not_positive"]


@pytest.mark.parametrize(
    ("asked", "facts", "error", "message"),
    [
        ({"t1": {"artery": "1600 ms"}}, {}, InputError, "t1 of region 'tumour' is not stated"),
        ({"t1": {"": "1 s", "vein": "1 s"}}, {}, InputError, "names region 'vein'"),
        ({"t1": "T1map.nii"}, {}, UnitsError, "t1: 'T1map.nii'"),
        ({"r1": {"artery": "3.7 L/mmol/s"}}, {}, InputError, "r1 of region 'tumour'"),
        ({"tr": None}, {}, InputError, "RepetitionTime is not in its sidecar"),
        ({"tr": "5 s"}, {}, InputError, "time between two excitations"),
        ({"tr": "500 s"}, {}, InputError, "time between two excitations"),
        ({"flip": "0.26 deg"}, {}, InputError, "radians"),
        ({"baseline": "0"}, {}, InputError, "means 0 of 12"),
        ({"baseline": "13"}, {}, InputError, "means 13 of 12"),
        ({"interval": "5 s"}, {}, InputError, "its own times"),
        ({}, {"Units": "mmol/L"}, InputError, "in mmol/L; expected signals"),
        ({}, {"Units": "kBq/mL"}, InputError, "in kBq/mL; expected signals"),
    ],
)
def test_a_table_that_cannot_be_converted_says_why(tmp_path, asked, facts, error, message):
    table(tmp_path, facts=facts)
    with pytest.raises(error, match=message):
        converted(tmp_path, **asked)
    assert not any((tmp_path / "out").iterdir())


def test_an_image_or_a_table_and_not_both(tmp_path):
    for given in ({}, {"image": "a.nii", "curves": "b.tsv"}):
        with pytest.raises(InputError, match="one of them"):
            igdd.concentration(**given, out=tmp_path, **BY_REGION)
