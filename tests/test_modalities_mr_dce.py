"""Dynamic contrast MR: the signal equation there and back, noise, what has no concentration, and a
study with a T1 map."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from igdd.cli import app
from igdd.errors import InputError, StudyError, UnitsError
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.io.bids import write_label_map, write_nifti
from igdd.modalities._spoiled_echo import Echo
from igdd.modalities.mr_dce import Doubt, Reading, calibrate, concentrations, noise_variance
from igdd.stages import session
from igdd.stages.plan import plan
from igdd.study import check_study
from igdd.types import Grid, Series

GRID = Grid(shape=(4, 3, 2), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
TR, FLIP, R1 = 0.005, 15.0, 3.7e6  # s, degrees, mL/(mol.s)
COUNT = 12
SIDECAR = {
    "RepetitionTime": TR,
    "FlipAngle": FLIP,
    "FrameTimesStart": [5.0 * frame for frame in range(COUNT)],
    "FrameDuration": [5.0] * COUNT,
}
READING = Reading(echo=Echo(repetition=TR, flip=FLIP), baseline=(0, 4), relaxivity=R1)
STATED = {"t1": 1.4, "relaxivity": R1, "baseline": "4"}


def signal_of(amount, t1, m0=1000.0, tr=TR, flip=FLIP):
    """Steady-state signal of a spoiled gradient echo, as textbooks print it; amount in mol/mL."""
    angle = np.deg2rad(flip)
    e1 = np.exp(-tr * (1 / t1 + R1 * amount))
    return m0 * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)


def course(peak):
    """Concentrations (t, ...) in mol/mL: nothing for four frames, then up to the peaks."""
    return np.concatenate([np.zeros(4), np.linspace(0.2, 1.0, COUNT - 4)])[:, None] * peak


def truth(seed=1):
    """T1 (i, j, k) in s, concentrations (i, j, k, t) in mol/mL, and their signals."""
    draw = np.random.default_rng(seed)
    t1 = draw.uniform(0.4, 2.5, GRID.shape)
    amount = course(draw.uniform(0.05e-6, 5e-6, GRID.size)).T.reshape(*GRID.shape, COUNT)
    scale = draw.uniform(100, 5000, GRID.shape)[..., None]
    return t1, amount, signal_of(amount, t1[..., None], scale)


def calibrated(values=None, sidecar=None, scanner=None, **declared):
    series = Series(
        modality="MR",
        values=np.asarray(truth()[2] if values is None else values, dtype=np.float32),
        grid=GRID,
        sidecar=SIDECAR if sidecar is None else sidecar,
        source="dce.nii.gz",
    )
    said = Declared(**(STATED | declared))
    return calibrate(series, Subject(id="01"), Agent(), scanner or Scanner(), said)


def test_the_signal_equation_comes_back_with_a_t1_map():
    t1, amount, signal = truth()
    image = calibrated(signal, t1=t1)
    assert (image.unit, image.quantity, image.analyte) == (
        "mol/mL",
        "amount_concentration",
        "contrast",
    )
    # Stored in single precision: 6e-8 of the signal, which at the least slope is 1e-12 mol/mL.
    assert_allclose(image.values, amount, rtol=2e-5, atol=1e-11)
    assert image.frames.start.tolist() == SIDECAR["FrameTimesStart"]
    assert image.variance is None
    assert image.flags == ()
    assert "TR 5 ms, flip angle 15 degrees" in image.source
    assert "r1 3.7 L/(mmol.s)" in image.source


def test_one_t1_serves_all_voxels():
    amount = course(np.full(GRID.size, 2e-6)).T.reshape(*GRID.shape, COUNT)
    image = calibrated(signal_of(amount, 1.4))
    assert_allclose(image.values, amount, rtol=2e-5, atol=1e-11)
    assert "T1 before contrast 1400 ms" in image.source


def test_a_wrong_t1_gives_another_concentration():
    """The test above could otherwise pass on a T1 that is not used."""
    amount = course(np.full(GRID.size, 2e-6)).T.reshape(*GRID.shape, COUNT)
    image = calibrated(signal_of(amount, 1.4), t1=1.2)
    assert (image.values[..., -1] > 1.1 * amount[..., -1]).all()


def test_negative_concentrations_stay():
    draw = np.random.default_rng(3)
    signal = 100 + draw.standard_normal((*GRID.shape, COUNT))
    assert (calibrated(signal).values < 0).mean() > 0.3


def test_what_has_no_concentration_is_marked_and_the_rest_stays():
    amount = course(np.full(5, 2e-6))
    signal = signal_of(amount, 1.4)
    signal[6, 1] = np.nan
    signal[:, 2] = 0.0
    signal[:, 3] = -signal[:, 3]
    signal[7, 4] = -1.0
    t1 = np.full(5, 1.4)
    found, doubts = concentrations(signal, t1, READING)
    assert_allclose(found[:, 0], amount[:, 0], rtol=1e-9, atol=1e-18)
    assert np.isnan(found[6, 1])
    assert np.isfinite(np.delete(found[:, 1], 6)).all()
    assert np.isnan(found[:, 2:4]).all()
    assert np.isnan(found[7, 4])
    assert np.isfinite(np.delete(found[:, 4], 7)).all()
    assert doubts.tolist() == [
        0,
        Doubt.SIGNAL_MISSING,
        Doubt.BASELINE_NOT_POSITIVE,
        Doubt.BASELINE_NOT_POSITIVE,
        Doubt.SIGNAL_BEYOND_EQUATION,
    ]


@pytest.mark.parametrize("t1", [0.0, -1.4, np.nan, np.inf, 1400.0])
def test_a_voxel_without_a_t1_of_tissue_is_nan_with_its_flag(t1):
    signal = signal_of(course(np.full(2, 2e-6)), 1.4)
    found, doubts = concentrations(signal, np.array([1.4, t1]), READING)
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()
    assert doubts.tolist() == [0, Doubt.T1_NOT_USABLE]


def test_flags_of_voxels_are_those_of_the_image():
    t1, _, signal = truth()
    t1[0, 0, 0], signal[1, 0, 0] = 0.0, 0.0
    signal[2, 0, 0, 5] = np.nan
    assert calibrated(signal, t1=t1).flags == (
        "baseline_not_positive",
        "signal_missing",
        "t1_not_usable",
    )


def test_the_variance_is_that_of_many_repetitions():
    """Noise of the signal 1 % of the baseline, in the baseline as in every frame."""
    draw = np.random.default_rng(5)
    quiet = signal_of(course(np.full(40_000, 1e-6)), 1.4)
    noisy = quiet + 0.01 * quiet[0] * draw.standard_normal(quiet.shape)
    found, doubts = concentrations(noisy, 1.4, READING)
    assert not doubts.any()
    stated = noise_variance(noisy, found, 1.4, READING).mean(axis=1)
    # Linear in the noise: 2 % from its curvature, 40,000 repetitions another 1 %.
    assert_allclose(stated, found.var(axis=1, ddof=1), rtol=0.03)


def test_the_variance_stands_where_the_noise_correlation_is_declared():
    assert calibrated(scanner=Scanner(noise_correlation=3.0)).variance is not None
    assert calibrated(scanner=Scanner(noise_correlation=3.0)).noise_correlation == 3.0
    assert calibrated(scanner=Scanner(noise_correlation=3.0), baseline="1").variance is None


@pytest.mark.parametrize(
    ("change", "declared", "error", "message"),
    [
        ({"RepetitionTime": None}, {}, InputError, "RepetitionTime is not in its sidecar"),
        ({"FlipAngle": None}, {}, InputError, "FlipAngle is not in its sidecar"),
        ({"FlipAngle": 0.26}, {}, InputError, "0.26 degrees.*radians"),
        ({"FlipAngle": 15.0}, {"flip_angle": 859.0}, InputError, "859 degrees"),
        ({"FlipAngle": [5.0, 15.0]}, {}, InputError, "changes from 5 to 15"),
        ({"RepetitionTime": 5.0}, {}, InputError, "5 s; expected.*is it in ms, or the time bet"),
        ({"RepetitionTime": 5e-6}, {}, InputError, "5e-06 s"),
        ({"RepetitionTime": 0.5, "FrameDuration": [0.5] * COUNT}, {}, InputError, "has many"),
        ({}, {"t1": None}, InputError, "t1, relaxivity or baseline"),
        ({}, {"relaxivity": None}, InputError, "t1, relaxivity or baseline"),
        ({}, {"baseline": None}, InputError, "t1, relaxivity or baseline"),
        ({}, {"t1": 1400.0}, InputError, "T1 is 1400 s.*unit"),
        ({}, {"t1": 0.0}, InputError, "T1 is 0 s"),
        ({}, {"t1": float("nan")}, InputError, "T1 is nan s"),
        ({}, {"t1": np.ones((2, 2, 2))}, InputError, "shape"),
        ({}, {"relaxivity": 0.0}, InputError, "relaxivity is 0"),
        ({}, {"baseline": "0"}, InputError, "means 0 of 12 frames"),
        ({}, {"baseline": "12"}, InputError, "means 12 of 12 frames"),
        ({}, {"baseline": "40"}, InputError, "means 40 of 12 frames"),
        ({}, {"baseline": "5-2"}, InputError, "means 0 of 12 frames"),
        ({}, {"baseline": "2 s"}, InputError, "means 0 of 12 frames"),
        ({}, {"baseline": "1 h"}, InputError, "means 12 of 12 frames"),
        ({}, {"baseline": "some"}, UnitsError, "number of frames"),
        ({}, {"baseline": "-3"}, UnitsError, "number of frames"),
        ({}, {"baseline": "3 mm"}, UnitsError, "number of frames"),
        ({"FrameDuration": None}, {}, InputError, "FrameDuration"),
        ({"FrameTimesStart": [0.0]}, {}, InputError, "FrameTimesStart"),
    ],
)
def test_what_is_not_said_or_not_possible_is_refused(change, declared, error, message):
    with pytest.raises(error, match=message):
        calibrated(sidecar=SIDECAR | change, **declared)


def test_what_the_study_declares_replaces_the_files_word_with_a_flag():
    t1, _, signal = truth()
    image = calibrated(signal, SIDECAR | {"RepetitionTime": 5.0}, t1=t1, repetition_time=TR)
    assert image.flags == ("acquisition_override",)
    assert_allclose(image.values, calibrated(signal, t1=t1).values)


def test_a_map_of_the_flip_angles_share_is_reckoned_with_in_values_and_noise():
    t1, amount, _ = truth()
    share = np.random.default_rng(4).uniform(0.7, 1.2, GRID.shape)
    signal = signal_of(amount, t1[..., None], flip=FLIP * share[..., None])
    noisy = signal * (1 + 1e-3 * np.random.default_rng(5).standard_normal(signal.shape))
    scanner = Scanner(noise_correlation=4.0)
    image = calibrated(noisy, scanner=scanner, t1=t1, b1=share)
    assert "the angle's share by a B1 map" in image.source
    # 0.1 % of the signal is a few per cent of the smallest concentrations.
    assert_allclose(image.values, amount, atol=0.02e-6, rtol=0.05)
    voxel = (1, 2, 0)
    alone = calibrated(noisy, SIDECAR | {"FlipAngle": FLIP * share[voxel]}, scanner=scanner, t1=t1)
    assert_allclose(image.values[voxel], alone.values[voxel], rtol=1e-5)
    assert_allclose(image.variance[voxel], alone.variance[voxel], rtol=1e-5)


STUDY = """
schema = 1
title = "Signals"
[[subject]]
id = "01"
[[scan]]
subject = "01"
session = "base"
modality = "mr_dce"
path = "dce.nii.gz"
regions = "dseg.nii.gz"
t1_map = "T1map.nii"
declared = { relaxivity = "3.7 L/mmol/s", baseline = 4 }
[[measure]]
metric = "semi_quantitative"
arrival = "20 s"
"""


def written(folder, t1, signal):
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[:2], labels[2:] = 1, 2
    write_nifti(folder / "dce.nii.gz", signal, GRID, {"Modality": "MR", **SIDECAR})
    write_nifti(folder / "T1map.nii", 1000 * t1, GRID, {"Units": "ms"})
    write_label_map(folder / "dseg.nii.gz", labels, GRID, {1: "tumour", 2: "muscle"})
    return labels


def test_a_study_goes_from_signals_and_a_t1_map_to_the_peak(tmp_path):
    t1, amount, signal = truth()
    labels = written(tmp_path, t1, signal)
    (one,) = plan(check_study(tomllib.loads(STUDY), tmp_path / "study.toml"))
    assert tmp_path / "T1map.nii" in one.paths
    table = session.measured(one).measurements
    peaks = table[table["metric"] == "peak"].set_index("region")["value"]
    for number, region in enumerate(("tumour", "muscle"), start=1):
        # Single precision of image and map.
        expected = amount[labels == number].mean(axis=0).max()
        assert float(peaks[region]) == pytest.approx(expected, rel=1e-4)


OWN = (
    STUDY
    + """
