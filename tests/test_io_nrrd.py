"""NRRD label maps and 3D Slicer segmentations: what is read, and what is refused."""

from __future__ import annotations

import gzip
import resource
import time
from pathlib import Path
from typing import Any

import nrrd as pynrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.io import nrrd
from igdd.types import Grid

LABELS = np.random.default_rng(6).integers(0, 4, (4, 5, 6)).astype(np.uint8)
DIRECTIONS = np.array([[2.0, 0.1, 0.0], [-0.1, 2.0, 0.0], [0.0, 0.0, 3.0]])
ORIGIN = np.array([-10.0, 20.0, 30.0])
GEOMETRY = {
    "space": "left-posterior-superior",
    "space directions": DIRECTIONS,
    "space origin": ORIGIN,
}
SEGMENTS = {
    "Segment0_ID": "Segment_1",
    "Segment0_Name": "liver",
    "Segment0_LabelValue": "1",
    "Segment0_Layer": "0",
    "Segment1_ID": "Segment_2",
    "Segment1_Name": "L?sion 1",  # pynrrd writes ASCII only
    "Segment1_LabelValue": "2",
    "Segment1_Layer": "0",
    "Segment1_Tags": "TerminologyEntry:" + "x" * 9000,
}


def save(path: Path, values: np.ndarray = LABELS, **fields: Any) -> Path:
    encoding = fields.pop("encoding", "gzip")
    header = GEOMETRY | {"encoding": encoding} | fields.pop("header", {}) | fields
    pynrrd.write(str(path), values, header)
    return path


def text_header(**fields: str) -> bytes:
    lines = {
        "type": "uchar", "dimension": "3", "sizes": "2 2 2", "encoding": "raw",
        "space": "left-posterior-superior", "space directions": "(1,0,0) (0,1,0) (0,0,1)",
        "space origin": "(0,0,0)",
    } | {name.replace("_", " "): value for name, value in fields.items()}  # fmt: skip
    body = "".join(f"{name}: {value}\n" for name, value in lines.items() if value)
    return b"NRRD0004\n" + body.encode() + b"\n"


