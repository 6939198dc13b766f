"""Files that lie, break off or explode, and a sound study to put them into."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from conftest_dicom import deep_sequence
from igdd.io import bids, dicom_seg, dicom_series, rtstruct
from igdd.io.outlines import Outline
from igdd.io.regions import from_labels
from igdd.types import Grid
from pet_objects import PET, pet_slice, save, write_volume

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
DEFLATED = "1.2.840.10008.1.2.1.99"
DEPTH = 10_000
SHAPE = (12, 10, 6)
SIDECAR = {
    "Units": "Bq/mL", "TimeZero": "12:00:00", "ScanStart": 0, "InjectionStart": -3600,
    "FrameTimesStart": [0], "FrameDuration": [600], "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0, "TracerRadionuclide": "F18",
    "AttenuationCorrection": "measured", "InjectedRadioactivity": 350,
    "InjectedRadioactivityUnits": "MBq",
}  # fmt: skip
TABLE_HEAD = "kind\tanimal\torgan\ttime_h\tmass_g\tcounts\tcount_time_s\tcounted_at_s\tfraction\n"
TABLE = TABLE_HEAD + (
    "sample\t01\tliver\t24\t1.1\t60480\t60\t0\tn/a\n"
    "standard\tn/a\tn/a\tn/a\tn/a\t30480\t60\t600\t0.01\n"
    "background\tn/a\tn/a\tn/a\tn/a\t4800\t600\tn/a\tn/a\n"
)


def study_text(
    path: str = "pet", regions: str = "regions_dseg.nii.gz", modality: str = "pet", **words: str
) -> str:
    """A sound study of one scan; texts are TOML literals, so that they may hold anything."""
    drawn = f"regions = '{regions}'\n" if modality == "pet" else ""
    return f"""schema = 1
title = '{words.get("title", "A phantom")}'
[agent]
carrier = '{words.get("carrier", "liposome")}'
label = {{ nuclide = "F-18", on = "carrier" }}
[[subject]]
id = "01"
arm = '{words.get("arm", "plain")}'
weight = "70 kg"
[[subject.given]]
at = 2026-05-01T11:00:00
activity = "350 MBq"
[[scan]]
subject = "01"
session = "1h"
modality = "{modality}"
path = '''{path}'''
{drawn}[scan.declared]
branching_applied = true
[[measure]]
metric = "uptake"
"""


def sound(folder: Path, description: str = "made for tests", names: tuple[str, ...] = ()) -> Path:
    """A folder with a PET series, the same as NIfTI, regions in each form, a table, a study."""
    values = np.zeros(SHAPE, int)
    values[3:9, 3:8, 1:5] = 5000
    write_volume(folder / "pet", values, SeriesDescription=description)
    (series,) = dicom_series.read(folder / "pet")
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:6, 4:7, 2:4], labels[6:8, 4:7, 2:4] = 1, 2
    named = dict(enumerate(names or ("liver", "lesion"), start=1))
    bids.write_nifti(folder / "image_pet.nii.gz", series.values, series.grid, SIDECAR)
    bids.write_label_map(folder / "regions_dseg.nii.gz", labels, series.grid, named)
    drawn = from_labels(labels, series.grid, {1: "liver", 2: "lesion"})
    dicom_seg.write_seg(folder / "seg.dcm", drawn, series.headers)
    square = np.array([[3, 3, 2], [3, 6, 2], [6, 6, 2], [6, 3, 2]], float)
    outline = Outline(name="liver", contours=(series.grid.world(square),))
    rtstruct.write_rtstruct(folder / "structures.dcm", [outline], series.headers)
    (folder / "regions.nrrd").write_bytes(nrrd(SHAPE, labels.tobytes(order="F")))
    (folder / "table.tsv").write_text(TABLE)
    (folder / "table.xlsx").write_bytes(workbook())
    (folder / "study.toml").write_text(study_text())
    return folder


def nrrd(sizes: tuple[int, ...], content: bytes, encoding: str = "raw", extra: str = "") -> bytes:
    head = (
        f"NRRD0004\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\n"
        f"sizes: {' '.join(map(str, sizes))}\n"
        "space directions: (-2,0,0) (0,-3,0) (0,0,4)\nspace origin: (10,20,0)\n"
        f"encoding: {encoding}\n{extra}\n"
    )
    return head.encode() + content


def nifti_head(shape: tuple[int, ...], kind: int = 16, bits: int = 32) -> bytes:
    """The 352 bytes before the samples of a NIfTI-1 file; kind 16 is float32, 2 is uint8."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<hh", head, 70, kind, bits)
    struct.pack_into("<8f", head, 76, 1, 2, 3, 4, 1, 1, 1, 1)
    struct.pack_into("<f", head, 108, 352.0)
    struct.pack_into("<f", head, 112, 1.0)
    head[123] = 10
    struct.pack_into("<hh", head, 252, 0, 1)
    for row in range(3):
        struct.pack_into("<f", head, 280 + 20 * row, (2.0, 3.0, 4.0)[row])
    head[344:348] = b"n+1\0"
    return bytes(head)


