"""T1 of every voxel from several flip angles: truth, noise, forms of files, refusals."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose

import igdd
from igdd.errors import InputError, UnitsError
from igdd.io.bids import write_nifti
from igdd.kernels.concentration import variable_flip, variable_flip_spread
from igdd.types import Grid
from test_modalities_mr_dce import GRID, TR, signal_of

ANGLES = (3.0, 6.0, 12.0, 25.0)
SHAPE = GRID.shape


def volumes(folder, angles=ANGLES, together=False, **facts):
    """Volumes at several angles of voxels of known T1 in s, as one file or each its own."""
    draw = np.random.default_rng(7)
    t1, m0 = draw.uniform(0.3, 3.0, SHAPE), draw.uniform(500, 5000, SHAPE)
    signals = [signal_of(0.0, t1, m0, flip=angle) for angle in angles]
    facts = {"Modality": "MR", "RepetitionTime": TR} | facts
    if together:
        write_nifti(
            folder / "vfa.nii.gz", np.stack(signals, axis=-1), GRID,
            {"FlipAngle": list(angles)} | facts,
        )  # fmt: skip
        return t1, [folder / "vfa.nii.gz"]
    names = []
    for number, (angle, signal) in enumerate(zip(angles, signals, strict=True), start=1):
        names.append(folder / f"sub-01_flip-{number}_VFA.nii")
        write_nifti(names[-1], signal, GRID, {"FlipAngle": angle} | facts)
    return t1, names


def values_of(path):
    return np.asarray(nibabel.load(path).dataobj)


@pytest.mark.parametrize("together", [False, True])
def test_t1_comes_back_from_several_angles(tmp_path, together):
    t1, files = volumes(tmp_path, together=together)
    found = igdd.t1(files, out=tmp_path / "out")
    assert_allclose(values_of(found.files[0]), t1, rtol=1e-5)  # single precision of the signals
    assert (values_of(found.files[1]) < 1e-4 * t1).all()
    assert (found.angles, found.repetition, found.fitted) == (ANGLES, TR, GRID.size)
    facts = json.loads(found.files[0].with_suffix(".json").read_text())
    assert (facts["Units"], facts["FlipAngle"]) == ("s", list(ANGLES))


def test_the_map_is_one_that_concentrations_take(tmp_path):
    t1, files = volumes(tmp_path)
    relaxed = igdd.t1(files, out=tmp_path / "t1").files[0]
    amount = np.concatenate([np.zeros(2), np.full(3, 1e-6)])
    signal = signal_of(amount, t1[..., None])
    times = {"FrameTimesStart": [0.0, 5.0, 10.0, 15.0, 20.0], "FrameDuration": [5.0] * 5}
    echo = {"Modality": "MR", "RepetitionTime": TR, "FlipAngle": 15.0}
    write_nifti(tmp_path / "dce.nii", signal, GRID, echo | times)
    made = igdd.concentration(
        tmp_path / "dce.nii", out=tmp_path / "c", t1=relaxed, r1="3.7 L/mmol/s", baseline=2
    )
    expected = np.broadcast_to(1e6 * amount, signal.shape)
    assert_allclose(values_of(made.files[0]), expected, rtol=1e-4, atol=1e-5)


def test_angles_and_repetition_time_of_the_caller(tmp_path):
    t1, files = volumes(tmp_path, FlipAngle="n/a", RepetitionTime="n/a")
    found = igdd.t1(files, out=tmp_path / "out", tr="5 ms", flip="3 deg, 6 deg, 12 deg, 25 deg")
    assert_allclose(values_of(found.files[0]), t1, rtol=1e-5)


def test_a_map_of_the_flip_angle_is_used(tmp_path):
    t1 = np.random.default_rng(3).uniform(0.3, 3.0, SHAPE)
    share = np.random.default_rng(4).uniform(0.7, 1.3, SHAPE)
    signal = np.stack([signal_of(0.0, t1, flip=angle * share) for angle in ANGLES], axis=-1)
    facts = {"Modality": "MR", "RepetitionTime": TR, "FlipAngle": list(ANGLES)}
    write_nifti(tmp_path / "vfa.nii", signal, GRID, facts)
    share[0, 0, 0] = np.nan
    write_nifti(tmp_path / "B1.nii", 100 * share, GRID)
    found = igdd.t1(
        [tmp_path / "vfa.nii"], out=tmp_path / "out", b1=tmp_path / "B1.nii", b1_unit="%"
    )
    values = values_of(found.files[0])
    assert np.isnan(values[0, 0, 0])
    assert_allclose(values[1:], t1[1:], rtol=1e-5)


def test_two_angles_have_no_standard_deviation(tmp_path):
    t1, files = volumes(tmp_path, angles=(3.0, 15.0))
    found = igdd.t1(files, out=tmp_path / "out")
    assert [path.name for path in found.files] == ["T1map.nii"]
    assert_allclose(values_of(found.files[0]), t1, rtol=1e-5)


def test_the_standard_deviation_is_that_of_many_repetitions():
    """Noise of 0.5 % of the largest signal at T1 1.2 s."""
    draw = np.random.default_rng(11)
    quiet = np.array([signal_of(0.0, 1.2, flip=angle) for angle in ANGLES])
    noisy = quiet + 0.005 * quiet.max() * draw.standard_normal((20_000, quiet.size))
    flip = np.deg2rad(ANGLES)
    rate, magnetization = variable_flip(noisy, flip, TR)
    share = variable_flip_spread(rate, magnetization, noisy, flip, TR)
    # Root mean square: the residuals' variance has two degrees of freedom. 20,000 of them leave
    # 1 %, and the fit's curvature at this noise another 3 %.
    stated = np.sqrt(np.mean((share / rate) ** 2))
    assert stated == pytest.approx((1 / rate).std(ddof=1), rel=0.05)


def test_a_voxel_of_noise_or_without_signal_has_no_t1(tmp_path):
    t1, files = volumes(tmp_path, together=True)
    signal = values_of(files[0]).copy()
    signal[0, 0, 0], signal[1, 0, 0], signal[2, 0, 0, 1] = 0.0, [1.0, 5.0, 1.0, 9.0], np.nan
    facts = {"Modality": "MR", "RepetitionTime": TR, "FlipAngle": list(ANGLES)}
    write_nifti(tmp_path / "odd.nii", signal, GRID, facts)
    found = igdd.t1([tmp_path / "odd.nii"], out=tmp_path / "out")
    values = values_of(found.files[0])
    odd = np.zeros(SHAPE, dtype=bool)
    odd[:3, 0, 0] = True
    assert np.isnan(values[odd]).all()
    assert_allclose(values[~odd], t1[~odd], rtol=1e-5)
    assert found.fitted == GRID.size - 3


@pytest.mark.parametrize(
    ("facts", "asked", "error", "message"),
    [
        ({"RepetitionTime": "n/a"}, {}, InputError, "RepetitionTime is not in its sidecar"),
        ({"RepetitionTime": 5.0}, {}, InputError, "time between two excitations"),
        ({"FlipAngle": "n/a"}, {}, InputError, "FlipAngle is not in its sidecar"),
        ({"FlipAngle": 15.0}, {}, InputError, "4 volumes at 1 flip angles"),
        ({}, {"flip": "2 deg, 5 deg"}, InputError, "flip states 2 angles, but there are 4"),
        ({}, {"flip": "2, 5, 10, 15"}, UnitsError, "flip: '2' has no unit"),
        ({}, {"flip": "0.05 deg, 5 deg, 10 deg, 15 deg"}, InputError, "radians"),
        ({}, {"tr": "5 s"}, InputError, "time between two excitations"),
    ],
)
def test_what_cannot_tell_t1_says_why_and_leaves_nothing(tmp_path, facts, asked, error, message):
    _, files = volumes(tmp_path, **facts)
    with pytest.raises(error, match=message):
        igdd.t1(files, out=tmp_path / "out", **asked)
    assert not any((tmp_path / "out").iterdir())


def test_volumes_of_other_grids_times_or_of_nothing_are_refused(tmp_path):
    _, files = volumes(tmp_path)
    coarse = Grid(shape=(2, 2, 2), affine=GRID.affine)
    echo = {"Modality": "MR", "RepetitionTime": TR, "FlipAngle": 40.0}
    write_nifti(tmp_path / "coarse.nii", np.ones(coarse.shape), coarse, echo)
    write_nifti(tmp_path / "slow.nii", np.ones(SHAPE), GRID, echo | {"RepetitionTime": 0.02})
    for name, message in (("coarse.nii", "not the first"), ("slow.nii", "0.005 to 0.02 s")):
        with pytest.raises(InputError, match=message):
            igdd.t1([*files, tmp_path / name], out=tmp_path / "out")
    for name, angle in (("a.nii", 5.0), ("b.nii", 15.0)):
        write_nifti(tmp_path / name, np.zeros(SHAPE), GRID, echo | {"FlipAngle": angle})
    with pytest.raises(InputError, match="no voxel has a T1"):
        igdd.t1([tmp_path / "a.nii", tmp_path / "b.nii"], out=tmp_path / "out")
    with pytest.raises(InputError, match="0 volumes"):
        igdd.t1([], out=tmp_path / "out")