class TestLabels:
    @pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
    def test_every_encoding_gives_the_same_labels(self, tmp_path: Path, encoding: str) -> None:
        found = nrrd.read_regions(save(tmp_path / "a.nrrd", encoding=encoding))
        assert found.names == ("label_1", "label_2", "label_3")
        for label, name in enumerate(found.names, 1):
            assert_array_equal(found.mask(name), label == LABELS)

    @pytest.mark.parametrize("stored", ["i1", "<i2", ">i2", "u2", "i4", "u4", "i8", "u8", "f4"])
    def test_every_type_gives_the_same_labels(self, tmp_path: Path, stored: str) -> None:
        found = nrrd.read_regions(save(tmp_path / "a.nrrd", LABELS.astype(stored)))
        assert_array_equal(found.mask("label_3"), LABELS == 3)

    def test_left_posterior_becomes_right_anterior_without_moving_a_voxel(
        self, tmp_path: Path
    ) -> None:
        found = nrrd.read_regions(save(tmp_path / "a.nrrd")).grid
        assert found.shape == (4, 5, 6)
        index = np.array([1.0, 2.0, 3.0])
        lps = ORIGIN + index @ DIRECTIONS
        assert_allclose(found.world(index), lps * [-1, -1, 1])

    @pytest.mark.parametrize(
        ("space", "signs"),
        [
            ("right-anterior-superior", [1, 1, 1]),
            ("RAS", [1, 1, 1]),
            ("left-anterior-superior", [-1, 1, 1]),
            ("LPS", [-1, -1, 1]),
        ],
    )
    def test_every_anatomical_space_is_known(
        self, tmp_path: Path, space: str, signs: list[int]
    ) -> None:
        found = nrrd.read_regions(save(tmp_path / "a.nrrd", header={"space": space})).grid
        assert_allclose(found.affine[:3, 3], ORIGIN * signs)

    def test_a_label_table_names_the_labels(self, tmp_path: Path) -> None:
        (tmp_path / "a.tsv").write_text("index\tname\n1\tliver\n2\tspleen\n3\tkidney\n")
        assert nrrd.read_regions(save(tmp_path / "a.nrrd")).names == ("liver", "spleen", "kidney")

    def test_fractions_are_the_weights_of_one_region(self, tmp_path: Path) -> None:
        found = nrrd.read_regions(save(tmp_path / "liver.nrrd", LABELS / np.float32(8)))
        assert found.names == ("liver",)
        assert_allclose(found.mask("liver"), LABELS / 8)

    def test_regions_come_on_the_grid_that_is_asked_for(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.nrrd")
        own = nrrd.read_regions(path)
        affine = own.grid.affine.copy()
        affine[:3, :3] = own.grid.affine[:3, [1, 0, 2]]
        found = nrrd.read_regions(path, Grid(shape=(5, 4, 6), affine=affine))
        assert_array_equal(found.mask("label_2"), own.mask("label_2").transpose(1, 0, 2))


class TestSegmentations:
    def test_segments_have_their_names_even_beyond_ascii(self, tmp_path: Path) -> None:
        labels = np.where(LABELS == 3, 0, LABELS).astype(np.uint8)
        path = save(tmp_path / "a.seg.nrrd", labels, header=SEGMENTS)
        content = path.read_bytes().replace(b"L?sion", "Lésion".encode())
        path.write_bytes(content)
        found = nrrd.read_regions(path)
        assert found.names == ("liver", "Lésion 1")
        assert_array_equal(found.mask("Lésion 1"), labels == 2)

    def layered(self, path: Path, layers: np.ndarray, header: dict[str, str]) -> Path:
        directions = np.vstack([[np.nan] * 3, DIRECTIONS])
        kinds = ["list", "domain", "domain", "domain"]
        return save(path, layers, header=header | {"space directions": directions, "kinds": kinds})

    def test_layers_overlap(self, tmp_path: Path) -> None:
        layers = np.zeros((2, 4, 5, 6), np.uint8)
        layers[0, :2], layers[0, 2:], layers[1, 1:3] = 1, 2, 1
        header = SEGMENTS | {
            "Segment2_Name": "core", "Segment2_LabelValue": "1", "Segment2_Layer": "1",
        }  # fmt: skip
        header["Segment1_Name"] = "spleen"
        found = nrrd.read_regions(self.layered(tmp_path / "a.seg.nrrd", layers, header))
        assert found.names == ("liver", "spleen", "core")
        assert_array_equal(found.mask("liver"), layers[0] == 1)
        assert_array_equal(found.mask("core"), layers[1] == 1)
        overlap = (found.weights[0].multiply(found.weights[2])).sum()
        assert overlap == 1 * 5 * 6

    def test_older_files_hold_one_binary_layer_for_each_segment(self, tmp_path: Path) -> None:
        layers = np.zeros((2, 4, 5, 6), np.uint8)
        layers[0, :2], layers[1, 1:3] = 1, 1
        header = {"Segment0_Name": "a", "Segment1_Name": "b"}
        found = nrrd.read_regions(self.layered(tmp_path / "a.seg.nrrd", layers, header))
        assert found.names == ("a", "b")
        assert_array_equal(found.mask("b"), layers[1] == 1)

    def test_a_segment_without_voxels_is_empty_and_flagged(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.seg.nrrd", np.zeros_like(LABELS), header=SEGMENTS)
        assert nrrd.read_regions(path).flags == (("empty_region",), ("empty_region",))

    def test_a_label_without_a_segment_is_kept(self, tmp_path: Path) -> None:
        found = nrrd.read_regions(save(tmp_path / "a.seg.nrrd", header=SEGMENTS))
        assert found.names[-1] == "label_3"

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ({"Segment1_Layer": "3"}, "layer 3; the file has 1 layers"),
            ({"Segment1_Layer": "-1"}, "Segment1 has layer"),
            ({"Segment1_LabelValue": "two"}, "Segment1 has layer"),
            ({"Segment1_LabelValue": "1"}, "share one label"),
            ({"Segment1_Name": "liver"}, "unique"),
        ],
    )
    def test_segments_that_contradict_the_file_are_refused(
        self, tmp_path: Path, header: dict[str, str], message: str
    ) -> None:
        path = save(tmp_path / "a.seg.nrrd", header=SEGMENTS | header)
        with pytest.raises(InputError, match=message):
            nrrd.read_regions(path)


