"""PET: SUV factors against the public reference objects, and calibration against analytic truth."""

from __future__ import annotations

import json
import math
import zipfile
from datetime import datetime, timedelta

import numpy as np
import pytest
from pydicom import Dataset

from igdd.errors import InputError
from igdd.facts import Agent, Declared, Given, Scanner, Subject
from igdd.flags import FLAGS
from igdd.io.dicom_series import read
from igdd.modalities import ct, mr
from igdd.modalities.pet import MODALITIES, calibrate, dose_of, suv_factor
from igdd.types import Grid, Series
from igdd.uncertainty import Estimate
from pet_objects import DOSE_ITEMS, F18, pet_header

RATE = math.log(2) / F18
PLAIN = 70_000 / 350e6  # weight over dose of the sound header, g/Bq
SOUND_FACTOR = PLAIN * math.exp(RATE * 3600)  # given one hour before

# IBSI SUV reference objects: expected SUVbw in the mask, tolerance 0.005 (0.025 where the object's
# own integers are coarser).
OBJECTS = (
    "0_0", "1_0", "2_0", "2_1", "2_3", "2_4", "2_5", "3_1", "3_2", "3_3", "3_4", "4_0", "4_1",
)  # fmt: skip


def header_of(entries: dict[str, object]) -> Dataset:
    """A pydicom header of one JSON header of the calculate-suv set."""
    header, dose = Dataset(), Dataset()
    for keyword, value in entries.items():
        if keyword == "PhilipsPETPrivateGroup":
            names = {"SUVScaleFactor": 0x70531000, "ActivityConcentrationScaleFactor": 0x70531009}
            for name, stated in dict(value).items():
                header.add_new(names[name], "UN", stated.encode())
        else:
            setattr(dose if keyword in DOSE_ITEMS else header, keyword, value)
    header.RadiopharmaceuticalInformationSequence = [dose]
    return header


@pytest.mark.reference
@pytest.mark.parametrize(
    "name",
    [
        "PHILIPS_CNTS_AND_BQML_SUV", "PHILIPS_CNTS_AND_SUV", "SIEMENS",
        "BQML_AC_DT_lessThan_S_DT_SIEMENS", "CPS_AND_BQML_AC_DT_-_S_DT",
    ],
)  # fmt: skip
def test_real_scanner_headers_give_the_published_factor(reference, name):
    expected = json.loads(reference("pet/calculate_suv/expected.json").read_text())
    entries = json.loads(reference(f"pet/calculate_suv/{name}-instances.json").read_text())
    found = suv_factor(header_of(entry) for entry in entries)
    # Relative tolerance 1e-6 of the issue; the CNTS values are the private factor itself.
    assert found.value == pytest.approx(expected["suvbw_factor_first_instance"][name], rel=1e-6)
    assert found.per_slice.shape == (len(entries),)
    assert set(found.flags) <= set(FLAGS)


@pytest.fixture(scope="module")
def object_of(reference, tmp_path_factory):
    """Series and mask (i, j, k) of an IBSI SUV reference object."""
    import nibabel

    def load(name: str) -> tuple[Series, np.ndarray]:
        folder = tmp_path_factory.mktemp(f"dro_{name}")
        with zipfile.ZipFile(reference(f"pet/ibsi_suv_dro/DRO_{name}.zip")) as archive:
            archive.extractall(folder)
        (series,) = read(folder)
        mask = nibabel.load(next(folder.rglob("*.nii.gz")))
        # Same lattice, other order of axes: carry every mask voxel over by its world coordinates.
        inside = np.argwhere(np.asarray(mask.dataobj) > 0)
        world = inside @ mask.affine[:3, :3].T + mask.affine[:3, 3]
        places = np.rint(series.grid.indices(world)).astype(int)
        weights = np.zeros(series.grid.shape, bool)
        weights[tuple(places.T)] = True
        assert weights.sum() == len(inside)
        return series, weights

    return load


@pytest.mark.reference
@pytest.mark.parametrize("name", OBJECTS)
def test_ibsi_objects_give_suv_of_a_fifth_one_and_four(object_of, name):
    series, mask = object_of(name)
    uptake = series.values[..., 0] * suv_factor(series.headers).per_slice
    found = [uptake[mask].min(), np.median(uptake[mask]), uptake[mask].max()]
    tolerance = 0.025 if name == "2_3" else 0.005  # the issue's; 2_3 is quantised
    assert found == pytest.approx([0.2, 1.0, 4.0], abs=tolerance)


@pytest.mark.reference
@pytest.mark.parametrize("name", OBJECTS)
def test_calibration_gives_the_same_suv_at_administration(object_of, name):
    series, mask = object_of(name)
    image = calibrate(series, Subject(id="x"), Agent(), Scanner(), Declared(branching_applied=True))
    dose, _ = dose_of(series.headers)
    uptake = image.values[..., 0] * 70_000 / dose
    assert image.decay.corrected_to == 0.0
    assert image.frames.zero.clock == datetime(2025, 1, 1, 10)
    tolerance = 0.025 if name == "2_3" else 0.005
    assert np.median(uptake[mask]) == pytest.approx(1.0, abs=tolerance)
    assert uptake[mask].max() == pytest.approx(4.0, abs=tolerance)


