from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igdd.errors import InputError
from igdd.io.dicom_pet_writer import PetFacts, decimal_text, stored, write_pet
from igdd.types import Frames, Grid, Zero

HALF_LIFE = 6586.2
FACTS = PetFacts(
    subject="01", study_id="1h", start=datetime(2026, 3, 2, 23, 50), dose=3.7e8,
    given=datetime(2026, 3, 2, 22, 50, 30), half_life=HALF_LIFE, weight=71300.0, height=1720.0,
    sex="F", radionuclide=("77004003", "SCT", "^18^Fluorine"), manufacturer="TEST", model="model",
    radiopharmaceutical=("35321007", "SCT", "Fluorodeoxyglucose F^18^"), description="series",
)  # fmt: skip
GRID = Grid(
    shape=(5, 4, 6),
    affine=np.array([[-4.0, 0, 0, 20], [0, -4, 0, 30], [0, 0, 3, -100], [0, 0, 0, 1]]),
)
# Type 1 attributes of the modules that the PET Image IOD makes mandatory (PS3.3, A.21.3).
MANDATORY = """
SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality FrameOfReferenceUID
SeriesDate SeriesTime Units CountsSource SeriesType NumberOfSlices CorrectedImage DecayCorrection
CollimatorType ImageType SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated
BitsStored HighBit PixelRepresentation PixelSpacing ImageOrientationPatient ImagePositionPatient
RescaleIntercept RescaleSlope FrameReferenceTime ImageIndex AcquisitionDate AcquisitionTime
ActualFrameDuration PixelData DecayFactor RadiopharmaceuticalInformationSequence
"""
# Type 2: present, perhaps empty.
PRESENT = """
PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName
StudyID AccessionNumber SeriesNumber Manufacturer PositionReferenceIndicator SliceThickness
PatientOrientationCodeSequence PatientGantryRelationshipCodeSequence EnergyWindowRangeSequence
InstanceNumber
"""


def frames(count: int = 1) -> Frames:
    start = np.arange(count) * 300.0
    return Frames(start=start, duration=np.full(count, 300.0), zero=Zero(kind="scan_start"))


