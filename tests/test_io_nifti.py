"""NIfTI images, label maps and weight maps: what is read, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.io import bids, nifti
from igdd.types import Grid

OBLIQUE = np.array(
    [[-1.9, 0.3, 0.1, 90.0], [0.31, 1.88, -0.4, -80.0], [0.1, 0.5, 3.9, -40.0], [0, 0, 0, 1.0]]
)
VALUES = np.random.default_rng(4).normal(size=(4, 5, 6, 2)).astype(np.float32)


def save(path: Path, values: np.ndarray, affine: np.ndarray = OBLIQUE, **fields: Any) -> Path:
    kind = fields.pop("kind", nib.Nifti1Image)
    image = kind(values, affine, dtype=values.dtype)
    for name, value in fields.items():
        image.header[name] = value
    path.write_bytes(
        gzip.compress(image.to_bytes()) if path.name.endswith("gz") else image.to_bytes()
    )
    return path


def edited(path: Path, field: str, value: Any, kind: Any = nib.Nifti1Header) -> Path:
    """The same file with one header field overwritten, unchecked."""
    content = bytearray(path.read_bytes())
    raw = kind(bytes(content[: kind.sizeof_hdr]), check=False)
    raw[field] = value
    content[: kind.sizeof_hdr] = raw.binaryblock
    path.write_bytes(content)
    return path


class TestImages:
    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "gzip_without_its_name.nii"])
    @pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
    def test_samples_and_places_are_nibabels(self, tmp_path: Path, name: str, kind: Any) -> None:
        path = save(tmp_path / name, VALUES, kind=kind)
        if name.startswith("gzip"):
            path.write_bytes(gzip.compress(path.read_bytes()))
        (series,) = nifti.read(path)
        assert_array_equal(series.values, VALUES)
        assert_allclose(series.grid.affine, OBLIQUE, rtol=1e-6)  # stored in single precision
        assert series.files == (str(path),)
        assert series.sidecar == {}

    @pytest.mark.parametrize("stored", ["u1", "i1", "<i2", ">i2", "u2", "i4", "u4", ">f4", "f8"])
    def test_every_stored_type_becomes_single_precision(self, tmp_path: Path, stored: str) -> None:
        values = np.arange(24).reshape(2, 3, 4).astype(stored)
        image = nib.Nifti1Image(values.astype(np.dtype(stored).newbyteorder("=")), OBLIQUE)
        header = image.header.as_byteswapped(">" if stored.startswith(">") else "<")
        path = tmp_path / "a.nii"
        header["sform_code"], header["vox_offset"] = 1, 352
        header.set_data_dtype(values.dtype)
        for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
            header[name] = OBLIQUE[row]
        header["qform_code"], header["magic"] = 0, b"n+1"
        path.write_bytes(header.binaryblock + bytes(4) + values.tobytes(order="F"))
        (series,) = nifti.read(path)
        assert series.values.dtype == np.float32
        assert_array_equal(series.values[..., 0], np.arange(24).reshape(2, 3, 4))

    @pytest.mark.parametrize(
        ("slope", "intercept", "expected"),
        [(0.5, -3.0, lambda v: 0.5 * v - 3), (0.0, 9.0, lambda v: v), (np.nan, 1.0, lambda v: v)],
    )
    def test_scaling_is_honoured_and_zero_or_nan_means_none(
        self, tmp_path: Path, slope: float, intercept: float, expected: Callable[[Any], Any]
    ) -> None:
        stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
        path = save(tmp_path / "a.nii", stored)
        edited(path, "scl_slope", slope)
        edited(path, "scl_inter", intercept)
        assert_array_equal(nifti.read(path)[0].values[..., 0], expected(stored))

    def test_negative_and_missing_samples_stay(self, tmp_path: Path) -> None:
        values = np.array([[[-5.0, np.nan]]], np.float32)
        assert_array_equal(nifti.read(save(tmp_path / "a.nii", values))[0].values[..., 0], values)

    @pytest.mark.parametrize(("unit", "factor"), [(1, 1000.0), (2, 1.0), (0, 1.0), (3, 0.001)])
    def test_lengths_become_millimetres(self, tmp_path: Path, unit: int, factor: float) -> None:
        path = save(tmp_path / "a.nii", VALUES, xyzt_units=unit)
        assert_allclose(nifti.read(path)[0].grid.affine[:3], OBLIQUE[:3] * factor, rtol=1e-6)

    @pytest.mark.parametrize(
        ("name", "facts", "modality"),
        [
            ("pet/sub-1_pet.nii", {}, "PT"),
            ("elsewhere/sub-1_pet.nii", {}, "PT"),
            ("pet/scan.nii", {}, "PT"),
            ("x/scan.nii", {"Modality": "PET"}, "PT"),
            ("pet/scan.nii", {"Modality": "MR"}, "MR"),
            ("anat/sub-1_T1w.nii", {}, "MR"),
            ("x/scan.nii", {}, ""),
        ],
    )
    def test_the_modality_is_said_by_sidecar_name_or_folder(
        self, tmp_path: Path, name: str, facts: dict[str, Any], modality: str
    ) -> None:
        path = tmp_path / name
        path.parent.mkdir()
        save(path, VALUES)
        path.with_suffix(".json").write_text(json.dumps(facts))
        assert nifti.read(path)[0].modality == modality

    def test_the_sidecar_is_read_and_its_frames_must_fit(self, tmp_path: Path) -> None:
        path = save(tmp_path / "pet.nii", VALUES)
        sidecar = tmp_path / "pet.json"
        sidecar.write_text('{"FrameTimesStart": [0, 60], "Units": "Bq/mL"}')
        (series,) = nifti.read(path)
        assert series.sidecar["Units"] == "Bq/mL"
        assert series.files == (str(path), str(sidecar))
        sidecar.write_text('{"FrameTimesStart": [0]}')
        with pytest.raises(InputError, match="2 frames but FrameTimesStart"):
            nifti.read(path)

    def test_a_folder_gives_its_images_in_order_without_its_label_maps(
        self, tmp_path: Path
    ) -> None:
        for name in ("sub-1_run-2_pet.nii", "sub-1_run-1_pet.nii", "sub-1_dseg.nii", "sub-1.json"):
            save(tmp_path / name, VALUES[..., 0])
        (tmp_path / "sub-1.json").write_text("{}")
        assert [Path(series.source).name for series in nifti.read(tmp_path)] == [
            "sub-1_run-1_pet.nii", "sub-1_run-2_pet.nii",
        ]  # fmt: skip

    def test_a_folder_without_images_is_refused(self, tmp_path: Path) -> None:
        assert not nifti.sniff(tmp_path)
        with pytest.raises(InputError, match="holds no NIfTI image"):
            nifti.read(tmp_path)

    def test_sniffing_goes_by_name(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.NII.GZ", VALUES)
        assert nifti.sniff(path)
        assert nifti.sniff(tmp_path)
        assert nifti.sniff_regions(path)
        assert not nifti.sniff(tmp_path / "missing.nii")

    def test_the_budget_counts_what_would_be_allocated(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = save(tmp_path / "a.nii", np.zeros((10, 10, 10), np.uint8))
        monkeypatch.setenv("IGDD_MEMORY_BUDGET", "3999")  # 1,000 samples of 4 bytes
        with pytest.raises(InputError, match="IGDD_MEMORY_BUDGET"):
            nifti.read(path)


class TestOrientation:
    def qform(self, path: Path, affine: np.ndarray, sform: int = 0) -> Path:
        image = nib.Nifti1Image(VALUES, affine)
        image.set_qform(affine, 1)
        image.set_sform(affine, sform)
        path.write_bytes(image.to_bytes())
        return path

    def test_without_an_sform_the_qform_counts(self, tmp_path: Path) -> None:
        rigid = np.eye(4)
        rigid[:3, :3] = nib.eulerangles.euler2mat(0.3, -0.2, 2.9) * np.array([2, 3, -4])
        path = self.qform(tmp_path / "a.nii", rigid)
        found = nifti.read(path)[0].grid.affine
        assert_allclose(found, nib.load(path).affine, atol=1e-6)  # single precision
        assert_allclose(found, rigid, atol=1e-5)

    def test_a_half_turn_is_as_exact_as_its_quaternion(self, tmp_path: Path) -> None:
        # A tilt of 0.2 degrees beside a half turn: the quaternion holds it to sqrt(2^-23) only,
        # so sform and qform of one writer may differ by more than 0.01 voxel at 400 voxels.
        affine = np.eye(4)
        affine[:3, :3] = nib.eulerangles.euler2mat(np.pi, 0.0035, 0.0) * 2.0
        image = nib.Nifti1Image(np.zeros((400, 1, 400), np.uint8), affine)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        path = tmp_path / "a.nii"
        path.write_bytes(image.to_bytes())
        assert_allclose(nifti.read_header(path).grid.affine, affine, atol=1e-6)

    def test_sform_and_qform_apart_are_refused(self, tmp_path: Path) -> None:
        path = self.qform(tmp_path / "a.nii", np.diag([2.0, 2, 2, 1]), sform=2)
        nifti.read(path)
        edited(path, "qoffset_x", 0.03)
        with pytest.raises(InputError, match="sform and qform place the voxels"):
            nifti.read(path)

    def test_no_orientation_is_refused(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.nii", VALUES)
        edited(edited(path, "sform_code", 0), "qform_code", 0)
        with pytest.raises(InputError, match="expected sform or qform"):
            nifti.read(path)


class TestRegions:
    def table(self, path: Path, text: str) -> None:
        path.write_text(text)

    def test_labels_are_named_by_their_table(self, tmp_path: Path) -> None:
        labels = np.zeros((3, 3, 3), np.uint8)
        labels[0], labels[1] = 5, 2
        path = save(tmp_path / "sub-1_dseg.nii.gz", labels)
        self.table(tmp_path / "sub-1_dseg.tsv", "index\tname\n2\tliver\n5\tlesion_1\n7\tspleen\n")
        found = nifti.read_regions(path)
        assert found.names == ("liver", "lesion_1", "spleen")
        assert_array_equal(found.mask("lesion_1"), labels == 5)
        assert found.flags == ((), (), ("empty_region",))

    @pytest.mark.parametrize("stored", ["f4", "f8", "i4", "u2"])
    def test_whole_numbers_of_any_type_are_labels(self, tmp_path: Path, stored: str) -> None:
        labels = np.arange(8).reshape(2, 2, 2).astype(stored)
        found = nifti.read_regions(save(tmp_path / "a.nii", labels))
        assert found.names == tuple(f"label_{n}" for n in range(1, 8))

    def test_large_labels_are_exact(self, tmp_path: Path) -> None:
        labels = np.array([[[614454277, 614454278]]])  # mouse brain atlas: beyond single precision
        for stored in ("u4", "f8", "i8"):
            image = nib.Nifti1Image(labels.astype(stored), OBLIQUE, dtype=stored)
            (tmp_path / "a.nii").write_bytes(image.to_bytes())
            found = nifti.read_regions(tmp_path / "a.nii")
            assert found.names == ("label_614454277", "label_614454278")

    def test_fractions_are_the_weights_of_one_region(self, tmp_path: Path) -> None:
        weights = np.linspace(0, 1, 8).reshape(2, 2, 2).astype(np.float32)
        found = nifti.read_regions(save(tmp_path / "liver_probseg.nii.gz", weights))
        assert found.names == ("liver_probseg",)
        assert_allclose(found.mask("liver_probseg"), weights)

    def test_scaled_bytes_are_weights(self, tmp_path: Path) -> None:
        stored = np.array([[[0, 51, 255]]], np.uint8)
        path = edited(save(tmp_path / "grey.nii", stored), "scl_slope", 1 / 255)
        assert_allclose(nifti.read_regions(path).weights.toarray(), [[0, 0.2, 1]], atol=1e-7)

    def test_a_volume_each_is_a_region_each(self, tmp_path: Path) -> None:
        weights = np.random.default_rng(2).random((2, 2, 2, 3)).astype(np.float32)
        path = save(tmp_path / "atlas_probseg.nii", weights)
        assert nifti.read_regions(path).names == tuple(f"atlas_probseg_{n}" for n in (1, 2, 3))
        (tmp_path / "atlas_probseg.json").write_text('{"LabelMap": ["a", "b", "c"]}')
        found = nifti.read_regions(path)
        assert found.names == ("a", "b", "c")
        assert_allclose(found.mask("b"), weights[..., 1])
        (tmp_path / "atlas_probseg.json").write_text('{"LabelMap": ["a", "b"]}')
        with pytest.raises(InputError, match="must list 3 names"):
            nifti.read_regions(path)

    @pytest.mark.parametrize("worst", [1.5, -0.5, np.nan, np.inf, 2.0**40])
    def test_neither_labels_nor_weights_are_refused(self, tmp_path: Path, worst: float) -> None:
        path = save(tmp_path / "a.nii", np.array([[[0.0, 1.0, worst]]]))
        with pytest.raises(InputError, match=r"a\.nii"):
            nifti.read_regions(path)

    def test_a_series_of_label_maps_is_refused(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.nii", np.full((2, 2, 2, 2), 3, np.uint8))
        with pytest.raises(InputError, match="labels in one volume"):
            nifti.read_regions(path)

    def test_regions_come_on_the_grid_that_is_asked_for(self, tmp_path: Path) -> None:
        labels = np.ones((4, 4, 4), np.uint8)
        path = save(tmp_path / "a.nii", labels, np.diag([1.0, 1, 1, 1]))
        affine = np.diag([3.0, 3, 3, 1])
        found = nifti.read_regions(path, Grid(shape=(4, 4, 4), affine=affine))
        assert found.grid.affine[0, 0] == 3
        assert_allclose(found.volume, 0.064)
        assert found.flags == (("resampled",),)


class TestHostile:
    """Refused by the project's own errors, in under a second and 200 MB above the baseline."""

    def refuse(self, path: Path, message: str) -> None:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        for read in (nifti.read, nifti.read_regions):
            with pytest.raises(InputError, match=message):
                read(path)
        assert time.perf_counter() - started < 2.0
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB

    @pytest.fixture(autouse=True)
    def _warm(self, tmp_path: Path) -> None:
        nifti.read(save(tmp_path / "valid.nii", VALUES))

    def header(self, **fields: Any) -> bytes:
        raw = nib.Nifti2Header() if "large" in fields else nib.Nifti1Header()
        if fields.pop("large", False):
            raw["magic"] = raw.single_magic
        raw.set_data_shape((2, 2, 2))
        raw["sform_code"], raw["vox_offset"], raw["magic"] = (
            1,
            raw.single_vox_offset,
            (raw.single_magic),
        )
        raw["srow_x"], raw["srow_y"], raw["srow_z"] = np.eye(4)[:3]
        for name, value in fields.items():
            raw[name] = value
        return bytes(raw.binaryblock) + bytes(4)

    def test_a_terabyte_in_352_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nii"
        path.write_bytes(self.header(dim=[4, 10000, 10000, 2500, 1, 1, 1, 1]))
        assert path.stat().st_size == 352
        self.refuse(path, "claims 1e\\+12 bytes")
        path.write_bytes(gzip.compress(path.read_bytes()))
        self.refuse(path, "claims 1e\\+12 bytes")

    def test_within_the_budget_but_not_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nii"
        path.write_bytes(self.header(dim=[3, 1000, 1000, 1000, 1, 1, 1, 1]))
        self.refuse(path, "holds 352 bytes")
        path.write_bytes(gzip.compress(path.read_bytes()))
        self.refuse(path, "gzip cannot hold")
        path.write_bytes(gzip.compress(self.header(dim=[3, 100, 10, 10, 1, 1, 1, 1])))
        self.refuse(path, "ends after 0 samples")

    def test_an_honest_claim_whose_regions_would_not_fit(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = save(tmp_path / "a.nii.gz", np.ones((50, 50, 50), np.uint8))
        monkeypatch.setenv("IGDD_MEMORY_BUDGET", str(50**3 * 10))
        with pytest.raises(InputError, match="label map claims"):
            nifti.read_regions(path)

    def test_sizes_whose_product_overflows(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nii"
        path.write_bytes(self.header(large=True, dim=[3, 2**62, 2**62, 2**62, 1, 1, 1, 1]))
        self.refuse(path, "claims")
        path.write_bytes(self.header(large=True, dim=[3, 65535, 65535, 65535, 1, 1, 1, 1]))
        self.refuse(path, "claims")

    @pytest.mark.parametrize("declared", [8, 30_000])
    def test_a_bomb_behind_a_small_header(self, tmp_path: Path, declared: int) -> None:
        content = self.header(dim=[3, declared, 1, 1, 1, 1, 1, 1], datatype=2, bitpix=8)
        path = tmp_path / "a.nii.gz"
        with gzip.open(path, "wb") as stream:
            stream.write(content)
            for _ in range(30):
                stream.write(bytes(10 * 2**20))
        self.refuse(path, "holds more than|dim is")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"dim": [3, -1, 2, 2, 1, 1, 1, 1]}, "dim is"),
            ({"dim": [3, 2, 0, 2, 1, 1, 1, 1]}, "dim is"),
            ({"dim": [0, 2, 2, 2, 1, 1, 1, 1]}, "dim is"),
            ({"dim": [2, 2, 2, 2, 1, 1, 1, 1]}, "dim is"),
            ({"dim": [9, 2, 2, 2, 1, 1, 1, 1]}, "dim is"),
            ({"dim": [5, 2, 2, 2, 1, 3, 1, 1]}, "more than 4 axes"),
            ({"vox_offset": 1e9}, "vox_offset"),
            ({"vox_offset": 0}, "vox_offset"),
            ({"vox_offset": 352.5}, "vox_offset"),
            ({"vox_offset": np.nan}, "vox_offset"),
            ({"vox_offset": -np.inf}, "vox_offset"),
            ({"vox_offset": 4096}, "holds 384 bytes"),
            ({"datatype": 1234}, "datatype 1234"),
            ({"datatype": 128}, "samples are"),
            ({"datatype": 32}, "samples are complex64"),
            ({"datatype": 1}, "samples are|datatype"),
            ({"srow_x": [np.nan, 0, 0, 0]}, "sform: grid affine must be a finite"),
            ({"srow_x": [0, 0, 0, 0]}, "sform: grid affine is singular"),
            ({"srow_x": [1e30, 0, 0, 0]}, "sform: grid affine reaches beyond"),
            ({"srow_x": [1e-30, 0, 0, 0]}, "sform: grid affine is singular"),
            ({"qform_code": 1, "quatern_b": 2.0}, "quaternion"),
            ({"qform_code": 1, "quatern_b": np.nan}, "quaternion"),
            ({"qform_code": 1, "pixdim": [1, -1, 1, 1, 1, 1, 1, 1]}, "pixdim"),
            ({"scl_slope": np.inf, "scl_inter": 0}, "scl_slope"),
            ({"xyzt_units": 7}, "unit of length"),
            ({"magic": b"nope"}, "magic"),
            ({"magic": b"ni1"}, r"\.hdr/\.img"),
            ({"magic": b""}, r"\.hdr/\.img"),
        ],
    )
    def test_a_header_that_contradicts_itself(
        self, tmp_path: Path, fields: dict[str, Any], message: str
    ) -> None:
        path = tmp_path / "a.nii"
        path.write_bytes(self.header(**fields) + bytes(32))
        self.refuse(path, message)

    @pytest.mark.parametrize(
        "content", [b"", b"\n", b"<!DOCTYPE html>" * 50, b"\x1f\x8b", b"\x5c\x01"]
    )
    def test_no_nifti_at_all(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.nii.gz"
        path.write_bytes(content)
        self.refuse(path, "does not start as a NIfTI file|cut short")

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    @pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
    def test_truncation(self, tmp_path: Path, name: str, share: float) -> None:
        path = save(tmp_path / name, VALUES)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        self.refuse(path, "cut short|holds|ends")

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    def test_something_appended(self, tmp_path: Path, name: str) -> None:
        path = save(tmp_path / name, VALUES)
        content = path.read_bytes()
        content = gzip.decompress(content) + b"x" if name.endswith("gz") else content + b"x"
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        self.refuse(path, "holds")

    @pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
    @pytest.mark.parametrize("compressed", [False, True])
    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6))
    @example(changes=[(287, 127)])  # a signalling NaN in the sform
    @example(changes=[(439, 96)])  # an sform beyond the range of squares
    @example(changes=[(71, 1)])  # an unknown datatype
    def test_mutated_bytes_give_an_answer_or_our_error(
        self, tmp_path: Path, kind: Any, compressed: bool, changes: list[tuple[int, int]]
    ) -> None:
        content = bytearray(kind(VALUES, OBLIQUE).to_bytes())
        for place, octet in changes:
            content[place] = octet
        path = tmp_path / "a.nii"
        path.write_bytes(gzip.compress(bytes(content), 1) if compressed else content)
        for read in (nifti.read, nifti.read_regions, nifti.describe):
            try:
                read(path)
            except InputError as error:
                assert "a.nii" in str(error)  # noqa: PT017  (either outcome is right)

    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
    def test_mutated_gzip_gives_an_answer_or_our_error(
        self, tmp_path: Path, changes: list[tuple[int, int]]
    ) -> None:
        content = bytearray(gzip.compress(nib.Nifti1Image(VALUES, OBLIQUE).to_bytes(), mtime=0))
        for place, octet in changes:
            content[place] = octet
        path = tmp_path / "a.nii.gz"
        path.write_bytes(content)
        try:
            nifti.read(path)
        except InputError as error:
            assert "a.nii.gz" in str(error)  # noqa: PT017  (either outcome is right)