[[region]]
name = "muscle"
kind = "blood"
t1 = "2 s"
"""
)


def peaks_of(text, folder):
    (one,) = plan(check_study(tomllib.loads(text), folder / "study.toml"))
    made = session.measured(one)
    table = made.measurements
    return table[table["metric"] == "peak"].set_index("region")["value"], made.methods


def test_a_region_has_a_t1_of_its_own_in_place_of_the_maps(tmp_path):
    t1, amount, _ = truth()
    true = t1.copy()
    true[2:] = 2.0  # the muscle's, where the map shows another
    labels = written(tmp_path, t1, signal_of(amount, true[..., None]))
    peaks, methods = peaks_of(OWN, tmp_path)
    for number, region in enumerate(("tumour", "muscle"), start=1):
        expected = amount[labels == number].mean(axis=0).max()
        assert float(peaks[region]) == pytest.approx(expected, rel=1e-4)  # single precision
    assert "T1 before contrast of muscle 2000 ms." in methods[0]
    without, _ = peaks_of(STUDY, tmp_path)
    assert float(without["muscle"]) != pytest.approx(float(peaks["muscle"]), rel=0.01)


def test_a_study_takes_a_map_of_the_flip_angles_share(tmp_path):
    t1, amount, _ = truth()
    share = np.linspace(0.7, 1.2, GRID.size).reshape(GRID.shape)
    labels = written(tmp_path, t1, signal_of(amount, t1[..., None], flip=FLIP * share[..., None]))
    write_nifti(tmp_path / "B1.nii", 100 * share, GRID, {"Units": "%"})
    text = STUDY.replace("t1_map =", 'b1_map = "B1.nii"\nt1_map =')
    (one,) = plan(check_study(tomllib.loads(text), tmp_path / "study.toml"))
    assert tmp_path / "B1.nii" in one.paths
    peaks, _ = peaks_of(text, tmp_path)
    expected = amount[labels == 1].mean(axis=0).max()
    assert float(peaks["tumour"]) == pytest.approx(expected, rel=1e-4)  # single precision
    write_nifti(tmp_path / "B1.nii", 100 * share, GRID, {"Units": "deg"})
    with pytest.raises(UnitsError, match=r"B1\.nii: its unit is 'deg'"):
        peaks_of(text, tmp_path)


@pytest.mark.parametrize("name", ["T1map", "B1"])
def test_a_check_of_a_study_names_a_map_without_its_unit(tmp_path, name):
    t1, _, signal = truth()
    written(tmp_path, t1, signal)
    write_nifti(tmp_path / "B1.nii", np.ones(GRID.shape), GRID, {"Units": "1"})
    text = STUDY.replace("t1_map =", 'b1_map = "B1.nii"\nt1_map =')
    (tmp_path / "study.toml").write_text(text)
    words = ["check", str(tmp_path / "study.toml")]
    assert CliRunner().invoke(app, words).exit_code == 0
    (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(UnitsError, match=rf"{name}\.nii: its unit is None; expected Units in"):
        CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.parametrize(("axes", "back"), [((0, 1, 2), [1]), ((2, 0, 1), [0, 2])])
def test_a_map_whose_axes_a_converter_turned_is_the_same_map(tmp_path, axes, back):
    t1, _, signal = truth()
    t1 = t1 * np.linspace(0.8, 1.2, t1.size).reshape(t1.shape)
    written(tmp_path, t1, signal)
    plain, _ = peaks_of(STUDY, tmp_path)
    shape = np.array(GRID.shape)[list(axes)]
    place = np.zeros((4, 4))  # from the turned map's indices to those of the scan
    place[3, 3] = 1.0
    for axis, from_axis in enumerate(axes):
        place[from_axis, axis] = -1.0 if axis in back else 1.0
        place[from_axis, 3] = shape[axis] - 1 if axis in back else 0.0
    grid = Grid(shape=tuple(shape.tolist()), affine=GRID.affine @ place)
    (tmp_path / "T1map.nii").unlink()
    (tmp_path / "T1map.json").unlink()
    values = np.flip(1000 * t1.transpose(axes), back)
    write_nifti(tmp_path / "T1map.nii", values, grid, {"Units": "ms"})
    found, _ = peaks_of(STUDY, tmp_path)
    assert found.to_list() == plain.to_list()


def test_a_voxel_of_two_regions_has_no_two_t1(tmp_path):
    t1, _, signal = truth()
    written(tmp_path, t1, signal)
    drawn = """