def deflated_zeros(head: bytes, gigabytes: float) -> bytes:
    """A raw deflate stream of some bytes and so many zeros, made without deflating them all."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = squeeze.compress(head) + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(2**24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return start + block * round(gigabytes * 64)


def gzip_bomb(head: bytes, gigabytes: float = 4.0) -> bytes:
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated_zeros(head, gigabytes)


def deflated_dicom(sop_class: str, gigabytes: float = 4.0) -> bytes:
    """A DICOM file in the deflated transfer syntax: one element of zeros without an end."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = Dataset()
    header.file_meta = meta
    header.SOPClassUID, header.SOPInstanceUID, header.Modality = sop_class, "1.2.3", "PT"
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    content = stream.getvalue()
    (length,) = struct.unpack_from("<I", content, 140)
    end = 144 + length
    group = content[144:end].replace(
        struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0",
        struct.pack("<HH2sH", 2, 0x10, b"UI", 22) + DEFLATED.encode(),
    )
    assert len(group) == length + 2
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFF0)
    body = deflated_zeros(content[end:] + pixels, gigabytes)
    return content[:140] + struct.pack("<I", len(group)) + group + body


def workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for line in TABLE.splitlines():
        book.active.append([None if cell == "n/a" else cell for cell in line.split("\t")])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def zip_bomb(megabytes: int = 512) -> bytes:
    """A sound workbook whose sheet is replaced by spaces without end."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook())) as sheets,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in sheets.namelist():
            if part != "xl/worksheets/sheet1.xml":
                archive.writestr(part, sheets.read(part))
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(megabytes):
                sheet.write(b" " * 2**20)
    return stream.getvalue()


def vast_slice(path: Path) -> None:
    """A slice that claims 65535 x 65535 pixels and holds four."""
    one = pet_slice(np.zeros((2, 2)), 0.0)
    one.Rows = one.Columns = 65535
    save(one, path)


def vast_segmentation(path: Path, origin: Path) -> None:
    one = dcmread(origin)
    one.Rows = one.Columns = 65535
    one.save_as(path)


def cut(origin: str, share: float) -> Callable[[Path, Path], None]:
    """The first part of a sound file."""

    def write(path: Path, folder: Path) -> None:
        content = (folder / origin).read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return write


def content(made: Callable[[], bytes]) -> Callable[[Path, Path], None]:
    def write(path: Path, folder: Path) -> None:
        path.write_bytes(made())

    return write


def with_table(path: Path, folder: Path) -> None:
    """A sound label map whose label table breaks off."""
    path.write_bytes((folder / "regions_dseg.nii.gz").read_bytes())
    path.with_name(path.name.replace(".nii.gz", ".tsv")).write_text("index\tname\n1\tliver\n2")


def with_sidecar(text: str) -> Callable[[Path, Path], None]:
    """A sound image whose sidecar is the hostile part."""

    def write(path: Path, folder: Path) -> None:
        path.write_bytes((folder / "image_pet.nii.gz").read_bytes())
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(text)

    return write


Write = Callable[[Path, Path], None]

# What is no regular file: opening it to read would wait for ever, or never end.
IRREGULAR: dict[str, Write] = {
    "pipe": lambda path, folder: os.mkfifo(path),
    "zeros": lambda path, folder: path.symlink_to("/dev/zero"),
    "folder": lambda path, folder: path.mkdir(),
}
TERABYTE = nifti_head((32767, 32767, 256), 16, 32)  # 1.1e12 bytes
GIGABYTES = nifti_head((1024, 1024, 1024), 16, 32)  # 4.3e9 bytes, within the default budget
SMALL = nifti_head(SHAPE, 16, 32)
LABELS = nifti_head(SHAPE, 2, 8)

SERIES: dict[str, Write] = {
    "terabyte_pet.nii": content(lambda: TERABYTE),
    "terabyte_pet.nii.gz": content(lambda: gzip.compress(TERABYTE)),
    "bomb_pet.nii.gz": content(lambda: gzip_bomb(SMALL)),
    "bomb_of_a_terabyte_pet.nii.gz": content(lambda: gzip_bomb(TERABYTE)),
    "claim_pet.nii.gz": content(lambda: gzip_bomb(GIGABYTES, 0.1)),
    "no_header_pet.nii.gz": content(lambda: gzip_bomb(b"")),
    "cut_pet.nii": content(lambda: SMALL + bytes(1000)),
    "cut_header_pet.nii": content(lambda: SMALL[:200]),
    "cut_pet.nii.gz": cut("image_pet.nii.gz", 0.7),
    "nested_pet.nii.gz": with_sidecar('{"a":' * 100_000 + "1" + "}" * 100_000),
    "long_pet.nii.gz": with_sidecar('{"Units": "' + "x" * 5_000_000 + '"}'),
    "cutjson_pet.nii.gz": with_sidecar('{"Units": "Bq/mL", "Fra'),
    "deep_stated.dcm": content(lambda: deep_sequence(PET, DEPTH, True)),
    "deep_open.dcm": content(lambda: deep_sequence(PET, DEPTH, False)),
    "cut_pixels.dcm": cut("pet/003.dcm", 0.95),
    "cut_header.dcm": cut("pet/003.dcm", 0.5),
    "cut_meta.dcm": cut("pet/003.dcm", 0.1),
    "vast.dcm": lambda path, folder: vast_slice(path),
    "deflated.dcm": content(lambda: deflated_dicom(PET)),
}
REGIONS: dict[str, Write] = {
    "terabyte_dseg.nii": content(lambda: nifti_head((32767, 32767, 1000), 2, 8)),
    "bomb_dseg.nii.gz": content(lambda: gzip_bomb(LABELS)),
    "cuttable_dseg.nii.gz": with_table,
    "cut_dseg.nii.gz": cut("regions_dseg.nii.gz", 0.7),
    "deep_stated_rt.dcm": content(lambda: deep_sequence(rtstruct.RT_STRUCTURE_SET, DEPTH, True)),
    "deep_open_rt.dcm": content(lambda: deep_sequence(rtstruct.RT_STRUCTURE_SET, DEPTH, False)),
    "deep_stated_seg.dcm": content(lambda: deep_sequence(SEGMENTATION, DEPTH, True)),
    "deep_open_seg.dcm": content(lambda: deep_sequence(SEGMENTATION, DEPTH, False)),
    "cut_rt.dcm": cut("structures.dcm", 0.6),
    "cut_seg.dcm": cut("seg.dcm", 0.6),
    "cut_seg_pixels.dcm": cut("seg.dcm", 0.99),
    "vast_seg.dcm": lambda path, folder: vast_segmentation(path, folder / "seg.dcm"),
    "deflated_rt.dcm": content(lambda: deflated_dicom(rtstruct.RT_STRUCTURE_SET)),
    "deflated_seg.dcm": content(lambda: deflated_dicom(SEGMENTATION)),
    "cut.nrrd": cut("regions.nrrd", 0.8),
    "cut_header.nrrd": cut("regions.nrrd", 0.05),
    "terabyte.nrrd": content(lambda: nrrd((32768, 32768, 1024), b"")),
    "bomb.nrrd": content(lambda: nrrd(SHAPE, gzip_bomb(b""), "gzip")),
    "outside.nrrd": content(
        lambda: nrrd((1, 1, 1), b"", extra="data file: ../../etc/passwd\nbyte skip: -1\n")
    ),
    "absolute.nrrd": content(lambda: nrrd((1, 1, 1), b"", extra="data file: /etc/passwd\n")),
}
TABLES: dict[str, Write] = {
    "cut.tsv": content(lambda: TABLE[:-120].encode()),
    "no_text.csv": content(lambda: bytes(range(256)) * 40),
    "cut.xlsx": cut("table.xlsx", 0.7),
    "bomb.xlsx": content(zip_bomb),
    "no_workbook.xlsx": content(lambda: TABLE.encode()),
}
STUDIES: dict[str, str | bytes] = {
    "five_megabytes.toml": study_text() + "# " + "x" * 5_000_000,
    "nested_lists.toml": study_text() + "[x]\ny = " + "[" * 5000 + "]" * 5000,
    "nested_tables.toml": study_text() + "[x]\ny = " + "{a=" * 5000 + "1" + "}" * 5000,
    "nested_keys.toml": study_text() + "[x]\n" + ".".join(["a"] * 5000) + " = 1",
    "nested_headers.toml": study_text() + "[" + ".".join(["a"] * 5000) + "]",
    "long_number.toml": study_text() + "[x]\ny = " + "9" * 100_000,
    "long_number_with_unit.toml": study_text().replace("70 kg", "9" * 100_000 + " kg"),
    "endless_power.toml": study_text().replace("70 kg", "1 kg**9**9**9**9"),
    "many_scans.toml": study_text() + '[[scan]]\nsubject = "no"\n' * 20_000,
    "no_text.toml": study_text().encode() + b"\xff\xfe\0",
    "control.toml": study_text().replace("A phantom", "A \0 phantom"),
}
ESCAPES = {
    "up": "../secret", "up_and_down": "pet/../../secret", "absolute": "/etc",
    "absolute_file": "/etc/passwd", "link": "door", "link_in_folder": "door/pet",
    "loop": "loop", "missing": "nowhere", "long": "x" * 5000, "home": "~/secret",
}  # fmt: skip


def grid() -> Grid:
    """The lattice of the sound series."""
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])
    affine[:3, 3] = [10.0, 20.0, 0.0]
    return Grid(shape=SHAPE, affine=affine)