class TestDetached:
    def split(self, folder: Path, name: str) -> Path:
        path = folder / "a.nhdr"
        path.write_bytes(text_header(data_file=name))
        return path

    def test_samples_beside_the_header_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.raw").write_bytes(bytes(range(8)))
        found = nrrd.read_regions(self.split(tmp_path, "a.raw"))
        assert found.names == tuple(f"label_{n}" for n in range(1, 8))
        assert found.mask("label_1")[1, 0, 0] == 1

    @pytest.mark.parametrize(
        "name", ["../a.raw", "/etc/passwd", "sub/a.raw", "LIST", "a%d.raw", ".."]
    )
    def test_samples_elsewhere_are_refused(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "in"
        (folder / "sub").mkdir(parents=True)
        for place in (tmp_path, folder, folder / "sub"):
            (place / "a.raw").write_bytes(bytes(8))
        with pytest.raises(InputError, match="same folder"):
            nrrd.read_regions(self.split(folder, name))

    def test_a_link_out_of_the_folder_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        (tmp_path / "secret").write_bytes(bytes(8))
        (folder / "a.raw").symlink_to(tmp_path / "secret")
        with pytest.raises(InputError, match="expected a place inside"):
            nrrd.read_regions(self.split(folder, "a.raw"))

    def test_lines_and_bytes_are_skipped(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nhdr"
        (tmp_path / "a.raw").write_bytes(b"one line\n--" + bytes(range(8)))
        path.write_bytes(text_header(data_file="a.raw", line_skip="1", byte_skip="2"))
        assert nrrd.read_regions(path).mask("label_7")[1, 1, 1] == 1
        path.write_bytes(text_header(data_file="a.raw", byte_skip="-1"))
        assert nrrd.read_regions(path).mask("label_7")[1, 1, 1] == 1


class TestHostile:
    """Refused by the project's own errors, in under a second and 200 MB above the baseline."""

    def refuse(self, path: Path, message: str) -> None:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        with pytest.raises(InputError, match=message):
            nrrd.read_regions(path)
        assert time.perf_counter() - started < 1.0
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"sizes": "10000 10000 10000"}, "claims 1e\\+12"),
            ({"sizes": "1000 1000 1000"}, "expected .* 1000000000 of samples"),
            ({"sizes": "99999999999999999999 1 1"}, "sizes are"),
            ({"sizes": "999999999999999999 999999999999 1"}, "claims"),
            ({"sizes": "2.5 2 2"}, "sizes are"),
            ({"sizes": "-1 2 2"}, "sizes are"),
            ({"sizes": "0 2 2"}, "sizes are"),
            ({"sizes": "2 2"}, "sizes are"),
            ({"sizes": "2 x 2"}, "sizes are"),
            ({"sizes": ""}, "lacks the field 'sizes'"),
            ({"dimension": "2", "sizes": "2 2"}, "expected 3 axes"),
            ({"dimension": "4", "sizes": "2 2 2 2"}, "one 'none'"),
            ({"dimension": "1" * 5000}, "characters"),
            ({"type": "block"}, "type is 'block'"),
            ({"type": "short"}, "endian is ''"),
            ({"encoding": "hex"}, "encoding is 'hex'"),
            ({"space": ""}, "space is ''"),
            ({"space": "scanner-xyz"}, "space is"),
            ({"space_units": '"m" "m" "m"'}, "space units"),
            ({"space_directions": ""}, "three vectors"),
            ({"space_directions": "(1,0) (0,1) (0,0)"}, "three vectors"),
            ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "singular"),
            ({"space_directions": "(nan,0,0) (0,1,0) (0,0,1)"}, "finite"),
            ({"space_directions": "none none none"}, "finite|three vectors"),
            ({"space_origin": "(0,0,inf)"}, "finite"),
            ({"space_origin": "(0,0)"}, "three vectors|not valid"),
            ({"line_skip": "-1"}, "line skip"),
            ({"byte_skip": "-2"}, "byte skip"),
            ({"encoding": "gzip"}, "damaged"),
            ({"encoding": "bzip2"}, "cannot be read|damaged"),
            ({"encoding": "ascii"}, "no number|ends after|holds more"),
        ],
    )
    def test_a_header_that_contradicts_itself(
        self, tmp_path: Path, fields: dict[str, str], message: str
    ) -> None:
        path = tmp_path / "a.nrrd"
        path.write_bytes(text_header(**fields) + bytes(8))
        self.refuse(path, message)

    @pytest.mark.parametrize(
        "content",
        [b"", b"NRRD", b"NRRDxxxx\n\n", b"NRRD0009\n\n", b"NRRD0004\nno colon\n\n", b"PK"],
    )
    def test_no_nrrd_at_all(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.nrrd"
        path.write_bytes(content)
        self.refuse(path, r"NRRD|lacks the field")

    def test_a_header_without_an_end(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nrrd"
        path.write_bytes(b"NRRD0004\n" + b"# comment\n" * 100_000)
        self.refuse(path, "longer than")

    def test_a_bomb_behind_a_small_header(self, tmp_path: Path) -> None:
        path = tmp_path / "a.nrrd"
        bomb = gzip.compress(bytes(300 * 2**20), 1)
        path.write_bytes(text_header(encoding="gzip") + bomb)
        self.refuse(path, "holds more than the 8 samples")

    @pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
    def test_truncation(self, tmp_path: Path, encoding: str) -> None:
        path = save(tmp_path / "a.nrrd", encoding=encoding)
        path.write_bytes(path.read_bytes()[:-20])
        self.refuse(path, "cut short|holds|ends")

    @pytest.mark.parametrize("samples", [b"1 2 3 4 5 6 7 8 9", b"1 2 3", b"1 2 3 4 5 6 7 0.5"])
    def test_text_samples_must_be_as_many_and_fit(self, tmp_path: Path, samples: bytes) -> None:
        path = tmp_path / "a.nrrd"
        path.write_bytes(text_header(encoding="ascii") + samples)
        self.refuse(path, "holds more|ends after|do not fit")

    @pytest.mark.parametrize("encoding", ["raw", "gzip"])
    @settings(
        max_examples=300,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6))
    def test_mutated_bytes_give_an_answer_or_our_error(
        self, tmp_path: Path, encoding: str, changes: list[tuple[int, int]]
    ) -> None:
        segments = {key: value for key, value in SEGMENTS.items() if len(value) < 100}
        content = bytearray(
            save(tmp_path / "valid.nrrd", encoding=encoding, header=segments).read_bytes()
        )
        for place, octet in changes:
            content[place % len(content)] = octet
        path = tmp_path / "a.nrrd"
        path.write_bytes(content)
        for read in (nrrd.read_regions, nrrd.describe):
            try:
                read(path)
            except InputError:
                continue


def test_a_description_reads_no_samples(tmp_path: Path) -> None:
    path = save(tmp_path / "a.seg.nrrd", header=SEGMENTS | {"Segment1_Name": "spleen"})
    path.write_bytes(path.read_bytes()[:-30])
    (found,) = nrrd.describe(path)
    assert found["shape"] == [4, 5, 6]
    assert found["regions"] == ["liver", "spleen"]
    assert_allclose(found["spacing"], np.linalg.norm(DIRECTIONS, axis=1), atol=1e-6)


def test_sniffing_goes_by_name(tmp_path: Path) -> None:
    assert nrrd.sniff(save(tmp_path / "a.seg.nrrd"))
    assert not nrrd.sniff(tmp_path)
    assert not nrrd.sniff(tmp_path / "missing.nrrd")