[[region]]
name = "all"
t1 = "1 s"
from = { box = [[-9, -9, -9], [20, 20, 20]] }
"""
    with pytest.raises(StudyError, match="'muscle' and another have voxels in common"):
        peaks_of(OWN + drawn, tmp_path)
    peaks_of(OWN + drawn.replace("1 s", "2 s"), tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (OWN.replace("2 s", "2000 s"), InputError, "region 'muscle': T1 is 2000 s"),
        (STUDY.replace("T1map.nii", "none.nii"), StudyError, "none.nii"),
        (STUDY.replace("4 }", '4, t1 = "1 s" }'), StudyError, "t1_map and declared.t1"),
        (STUDY.replace("3.7 L/mmol/s", "3.7 1/s"), StudyError, "relaxivity"),
        (STUDY.replace("baseline = 4", "baseline = 40"), InputError, "40 of 12 frames"),
        (STUDY.replace("T1map.nii", "small.nii"), StudyError, "t1_map is not the series'"),
        (STUDY.replace("T1map.nii", "dce.nii.gz"), StudyError, "one volume in scan.t1_map"),
        (STUDY.replace("T1map.nii", "bare.nii"), UnitsError, "bare.nii: its unit is None"),
    ],
)
def test_a_study_that_cannot_be_read_says_why(tmp_path, text, error, message):
    t1, _, signal = truth()
    written(tmp_path, t1, signal)
    small = Grid(shape=(2, 2, 2), affine=GRID.affine)
    write_nifti(tmp_path / "small.nii", np.ones(small.shape), small, {"Units": "s"})
    write_nifti(tmp_path / "bare.nii", t1, GRID)
    with pytest.raises(error, match=message):
        session.measured(plan(check_study(tomllib.loads(text), tmp_path / "study.toml"))[0])
