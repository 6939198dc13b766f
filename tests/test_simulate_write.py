from __future__ import annotations

import json
from datetime import datetime

import nibabel
import numpy as np
import pytest

from igdd.errors import InputError
from igdd.simulate import write
from igdd.simulate.write import Record
from igdd.types import Frames, Grid, Zero

RECORD = Record(
    id="02", arm="targeted", sex="F", weight=64200.0, height=1650.0, drug_dose=2.1e-3,
    at=datetime(2026, 3, 9, 10, 0), activity=37.2e6, activity_sd=0.37e6, residual=0.4e6,
)  # fmt: skip
TIMING = Frames(
    start=np.array([86400.0]),
    duration=np.array([1200.0]),
    zero=Zero(kind="administration", clock=RECORD.at),
)
GRID = Grid(
    shape=(7, 6, 5),
    affine=np.array([[4.0, 0, 0, -12], [0, 4, 0, -10], [0, 0, 4, -8], [0, 0, 0, 1]]),
)
# PET-BIDS, required of every sidecar (bids-specification 1.10, PET, tables of metadata).
REQUIRED = """
Manufacturer ManufacturersModelName Units TracerName TracerRadionuclide InjectedRadioactivity
InjectedRadioactivityUnits InjectedMass InjectedMassUnits SpecificRadioactivity
SpecificRadioactivityUnits ModeOfAdministration TimeZero ScanStart InjectionStart FrameTimesStart
FrameDuration AcquisitionMode ImageDecayCorrected ImageDecayCorrectionTime ReconMethodName
ReconMethodParameterLabels ReconFilterType ReconFilterSize AttenuationCorrection
"""


def image() -> np.ndarray:
    return np.random.default_rng(0).normal(500, 900, GRID.shape).astype(np.float32)


def test_a_bids_image_reads_back_within_half_its_slope(tmp_path):
    name = write.write_bids(tmp_path, RECORD, "24h", image(), GRID, TIMING)
    assert name == "sub-02/ses-24h/pet/sub-02_ses-24h_trc-89Zr_pet.nii.gz"
    read = nibabel.load(tmp_path / name)
    slope = read.dataobj.slope
    # Half a step of 16 bits, and the arithmetic.
    np.testing.assert_allclose(read.get_fdata(), image(), atol=slope * (0.5 + 1e-6))
    np.testing.assert_array_equal(read.affine, GRID.affine)
    assert read.get_fdata().min() < 0


def test_the_sidecar_says_all_that_pet_bids_requires(tmp_path):
    name = write.write_bids(tmp_path, RECORD, "24h", image(), GRID, TIMING)
    found = json.loads((tmp_path / name.replace(".nii.gz", ".json")).read_text())
    assert [key for key in REQUIRED.split() if key not in found] == []
    assert found["Units"] == "Bq/mL"
    assert found["InjectedRadioactivity"] == pytest.approx(36.8)
    assert found["SpecificRadioactivity"] == pytest.approx(36.8 / 2.1, rel=1e-6)
    assert found["TimeZero"] == "10:00:00"
    assert found["ScanStart"] - found["InjectionStart"] == 86400
    dated = (tmp_path / "sub-02/ses-24h/sub-02_ses-24h_scans.tsv").read_text().split()
    assert dated[-1] == "2026-03-10T10:00:00"


def test_labels_read_back_with_their_names(tmp_path):
    labels = np.random.default_rng(1).integers(0, 3, GRID.shape).astype(np.uint8)
    name = write.write_labels(tmp_path, RECORD, "24h", labels, GRID, ("liver", "lesion_1"))
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / name).dataobj), labels)
    table = (tmp_path / name.replace(".nii.gz", ".tsv")).read_text()
    assert table == "index\tname\n1\tliver\n2\tlesion_1\n"


def test_gzip_streams_carry_no_time_and_no_name(tmp_path):
    write.write_nifti(tmp_path / "a.nii.gz", np.zeros((2, 2, 2), np.uint8), GRID)
    header = (tmp_path / "a.nii.gz").read_bytes()[:10]
    assert header[4:8] == b"\0\0\0\0"  # RFC 1952: MTIME
    assert not header[3] & 0b1000  # FNAME


def test_dicom_holds_the_image_in_the_usual_orientation(tmp_path):
    import pydicom

    series = write.write_dicom(tmp_path, RECORD, "24h", image(), GRID, TIMING)
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / series).iterdir())]
    assert list(slices[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert (slices[0].Units, slices[0].DecayCorrection) == ("BQML", "START")
    for k, dataset in enumerate(slices):
        slope = float(dataset.RescaleSlope)
        found = (dataset.pixel_array * slope).T[::-1, ::-1]
        np.testing.assert_allclose(found, image()[:, :, k], atol=slope * (0.5 + 1e-6))
        corner = GRID.world(np.array([6, 5, k])) * [-1, -1, 1]
        np.testing.assert_allclose(dataset.ImagePositionPatient, corner)
    tracer = slices[0].RadiopharmaceuticalInformationSequence[0]
    assert tracer.RadionuclideTotalDose == 36.8e6
    assert tracer.RadiopharmaceuticalStartDateTime == "20260309100000"


def test_structures_enclose_what_was_drawn(tmp_path):
    from igdd.io import rtstruct

    grid = Grid(shape=(40, 40, 12), affine=np.diag([2.0, 2.0, 4.0, 1.0]))
    i, j, k = np.indices(grid.shape)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[(i - 20) ** 2 + (j - 18) ** 2 + (2 * (k - 6)) ** 2 < 14**2] = 1
    labels[5:9, 5:11, 2:4] = 2
    coarse = Grid(
        shape=(20, 20, 12),
        affine=np.array([[4.0, 0, 0, 1], [0, 4, 0, 1], [0, 0, 4, 0], [0, 0, 0, 1]]),
    )
    series = write.write_dicom(
        tmp_path, RECORD, "24h", np.ones(coarse.shape, np.float32), coarse, TIMING
    )
    path = write.write_structures(tmp_path, series, labels, grid, ("ball", "box"))
    found = rtstruct.read(tmp_path / path, coarse)
    assert found.names == ("ball", "box")
    drawn = np.bincount(labels.ravel())[1:] * grid.voxel_volume
    # Corners are cut by an eighth of a pixel each: 4 of them in 24 pixels of the box's slices.
    np.testing.assert_allclose(found.volume, drawn, rtol=0.03)


def test_a_region_without_a_voxel_is_refused(tmp_path):
    (tmp_path / "series").mkdir()
    with pytest.raises(InputError, match="ball was drawn without a voxel"):
        write.write_structures(tmp_path, "series", np.zeros((4, 4, 4), np.uint8), GRID, ("ball",))