# The rules, one by one


def test_start_decays_the_dose_to_the_series_time():
    found = suv_factor([pet_header()])
    assert found.value == pytest.approx(SOUND_FACTOR, rel=1e-12)
    assert "(0008,0031)" in found.rule
    assert "earliest_acquisition" in found.alternatives


def test_admin_does_not_decay_the_dose():
    found = suv_factor([pet_header(DecayCorrection="ADMIN")])
    assert found.value == pytest.approx(PLAIN, rel=1e-12)


def test_none_corrects_each_frame_by_its_mean():
    correction = [c for c in pet_header().CorrectedImage if c != "DECY"]
    headers = [
        pet_header(DecayCorrection="NONE", CorrectedImage=correction, AcquisitionTime=time)
        for time in ("120000", "121000")
    ]
    within = RATE * 600 / (1 - math.exp(-RATE * 600))
    expected = [PLAIN * within * math.exp(RATE * passed) for passed in (3600, 4200)]
    np.testing.assert_allclose(suv_factor(headers).per_slice, expected, rtol=1e-12)


def test_ge_scan_datetime_stands_in_for_a_late_series_time():
    header = pet_header(SeriesTime="150000", AcquisitionTime="121500")
    header.add_new(0x0009100D, "UN", b"20260501120000.00 ")
    found = suv_factor([header])
    assert found.value == pytest.approx(SOUND_FACTOR, rel=1e-12)
    assert "(0009,100D)" in found.rule
    assert found.alternatives["series_time"] == pytest.approx(PLAIN * math.exp(RATE * 4 * 3600))
    assert "decay_spread" in found.flags


def test_a_private_element_of_another_vendor_is_not_taken():
    header = pet_header(SeriesTime="150000", AcquisitionTime="120000")
    header.add_new(0x00090010, "LO", "SOMEBODY ELSE")
    header.add_new(0x0009100D, "DT", "20260501100000")
    assert "ge_scan_datetime" not in suv_factor([header]).alternatives
    assert "(0009,100D)" not in suv_factor([header]).rule


def test_a_creator_in_another_block_is_followed():
    header = pet_header(SeriesTime="150000", AcquisitionTime="121500")
    header.add_new(0x00090010, "LO", "GEMS_IDEN_01")
    header.add_new(0x00090011, "LO", "GEMS_PETD_01")
    header.add_new(0x0009110D, "DT", "20260501120000")
    assert suv_factor([header]).value == pytest.approx(SOUND_FACTOR, rel=1e-12)


def test_frame_reference_time_leads_back_to_the_start():
    average = math.log(RATE * 600 / (1 - math.exp(-RATE * 600))) / RATE
    headers = [
        pet_header(
            SeriesTime="150000",
            AcquisitionTime=time,
            FrameReferenceTime=f"{1000 * (offset + average):.6f}",
        )
        for time, offset in (("120500", 300), ("121500", 900))
    ]
    found = suv_factor(headers)
    np.testing.assert_allclose(found.per_slice, SOUND_FACTOR, rtol=1e-9)  # ms in the header
    assert "FrameReferenceTime (0054,1300)" in found.rule


def test_a_frame_reference_time_that_is_the_frames_start_is_flagged():
    headers = [
        pet_header(SeriesTime="150000", AcquisitionTime=time, FrameReferenceTime=str(ms))
        for time, ms in (("120000", 0), ("121000", 600000))
    ]
    found = suv_factor(headers)
    np.testing.assert_allclose(found.per_slice, SOUND_FACTOR, rtol=1e-12)
    assert "frame_reference_is_start" in found.flags


def test_the_earliest_acquisition_is_the_last_resort():
    headers = [
        pet_header(SeriesTime="150000", AcquisitionTime=time) for time in ("121000", "120000")
    ]
    found = suv_factor(headers)
    np.testing.assert_allclose(found.per_slice, SOUND_FACTOR, rtol=1e-12)
    assert "acquisition_reference" in found.flags


def test_the_decay_factor_of_the_header_is_a_candidate():
    stated = math.exp(RATE * 300) * RATE * 600 / (1 - math.exp(-RATE * 600))
    header = pet_header(AcquisitionTime="120500", DecayFactor=f"{stated:.10f}"[:16])
    other = suv_factor([header]).alternatives["decay_factor"]
    assert other == pytest.approx(SOUND_FACTOR, rel=1e-8)  # 10 decimals in the header