def values(count: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    scale = 10.0 ** np.arange(6)[None, None, :, None]
    return (rng.normal(1, 0.6, (*GRID.shape, count)) * scale).astype(np.float32)


def write(folder: Path, count: int = 1, facts: PetFacts = FACTS) -> list[pydicom.FileDataset]:
    return [
        pydicom.dcmread(p) for p in write_pet(folder, values(count), GRID, frames(count), facts)
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_samples_times_their_slices_slope_are_the_values(tmp_path, count):
    expected = values(count)
    for index, dataset in enumerate(write(tmp_path, count)):
        frame, k = divmod(index, 6)
        slope = float(dataset.RescaleSlope)
        found = dataset.pixel_array.T * slope
        assert dataset.RescaleIntercept == 0
        # Half a slope is the rounding to 16 bits; 1e-9 the arithmetic.
        np.testing.assert_allclose(found, expected[:, :, k, frame], atol=slope * (0.5 + 1e-9))


def test_every_slice_has_its_own_slope_and_negatives_stay(tmp_path):
    datasets = write(tmp_path)
    assert len({float(dataset.RescaleSlope) for dataset in datasets}) == 6
    assert min(dataset.pixel_array.min() for dataset in datasets) < 0


def test_the_image_iod_is_complete_and_names_nobody(tmp_path):
    for dataset in write(tmp_path):
        missing = [name for name in MANDATORY.split() if dataset.get(name) in (None, "", [])]
        assert missing == []
        assert [name for name in PRESENT.split() if name not in dataset] == []
        assert str(dataset.PatientName) == dataset.PatientBirthDate == ""


def test_positions_and_orientation_give_back_the_grid(tmp_path):
    for k, dataset in enumerate(write(tmp_path)):
        row, column = np.reshape(dataset.ImageOrientationPatient, (2, 3)).astype(float)
        rows, columns = (float(x) for x in dataset.PixelSpacing)
        position = np.array(dataset.ImagePositionPatient, float)
        corner = position + row * columns * 4 + column * rows * 3
        found = corner * [-1, -1, 1]  # LPS to RAS
        np.testing.assert_allclose(found, GRID.world(np.array([4.0, 3.0, k])), atol=1e-9)


def test_the_reference_time_of_a_frame_is_when_activity_equals_its_mean(tmp_path):
    rate = math.log(2) / HALF_LIFE
    for dataset in write(tmp_path, 3)[::6]:
        reference = float(dataset.FrameReferenceTime) / 1000
        begun = (int(dataset.AcquisitionTime[2:4]) + 10) % 60 * 60  # 23:50 is the start
        within = np.linspace(0, 300, 30001)
        mean = np.trapezoid(np.exp(-rate * (begun + within)), within) / 300
        # Trapezium rule with 0.01 s steps: (rate * step)^2 / 12, far below 1e-9.
        assert math.exp(-rate * reference) == pytest.approx(mean, rel=1e-9)
        assert float(dataset.DecayFactor) == pytest.approx(1 / mean, rel=1e-9)


def test_frames_that_pass_midnight_carry_the_next_date(tmp_path):
    late = write(tmp_path, 3)[-1]
    assert (late.AcquisitionDate, late.AcquisitionTime) == ("20260303", "000000")
    assert (late.SeriesDate, late.SeriesTime) == ("20260302", "235000")
    assert list(late.SeriesType) == ["DYNAMIC", "IMAGE"]


def test_the_header_gives_the_suv_of_its_dose_weight_and_times(tmp_path):
    from igdd.modalities.pet import suv_factor

    passed = (FACTS.start - FACTS.given).total_seconds()
    expected = 71300.0 / (3.7e8 * 2 ** (-passed / HALF_LIFE))
    assert suv_factor(write(tmp_path)).value == pytest.approx(expected, rel=1e-9)


def test_the_same_content_gives_the_same_bytes_and_another_gives_other_identifiers(tmp_path):
    for name, facts in (("a", FACTS), ("b", FACTS), ("c", replace(FACTS, weight=71400.0))):
        write(tmp_path / name, 1, facts)
    one, same, other = (
        [path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "abc"
    )
    assert one == same
    identifiers = [
        {pydicom.dcmread(path).SOPInstanceUID for path in (tmp_path / name).iterdir()}
        for name in "ac"
    ]
    assert len(identifiers[0]) == 6
    assert not identifiers[0] & identifiers[1]
    assert one != other


@settings(max_examples=60, deadline=None)
@given(
    peak=st.floats(1e-30, 1e30),
    shares=st.lists(st.floats(-1, 1), min_size=4, max_size=4),
)
def test_any_slice_is_stored_within_half_its_slope(peak, shares):
    slice_ = np.array([[peak, peak * shares[0]], [peak * shares[1], -peak]])
    samples, slope = stored(slice_)
    assert len(slope) <= 16
    assert np.abs(samples.astype(int)).max() == 32767
    assert np.abs(samples * float(slope) - slice_).max() <= float(slope) * (0.5 + 1e-9)


def test_an_empty_slice_is_zeros():
    samples, slope = stored(np.zeros((2, 2)))
    assert slope == "1"
    assert not samples.any()


def test_decimal_strings_fit_and_keep_nine_digits():
    for number in (1 / 3, -1 / 3e-7, 1.23456789012345e-12, -123456789.123456, 0.0):
        text = decimal_text(number)
        assert len(text) <= 16
        assert float(text) == pytest.approx(number, rel=1e-9)


@pytest.mark.parametrize(
    ("affine", "expected"),
    [
        (np.diag([4.0, 4, -3, 1]), "descend"),
        (np.array([[4.0, 1, 0, 0], [0, 4, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]), "sheared"),
    ],
)
def test_grids_that_slices_cannot_hold_are_refused(tmp_path, affine, expected):
    with pytest.raises(InputError, match=expected):
        write_pet(tmp_path, values(), Grid(shape=(5, 4, 6), affine=affine), frames(), FACTS)


def test_values_that_are_not_finite_are_refused(tmp_path):
    broken = values()
    broken[1, 1, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        write_pet(tmp_path, broken, GRID, frames(), FACTS)


def test_values_of_another_shape_and_frames_of_another_clock_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected"):
        write_pet(tmp_path, values(2), GRID, frames(1), FACTS)
    since = Frames(start=np.zeros(1), duration=np.ones(1), zero=Zero(kind="administration"))
    with pytest.raises(InputError, match="scan's start"):
        write_pet(tmp_path, values(), GRID, since, FACTS)