class TestDescribe:
    def test_a_pet_image_says_what_its_sidecar_lacks(self, tmp_path: Path) -> None:
        path = save(tmp_path / "sub-1_pet.nii.gz", VALUES)
        (tmp_path / "sub-1_pet.json").write_text(
            '{"Units": "Bq/mL", "TracerName": "FDG", "TracerRadionuclide": "F18"}'
        )
        (found,) = nifti.describe(path)
        assert found["shape"] == [4, 5, 6]
        assert found["frames"] == 2
        assert_allclose(found["spacing"], np.linalg.norm(OBLIQUE[:3, :3], axis=0), atol=1e-5)
        assert (found["unit"], found["tracer"], found["nuclide"]) == ("Bq/mL", "FDG", "F18")
        assert "InjectedRadioactivity" in found["missing"]
        assert "Units" not in found["missing"]

    def test_a_folder_is_described_to_any_depth_with_its_problems(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        save(tmp_path / "deep" / "sub-1_dseg.nii", np.ones((2, 2, 2), np.uint8))
        (tmp_path / "deep" / "sub-1_dseg.tsv").write_text("index\tname\n1\tliver\n")
        (tmp_path / "broken.nii").write_bytes(b"no")
        broken, label = nifti.describe(tmp_path)
        assert "does not start as a NIfTI" in broken["problem"]
        assert label["modality"] == "regions"
        assert label["regions"] == ["liver"]

    def test_samples_are_not_read(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.nii.gz", VALUES)
        whole = path.read_bytes()
        path.write_bytes(whole[:-30] + bytes(30))  # the samples' end and checksum are damaged
        assert nifti.describe(path)[0]["frames"] == 2
        with pytest.raises(InputError):
            nifti.read(path)


@pytest.mark.reference
class TestReference:
    def test_real_images_equal_nibabels(self, reference: Callable[[str], Path]) -> None:
        files = sorted(reference("images/nifti").iterdir())
        assert len(files) == 11
        for file in files:
            (series,) = nifti.read(file)
            image = nib.load(file)
            assert_array_equal(series.values[..., 0], np.asarray(image.dataobj, np.float32))
            assert_array_equal(series.grid.affine, image.affine)

    def test_the_ct_phantoms_mask_has_its_voxels(self, reference: Callable[[str], Path]) -> None:
        folder = reference("radiomics/ibsi1/ct_phantom/nifti")
        (image,) = nifti.read(folder / "phantom.nii.gz")
        found = nifti.read_regions(folder / "mask.nii.gz", image.grid)
        mask = np.asarray(nib.load(folder / "mask.nii.gz").dataobj)
        assert_array_equal(found.mask("label_1"), mask)
        assert found.flags == ((),)

    def test_the_suv_objects_mask(self, reference: Callable[[str], Path], tmp_path: Path) -> None:
        with zipfile.ZipFile(reference("pet/ibsi_suv_dro/DRO_0_0.zip")) as archive:
            content = archive.read("DRO_0_0/mask/DRO_mask.nii.gz")
        (tmp_path / "DRO_mask.nii.gz").write_bytes(content)
        found = nifti.read_regions(tmp_path / "DRO_mask.nii.gz")
        raw = nib.Nifti1Image.from_stream(io.BytesIO(gzip.decompress(content)))
        assert_allclose(
            found.volume.sum(),
            np.count_nonzero(raw.dataobj) * abs(np.linalg.det(raw.affine[:3, :3])) / 1000,
        )

    def test_web_pages_and_placeholders_named_nifti_are_refused(
        self, reference: Callable[[str], Path]
    ) -> None:
        files = sorted(reference("images/bids_examples").rglob("*_pet.nii.gz"))
        for file in files:
            if "pet001" in str(file):
                with pytest.raises(InputError, match=r"21 frames but FrameDuration .* has 45"):
                    nifti.read(file)
            else:
                with pytest.raises(InputError, match="does not start as a NIfTI file"):
                    nifti.read(file)


def test_what_we_write_we_read(tmp_path: Path) -> None:
    grid = Grid(shape=(4, 5, 6), affine=OBLIQUE)
    bids.write_nifti(tmp_path / "sub-1_pet.nii.gz", VALUES, grid, {"FrameDuration": [60, 60]})
    (series,) = nifti.read(tmp_path)
    assert_array_equal(series.values, VALUES)
    assert series.grid.equals(grid, tolerance=1e-4)
    assert series.sidecar == {"FrameDuration": [60, 60]}