def test_siemens_decay_correction_datetime_is_a_candidate():
    header = pet_header()
    header.add_new(0x00710010, "LO", "SIEMENS MED PT")
    header.add_new(0x00711022, "DT", "20260501130000")
    other = suv_factor([header]).alternatives["siemens_decay_correction"]
    assert other == pytest.approx(PLAIN * math.exp(RATE * 7200), rel=1e-12)


def test_a_time_of_day_after_the_scan_was_the_day_before():
    header = pet_header(
        SeriesTime="003000", AcquisitionTime="003000",
        RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="233000",
    )  # fmt: skip
    found = suv_factor([header])
    assert found.value == pytest.approx(SOUND_FACTOR, rel=1e-12)
    assert "administered_yesterday" in found.flags


def test_an_administration_dated_on_the_scans_day_but_after_it_was_the_day_before():
    """Some consoles date the administration by the scan, which had passed midnight."""
    midnight = {
        "SeriesTime": "003000", "AcquisitionTime": "003000",
        "RadiopharmaceuticalStartDateTime": "20260501233000",
    }  # fmt: skip
    found = suv_factor([pet_header(**midnight)])
    assert found.value == pytest.approx(SOUND_FACTOR, rel=1e-12)
    assert "administered_yesterday" in found.flags
    with pytest.raises(InputError, match="the clocks contradict"):  # Zr-89: any day is possible
        suv_factor([pet_header(**midnight, RadionuclideHalfLife="282240")])


def test_a_series_time_of_the_day_before_the_administration_is_passed_over():
    """The dates of series and acquisition differ by a day: the frame leads back to the start."""
    header = pet_header(
        SeriesDate="20260430", SeriesTime="120000", AcquisitionTime="120000",
        FrameReferenceTime=f"{1000 * math.log(RATE * 600 / -math.expm1(-RATE * 600)) / RATE:.6f}",
    )  # fmt: skip
    found = suv_factor([header])
    assert found.value == pytest.approx(SOUND_FACTOR, rel=1e-9)  # decimals of the header
    assert "decay_spread" in found.flags


def test_a_decay_reference_long_before_the_administration_is_refused():
    header = pet_header(SeriesTime="130000", FrameReferenceTime="90000000")
    with pytest.raises(InputError, match=r"23\.92 h before the administration; .* contradict"):
        suv_factor([header])


def test_an_injection_during_a_dynamic_scan_is_not_moved_to_yesterday():
    header = pet_header(
        RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="120030"
    )
    assert suv_factor([header]).value == pytest.approx(PLAIN * math.exp(-RATE * 30), rel=1e-12)


def test_a_long_lived_nuclide_needs_a_dated_administration():
    undated = {
        "RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": "110000",
        "RadionuclideHalfLife": "282240",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"RadiopharmaceuticalStartDateTime \(0018,1078\)"):
        suv_factor([pet_header(**undated)])
    header = pet_header(**undated)
    header.add_new(0x0009103B, "DT", "20260428110000")
    expected = PLAIN * 2 ** ((3 * 86400 + 3600) / 282240)
    assert suv_factor([header]).value == pytest.approx(expected, rel=1e-12)


def test_an_impossible_uptake_time_is_refused():
    with pytest.raises(InputError, match="the clocks contradict"):
        suv_factor([pet_header(RadiopharmaceuticalStartDateTime="20260430110000")])
    with pytest.raises(InputError, match="the clocks contradict"):
        suv_factor([pet_header(RadiopharmaceuticalStartDateTime="20260502110000")])


def test_time_zones_are_honoured():
    header = pet_header(RadiopharmaceuticalStartDateTime="20260501090000+0000")
    header.TimezoneOffsetFromUTC = "+0200"
    assert suv_factor([header]).value == pytest.approx(SOUND_FACTOR, rel=1e-12)


def test_a_dose_in_megabecquerel_and_a_weight_in_grams_are_read_and_flagged():
    found = suv_factor([pet_header(RadionuclideTotalDose="350", PatientWeight="70000")])
    assert found.value == pytest.approx(SOUND_FACTOR, rel=1e-12)
    assert {"dose_in_megabecquerel", "weight_in_grams"} <= set(found.flags)


def test_a_mouse_is_not_mended():
    found = suv_factor([pet_header(PatientWeight="0.025")])
    assert found.value == pytest.approx(SOUND_FACTOR * 0.025 / 70, rel=1e-12)


def test_gallium_with_the_code_of_another_isotope_is_decided_by_its_half_life():
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "C-131A1", "SRT"  # Ga-66 in CID 4020
    code.CodeMeaning = "^68^Gallium"
    header = pet_header(RadionuclideHalfLife="4057.7", RadionuclideCodeSequence=[code])
    found = suv_factor([header])
    assert found.value == pytest.approx(PLAIN * 2 ** (3600 / 4057.7), rel=1e-12)
    assert "nuclide_code_differs" in found.flags
    assert "half_life_differs" in found.flags  # ICRP-107: 67.71 min = 4062.6 s, 0.12 % more


# Units


@pytest.mark.parametrize(
    ("kind", "sex", "mass"),
    [
        ("LBM", "M", 1.10 * 70 - 120 * (70 / 175) ** 2),
        ("LBMJAMES128", "M", 1.10 * 70 - 128 * (70 / 175) ** 2),
        ("LBMJAMES128", "F", 1.07 * 70 - 148 * (70 / 175) ** 2),
        ("LBMJANMA", "F", 9270 * 70 / (8780 + 244 * 70 / 1.75**2)),
        ("IBW", "O", (48 + 1.06 * 23 + 45.5 + 0.91 * 23) / 2),
        ("BW", "F", 70),
        (None, "F", 70),
    ],
)
def test_gml_is_brought_to_body_weight(kind, sex, mass):
    found = suv_factor([pet_header(Units="GML", SUVType=kind, PatientSex=sex)])
    assert found.value == pytest.approx(70 / mass, rel=1e-12)
    assert ("sex_other" in found.flags) is (sex == "O")


def test_cm2ml_is_brought_to_body_weight():
    surface = 71.84 * 175**0.725 * 70**0.425  # Du Bois, cm2
    found = suv_factor([pet_header(Units="CM2ML", SUVType="BSA")])
    assert found.value == pytest.approx(70_000 / surface, rel=1e-12)


@pytest.mark.parametrize(("kind", "stated"), [("DS", "0.002"), ("UN", b"0.002 "), ("FD", 0.002)])
@pytest.mark.parametrize("creator", [True, False])
def test_philips_factors_are_read_however_they_are_stored(kind, stated, creator):
    header = pet_header(Units="CNTS")
    if creator:
        header.add_new(0x70530010, "LO", "Philips PET Private Group")
    header.add_new(0x70531000, kind, stated)
    assert suv_factor([header]).value == pytest.approx(0.002, rel=1e-12)


def test_philips_activity_factor_goes_through_the_dose():
    header = pet_header(Units="CNTS")
    header.add_new(0x70531009, "DS", "1.5")
    assert suv_factor([header]).value == pytest.approx(1.5 * SOUND_FACTOR, rel=1e-12)


def test_philips_factors_that_contradict_are_flagged():
    header = pet_header(Units="CNTS")
    header.add_new(0x70531000, "DS", "0.002")
    header.add_new(0x70531009, "DS", "1.5")
    found = suv_factor([header])
    assert found.value == 0.002
    assert "philips_factors_differ" in found.flags
    assert found.alternatives["philips_activity_factor"] == pytest.approx(1.5 * SOUND_FACTOR)


def test_bqml_of_philips_ignores_its_private_factors():
    header = pet_header()
    header.add_new(0x70531000, "DS", "0.002")
    header.add_new(0x70531009, "DS", "1.5")
    assert suv_factor([header]).value == pytest.approx(SOUND_FACTOR, rel=1e-12)


def test_the_philips_suv_factor_does_not_hold_for_uncorrected_decay():
    header = pet_header(Units="CNTS", DecayCorrection="NONE", CorrectedImage=["ATTN"])
    header.add_new(0x70531000, "DS", "0.002")
    with pytest.raises(InputError, match=r"\(7053,1009\)"):
        suv_factor([header])


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"Units": "PROPCPS"}, "0054,1001"),
        ({"Units": "PROPCNTS"}, "0054,1001"),
        ({"Units": "1CM"}, "0054,1001"),
        ({"Units": "CPS"}, "0054,1001"),
        ({"Units": None}, "0054,1001"),
        ({"Units": "CNTS"}, "7053,1009"),
        ({"PatientWeight": None}, "0010,1030"),
        ({"PatientWeight": "0"}, "0010,1030"),
        ({"PatientWeight": "-70"}, "0010,1030"),
        ({"RadionuclideTotalDose": None}, "0018,1074"),
        ({"RadionuclideTotalDose": "0"}, "0018,1074"),
        ({"RadionuclideHalfLife": None}, "0018,1075"),
        ({"CorrectedImage": ["NORM", "DECY"]}, "0028,0051"),
        ({"CorrectedImage": ["NORM", "ATTN"]}, "0028,0051"),
        ({"CorrectedImage": None}, "0028,0051"),
        ({"DecayCorrection": None}, "0054,1102"),
        ({"DecayCorrection": "SOMETIMES"}, "0054,1102"),
        ({"RescaleIntercept": "-3"}, "0028,1052"),
        ({"RadiopharmaceuticalStartDateTime": None}, "0018,1072"),
        ({"SeriesTime": "noon"}, "0008,0031"),
        ({"Units": "GML", "SUVType": "LBM", "PatientSize": None}, "0010,1020"),
        ({"Units": "GML", "SUVType": "LBM", "PatientSize": "175"}, "0010,1020"),
        ({"Units": "GML", "SUVType": "LBM", "PatientSex": None}, "0010,0040"),
        ({"Units": "GML", "SUVType": "MAGIC"}, "0054,1006"),
        ({"Units": "CM2ML", "PatientWeight": None}, "0010,1030"),
        ({"SeriesTime": None, "AcquisitionTime": None}, "0008,0031"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_its_tag(changes, tag):
    with pytest.raises(InputError, match=tag):
        suv_factor([pet_header(**changes)])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientWeight", "71"),
        ("SeriesTime", "120001"),
        ("RadiopharmaceuticalStartDateTime", "20260501110100"),
    ],
)
def test_headers_of_two_scans_are_not_mixed(keyword, value):
    with pytest.raises(InputError, match=rf"{keyword} .* differs within the series"):
        suv_factor([pet_header(), pet_header(**{keyword: value})])


def test_a_header_without_the_sequence_of_the_dose_names_it():
    header = pet_header()
    del header.RadiopharmaceuticalInformationSequence
    with pytest.raises(InputError, match=r"\(0018,1074\) is missing.*\(0054,0016\)"):
        suv_factor([header])
    assert suv_factor([header, pet_header()]).value == pytest.approx(SOUND_FACTOR, rel=1e-12)


def test_no_header_at_all_is_refused():
    with pytest.raises(InputError, match="no header"):
        suv_factor([])


def test_dose_and_its_time_are_told():
    assert dose_of([pet_header()]) == (350e6, datetime(2026, 5, 1, 11))
    assert dose_of([pet_header(RadionuclideTotalDose=None)]) is None
    assert dose_of([pet_header(RadiopharmaceuticalStartDateTime=None)]) == (350e6, None)


# Calibration

AT = datetime(2026, 5, 1, 11)
YES = Declared(branching_applied=True)
F18_AGENT = Agent(nuclide="F-18")


def patient(at: datetime | None = AT, activity: float | None = None) -> Subject:
    given = None if activity is None else Estimate(value=activity, sd=0.0)
    return Subject(id="01", given=(Given(at=at, activity=given),))


def dicom_series(*frames: Dataset, value: float = 1000.0) -> Series:
    """One voxel per header, a frame each."""
    return Series(
        modality="PT",
        values=np.full((1, 1, 1, len(frames)), value, np.float32),
        grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
        headers=frames,
        source="PT series for tests",
    )


def bids_series(**changes: object) -> Series:
    """A sound PET-BIDS series of two frames; a change to None leaves the entry out."""
    sidecar = {
        "Units": "Bq/mL", "TimeZero": "12:00:00", "ScanStart": 0, "InjectionStart": -3600,
        "FrameTimesStart": [0, 600], "FrameDuration": [600, 600], "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0, "TracerRadionuclide": "F18",
        "AttenuationCorrection": "measured", "InjectedRadioactivity": 350,
        "InjectedRadioactivityUnits": "MBq",
    } | changes  # fmt: skip
    sidecar = {name: value for name, value in sidecar.items() if value is not None}
    count = len(sidecar["FrameTimesStart"]) if "FrameTimesStart" in sidecar else 1
    return Series(
        modality="PT",
        values=np.full((1, 1, 1, count), 1000.0, np.float32),
        grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
        sidecar=sidecar,
        source="sub-01_pet.json",
    )


def first(image) -> float:
    return float(image.values[0, 0, 0, 0])


HOUR = math.exp(RATE * 3600)
EXACT = 1e-6  # float32 values


def test_start_is_brought_to_the_administration():
    image = calibrate(dicom_series(pet_header()), patient(), F18_AGENT, Scanner(), YES)
    assert first(image) == pytest.approx(1000 * HOUR, rel=EXACT)
    assert (image.quantity, image.unit) == ("activity_concentration", "Bq/mL")
    assert image.frames.start.tolist() == [3600]
    assert image.frames.duration.tolist() == [600]
    assert image.frames.zero.kind == "administration"
    assert "DecayCorrection START" in image.source
    assert image.flags == ()


@pytest.mark.parametrize("units", ["BQML", "CNTS", "GML", "CM2ML"])
def test_suv_and_activity_agree_for_every_unit(units):
    header = pet_header(Units=units)
    if units == "CNTS":
        header.add_new(0x70531000, "DS", f"{1.5 * SOUND_FACTOR:.10g}")
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), YES)
    uptake = 1000 * suv_factor([header]).value
    assert first(image) * 70_000 / 350e6 == pytest.approx(uptake, rel=EXACT)


def test_the_philips_activity_factor_is_preferred_for_activity():
    header = pet_header(Units="CNTS")
    header.add_new(0x70531000, "DS", "0.002")
    header.add_new(0x70531009, "DS", "1.5")
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), YES)
    assert first(image) == pytest.approx(1500 * HOUR, rel=EXACT)


def test_uncorrected_frames_are_corrected_each_by_its_mean():
    changes = {"DecayCorrection": "NONE", "CorrectedImage": ["ATTN"]}
    frames = [pet_header(AcquisitionTime=time, **changes) for time in ("120000", "121000")]
    image = calibrate(dicom_series(*frames), patient(), F18_AGENT, Scanner(), YES)
    within = RATE * 600 / (1 - math.exp(-RATE * 600))
    expected = [1000 * within * math.exp(RATE * passed) for passed in (3600, 4200)]
    np.testing.assert_allclose(image.values.ravel(), expected, rtol=EXACT)
    assert image.frames.start.tolist() == [3600, 4200]


def test_the_studys_administration_overrides_the_headers_and_is_flagged():
    at = AT - timedelta(minutes=10)
    image = calibrate(dicom_series(pet_header()), patient(at), F18_AGENT, Scanner(), YES)
    assert first(image) == pytest.approx(1000 * math.exp(RATE * 4200), rel=EXACT)
    assert image.frames.start.tolist() == [4200]
    assert image.flags == ("suv_reference_override",)


@pytest.mark.parametrize("correction", ["ADMIN", "START"])
def test_only_the_state_of_the_values_depends_on_the_headers_clock(correction):
    """Both states describe the same activity; the study's clock moves them alike."""
    header = pet_header(DecayCorrection=correction)
    value = 1000.0 * (HOUR if correction == "ADMIN" else 1.0)
    at = AT - timedelta(minutes=10)
    image = calibrate(dicom_series(header, value=value), patient(at), F18_AGENT, Scanner(), YES)
    assert first(image) == pytest.approx(1000 * math.exp(RATE * 4200), rel=EXACT)


def test_a_time_of_day_takes_its_day_from_the_study():
    header = pet_header(
        RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="110000",
        RadionuclideHalfLife="282240",
    )  # fmt: skip
    at = datetime(2026, 4, 28, 11)
    image = calibrate(dicom_series(header), patient(at), Agent(nuclide="Zr-89"), Scanner(), YES)
    assert image.frames.start.tolist() == [3 * 86400 + 3600]
    assert "suv_reference_override" not in image.flags


def test_without_any_administration_zero_is_the_scans_start():
    header = pet_header(RadiopharmaceuticalStartDateTime=None, AcquisitionTime="120500")
    image = calibrate(dicom_series(header), Subject(id="01"), F18_AGENT, Scanner(), YES)
    assert image.frames.zero.kind == "scan_start"
    assert image.frames.start.tolist() == [0]
    assert first(image) == pytest.approx(1000 * math.exp(-RATE * 300), rel=EXACT)  # from 12:00
    assert image.decay.corrected_to == 0.0


def test_a_multi_bed_scan_is_one_frame_from_first_to_last():
    headers = (pet_header(), pet_header(AcquisitionTime="121000"))
    series = Series(
        modality="PT",
        values=np.ones((1, 1, 2, 1), np.float32),
        grid=Grid(shape=(1, 1, 2), affine=np.eye(4)),
        headers=headers,
    )
    image = calibrate(series, patient(), F18_AGENT, Scanner(), YES)
    assert (image.frames.start.tolist(), image.frames.duration.tolist()) == ([3600], [1200])


def test_a_bare_header_takes_all_from_the_study():
    header = pet_header(
        Units=None, DecayCorrection=None, SeriesDate=None, SeriesTime=None, AcquisitionDate=None,
        AcquisitionTime=None, ActualFrameDuration=None, RadionuclideHalfLife=None,
        RadionuclideTotalDose=None, RadiopharmaceuticalStartDateTime=None,
    )  # fmt: skip
    declared = Declared(
        unit="kBq/mL", corrected_to="scan_start", start=AT + timedelta(hours=1), duration=600.0,
        branching_applied=True,
    )  # fmt: skip
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), declared)
    assert first(image) == pytest.approx(1e6 * HOUR, rel=EXACT)
    assert image.frames.start.tolist() == [3600]
    assert image.flags == ()


def test_a_declared_start_moves_every_clock_of_the_header():
    """Dates shifted by an anonymiser: only differences within the header are believed."""
    header = pet_header(
        SeriesDate="19600101", AcquisitionDate="19600101", AcquisitionTime="120100",
        RadiopharmaceuticalStartDateTime="19600101110000",
    )  # fmt: skip
    declared = Declared(start=AT + timedelta(minutes=61), branching_applied=True)
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), declared)
    assert first(image) == pytest.approx(1000 * HOUR, rel=EXACT)
    assert image.frames.start.tolist() == [3660]
    assert image.flags == ("suv_reference_override",)


@pytest.mark.parametrize(
    ("changes", "subject", "agent", "declared", "named"),
    [
        ({"Units": None}, patient(), F18_AGENT, YES, "scan.declared.unit"),
        ({"DecayCorrection": None}, patient(), F18_AGENT, YES, "scan.declared.corrected_to"),
        ({}, patient(), F18_AGENT, Declared(), "scan.declared.branching_applied"),
        ({"CorrectedImage": None}, patient(), F18_AGENT, YES, "attenuation_corrected"),
        ({"CorrectedImage": ["DECY"]}, patient(), F18_AGENT, YES, "attenuation_corrected"),
        ({"RadionuclideHalfLife": None}, patient(), Agent(), YES, "agent.label.nuclide"),
        ({}, patient(), Agent(nuclide="Zr-89"), YES, "expected the same nuclide"),
        ({}, patient(datetime(2025, 5, 1)), F18_AGENT, YES, "scan.declared.start"),
        ({}, patient(datetime(2026, 6, 1)), F18_AGENT, YES, "before the administration"),
        ({"ActualFrameDuration": None}, patient(), F18_AGENT, YES, "scan.declared.duration"),
        ({"AcquisitionTime": None}, patient(), F18_AGENT, YES, "scan.declared.start"),
        (
            {"DecayCorrection": "ADMIN", "RadiopharmaceuticalStartDateTime": None},
            Subject(id="01"), F18_AGENT, YES, "subject.given.at",
        ),
    ],
)  # fmt: skip
def test_what_the_study_must_say_is_asked_for(changes, subject, agent, declared, named):
    with pytest.raises(InputError, match=named):
        calibrate(dicom_series(pet_header(**changes)), subject, agent, Scanner(), declared)


def test_an_uncorrected_series_may_be_declared():
    header = pet_header(CorrectedImage=["DECY"])
    declared = Declared(attenuation_corrected=False, branching_applied=True)
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), declared)
    assert image.flags == ("not_attenuation_corrected",)


def test_an_unapplied_branching_ratio_is_applied():
    header = pet_header(RadionuclidePositronFraction="0.967")
    declared = Declared(branching_applied=False)
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), declared)
    assert first(image) == pytest.approx(1000 * HOUR / 0.967, rel=2e-3)  # tables: 0.967, 0.9673


def test_cross_calibration_scales_and_its_uncertainty_is_shared():
    scanner = Scanner(cross_calibration=Estimate(value=1.25, sd=0.05))
    image = calibrate(dicom_series(pet_header()), patient(), F18_AGENT, scanner, YES)
    assert first(image) == pytest.approx(1250 * HOUR, rel=EXACT)
    assert image.scale_cv == pytest.approx(0.04, rel=1e-12)


def test_negative_voxels_stay():
    image = calibrate(dicom_series(pet_header(), value=-5.0), patient(), F18_AGENT, Scanner(), YES)
    assert first(image) == pytest.approx(-5 * HOUR, rel=EXACT)


def test_the_headers_half_life_wins_and_a_difference_is_flagged():
    header = pet_header(RadionuclideHalfLife="6500")
    image = calibrate(dicom_series(header), patient(), F18_AGENT, Scanner(), YES)
    assert image.decay.half_life == 6500
    assert image.flags == ("half_life_differs",)


def test_a_dose_a_thousandfold_off_is_flagged():
    image = calibrate(
        dicom_series(pet_header()), patient(activity=350e3), F18_AGENT, Scanner(), YES
    )
    assert image.flags == ("dose_differs",)


# PET-BIDS


def test_bids_counts_from_the_injection():
    image = calibrate(bids_series(), patient(), F18_AGENT, Scanner(), YES)
    assert image.frames.start.tolist() == [3600, 4200]
    np.testing.assert_allclose(image.values.ravel(), 1000 * HOUR, rtol=EXACT)
    assert image.flags == ()


def test_bids_and_dicom_of_one_scan_agree():
    bids = calibrate(bids_series(), patient(), F18_AGENT, Scanner(), YES)
    dicom = calibrate(dicom_series(pet_header()), patient(), F18_AGENT, Scanner(), YES)
    assert first(bids) == pytest.approx(first(dicom), rel=EXACT)


def test_bids_uncorrected_frames_are_corrected():
    series = bids_series(ImageDecayCorrected=False, ImageDecayCorrectionTime=None)
    image = calibrate(series, patient(), F18_AGENT, Scanner(), YES)
    within = RATE * 600 / (1 - math.exp(-RATE * 600))
    expected = [1000 * within * math.exp(RATE * passed) for passed in (3600, 4200)]
    np.testing.assert_allclose(image.values.ravel(), expected, rtol=EXACT)


def test_bids_kilobecquerel_and_reference_at_injection():
    series = bids_series(Units="kBq/mL", ImageDecayCorrectionTime=-3600)
    image = calibrate(series, patient(), F18_AGENT, Scanner(), YES)
    assert first(image) == pytest.approx(1e6, rel=EXACT)


def test_an_injection_start_that_the_converter_made_up_is_mended_by_the_studys_clock():
    """PET2BIDS issue 368: a static scan one hour after injection, InjectionStart 0."""
    series = bids_series(InjectionStart=0, FrameTimesStart=[0], FrameDuration=[600])
    image = calibrate(series, patient(), F18_AGENT, Scanner(), YES)
    assert image.frames.start.tolist() == [3600]
    assert first(image) == pytest.approx(1000 * HOUR, rel=EXACT)
    assert image.flags == ("suv_reference_override",)


def test_a_doubtful_injection_start_alone_is_not_believed():
    series = bids_series(InjectionStart=0, FrameTimesStart=[0], FrameDuration=[600])
    with pytest.raises(InputError, match="InjectionStart"):
        calibrate(series, Subject(id="01"), F18_AGENT, Scanner(), YES)


def test_a_long_lived_nuclide_needs_a_dated_scan():
    series = bids_series(
        InjectionStart=0, FrameTimesStart=[0], FrameDuration=[600], TracerRadionuclide="Zr89"
    )
    at = datetime(2026, 4, 28, 11)
    agent = Agent(nuclide="Zr-89")
    with pytest.raises(InputError, match=r"scan\.declared\.start"):
        calibrate(series, patient(at), agent, Scanner(), YES)
    declared = Declared(start=datetime(2026, 5, 1, 12), branching_applied=True)
    image = calibrate(series, patient(at), agent, Scanner(), declared)
    assert image.frames.start.tolist() == [3 * 86400 + 3600]


def test_a_dynamic_scan_from_the_injection_is_believed():
    series = bids_series(InjectionStart=0)
    image = calibrate(series, Subject(id="01"), F18_AGENT, Scanner(), YES)
    assert image.frames.start.tolist() == [0, 600]
    assert image.frames.zero.kind == "administration"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"Units": None}, "scan.declared.unit"),
        ({"Units": "counts"}, "scan.declared.unit"),
        ({"ImageDecayCorrected": None}, "scan.declared.corrected_to"),
        ({"ImageDecayCorrected": "yes"}, "true or false"),
        ({"ImageDecayCorrectionTime": None}, "scan.declared.corrected_to"),
        ({"FrameDuration": None}, "FrameDuration"),
        ({"FrameDuration": [600]}, "FrameDuration"),
        ({"FrameDuration": [600_000, 600_000]}, "half-lives"),
        ({"FrameDuration": ["a", "b"]}, "FrameDuration"),
        ({"FrameTimesStart": [0, math.inf]}, "FrameTimesStart"),
        ({"InjectionStart": "soon"}, "InjectionStart"),
        ({"AttenuationCorrection": None}, "attenuation_corrected"),
        ({"AttenuationCorrection": "none"}, "not corrected for attenuation"),
        ({"TracerRadionuclide": "C11"}, "F-18, as the study says"),
        ({"TimeZero": "noon"}, "TimeZero"),
    ],
)
def test_a_sidecar_that_does_not_suffice_names_its_entry(changes, named):
    with pytest.raises(InputError, match=named):
        calibrate(bids_series(**changes), patient(), F18_AGENT, Scanner(), YES)


def test_a_sidecar_dose_without_its_million_is_flagged():
    """openneuro ds004869: 774040 "Bq" where the scanner had 774040000."""
    series = bids_series(InjectedRadioactivity=350_000, InjectedRadioactivityUnits="Bq")
    image = calibrate(series, patient(activity=350e6), F18_AGENT, Scanner(), YES)
    assert image.flags == ("dose_differs",)


def test_a_stated_decay_factor_that_contradicts_the_times_is_flagged():
    series = bids_series(DecayCorrectionFactor=[1.5, 1.6])
    image = calibrate(series, patient(), F18_AGENT, Scanner(), YES)
    assert image.flags == ("decay_spread",)


def test_a_series_without_any_facts_is_refused():
    series = Series(
        modality="PT",
        values=np.ones((1, 1, 1, 1), np.float32),
        grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
    )
    with pytest.raises(InputError, match="neither DICOM headers nor a PET-BIDS sidecar"):
        calibrate(series, patient(), F18_AGENT, Scanner(), YES)


def test_the_modality_is_declared():
    (modality,) = MODALITIES
    assert (modality.name, modality.calibrate) == ("pet", calibrate)


# Anatomy


@pytest.mark.reference
@pytest.mark.parametrize(
    ("folder", "modality", "quantity", "unit"),
    [
        ("ct/ge_lightspeed_3slice", ct, "radiodensity", "HU"),
        ("mr/adc_prostate_20slices", mr, "signal", "1"),
    ],
)
def test_anatomy_is_one_still_volume(reference, folder, modality, quantity, unit):
    (series,) = read(reference(f"images/{folder}"))
    image = modality.calibrate(series, Subject(id="01"), Agent(), Scanner(), Declared())
    assert (image.quantity, image.unit) == (quantity, unit)
    assert image.frames.start.tolist() == [0]
    np.testing.assert_array_equal(image.values, series.values)
