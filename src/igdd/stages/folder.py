"""What a folder holds, from headers only: series, region files, tables, and what is damaged.

One pass over the files, in a fixed order. A file that cannot be read becomes an entry under
`problems` and stops nothing. What tells patients apart is kept beside the facts, never in them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igdd import catalog
from igdd.errors import IgddError, InputError
from igdd.headers import number, quiet, text
from igdd.io import dicom_series, nifti, nrrd, tables
from igdd.io.bounded import Within, resolve_inside
from igdd.io.dicom_layout import UNCOMPRESSED
from igdd.io.dicom_object import META, refusing, storage_class
from igdd.io.dicom_seg import LABEL_MAP, SEGMENTATION
from igdd.io.dicom_slice import DEFLATED, Slice, is_dicom, read_header
from igdd.io.rtstruct import RT_STRUCTURE_SET

if TYPE_CHECKING:
    from pydicom import Dataset

# What is told of work that takes long: what is done, how many, of how many; every so many files.
Progress = Callable[[str, int, int], None]
EVERY = 50
# Files that are looked at; a scanner's archive beyond it is to be split by visit.
MOST_FILES = 100_000
# Problems that are listed one by one.
MOST_PROBLEMS = 200
# Groups of elements that any rule reads, and the longest value: 20,000 headers must fit in memory.
GROUPS = frozenset({0x0008, 0x0009, 0x0010, 0x0018, 0x0020, 0x0028, 0x0054, 0x0071, 0x7053})
LONGEST_VALUE = 4096
DRAWN = {RT_STRUCTURE_SET: "RTSTRUCT", SEGMENTATION: "SEG", LABEL_MAP: "SEG"}
IMAGES = ("PT", "CT", "MR")
# Elements whose values never leave this module, nor stand in a message.
IDENTITY = ("PatientID", "PatientName", "PatientBirthDate")
# Shorter values are hidden only where a message quotes them: "A" is a part of many words.
SHORT = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One thing that was found.

    kind      "series" (images and other DICOM objects), "regions" or "table"
    path      folder of a DICOM series, else the file
    files     every file of it
    facts     what may be shown
    headers   of a DICOM image series, slice by slice within frame by frame, else ()
    refers    UIDs of the series that regions were drawn on, where their file says so
    patient, study, frame_of_reference  identifiers of DICOM, never shown, "" if absent
    """

    kind: str
    path: Path
    facts: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    headers: tuple[Dataset, ...] = ()
    refers: tuple[str, ...] = ()
    patient: str = ""
    study: str = ""
    frame_of_reference: str = ""

    @property
    def modality(self) -> str:
        """DICOM's word for it: PT, CT, MR, SR ...; "" where nobody says."""
        return str(self.facts.get("modality", ""))


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """All that lies at a path; `others` counts files that are no image, region file or table."""

    root: Path
    entries: tuple[Entry, ...]
    problems: tuple[Mapping[str, str], ...]
    others: int

    def of(self, kind: str) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]


def look(path: Path, progress: Progress | None = None) -> Contents:
    """Everything at a path: a file, or a folder at any depth; hidden folders are not entered."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; check the path")
    slices: dict[str, list[Slice]] = {}
    entries: list[Entry] = []
    problems: list[Mapping[str, str]] = []
    others = 0
    with quiet():
        files = list(islice(_files(path), MOST_FILES + 1))
        if len(files) > MOST_FILES:
            words = f"holds more than {MOST_FILES} files; the rest was not looked at"
            problems.append({"path": str(path), "problem": f"{words}; name a smaller folder"})
        for number, file in enumerate(files[:MOST_FILES]):
            if progress is not None and number % EVERY == 0:
                progress("look", number, len(files))
            try:
                found = _look_at(file, path, slices)
            except IgddError as error:
                problems.append({"path": str(file), "problem": str(error)})
                continue
            entries += [found] if isinstance(found, Entry) else []
            others += found is None
        entries += [_series(uid, slices.pop(uid)) for uid in sorted(slices)]
    entries.sort(key=lambda entry: (str(entry.path), str(entry.facts.get("uid", ""))))
    return Contents(
        root=path, entries=tuple(entries), problems=tuple(_shortened(problems)), others=others
    )


def _shortened(problems: list[Mapping[str, str]]) -> list[Mapping[str, str]]:
    if len(problems) <= MOST_PROBLEMS:
        return problems
    rest = len(problems) - MOST_PROBLEMS
    return [*problems[:MOST_PROBLEMS], {"path": "", "problem": f"and {rest} more files like these"}]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                yield file


def _look_at(file: Path, root: Path, slices: dict[str, list[Slice]]) -> Entry | bool | None:
    """An entry; True for a slice, which joins its series; None for what is of no concern."""
    if file.is_symlink() and root.is_dir():
        resolve_inside(file, [root])
    kind = storage_class(file)
    if kind in DRAWN:
        return _drawn(file, kind)
    if is_dicom(file):
        one = read_header(file)
        if one is None:  # a directory of other files
            return None
        _check_whole(one.header, file)
        series = slices.setdefault(_text(one.header, "SeriesInstanceUID"), [])
        _slim(one.header, series[0].header if series else None)
        series.append(one)
        return True
    if nifti.is_nifti(file):
        facts = nifti.describe(file)[0]
        regions = facts["modality"] == "regions"
        return Entry(kind="regions" if regions else "series", path=file, facts=facts, files=(file,))
    if nrrd.sniff(file):
        return Entry(kind="regions", path=file, facts=nrrd.describe(file)[0], files=(file,))
    return _table(file)


def _check_whole(header: Dataset, file: Path) -> None:
    """Refuse a file that ends within its header, or before the pixels that the header claims."""
    if not _text(header, "SOPClassUID") and not _text(header, "Modality"):
        raise InputError(
            f"{file}: SOPClassUID (0008,0016) and Modality (0008,0060) are missing; expected a "
            "whole DICOM file; copy it again"
        )
    meta = getattr(header, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "") if meta is not None else "")
    claims = ("Rows", "Columns", "BitsAllocated")
    rows, columns, bits = (number(header, keyword) or 0.0 for keyword in claims)
    needed = rows * columns * bits / 8
    if syntax in UNCOMPRESSED and file.stat().st_size < needed:
        raise InputError(
            f"{file}: holds {file.stat().st_size} bytes; expected {needed:g} for {rows:g} x "
            f"{columns:g} pixels; the file is cut short; copy it again"
        )


def _slim(header: Dataset, model: Dataset | None) -> None:
    """Drop what no rule reads, and share what equals the series' first header."""
    for tag in list(header.keys()):
        element = header.get_item(tag)
        value = getattr(element, "value", None)
        if tag.group not in GROUPS or (isinstance(value, bytes) and len(value) > LONGEST_VALUE):
            del header[tag]
            continue
        if model is None or tag.is_private or tag not in model or not isinstance(value, bytes):
            continue
        same = model.get_item(tag)
        if same is not None and getattr(same, "value", None) == value and same.VR == element.VR:
            header[tag] = same


def _series(uid: str, slices: list[Slice]) -> Entry:
    """One DICOM series; what is wrong with its headers stands under `problem`."""
    first = slices[0].header
    try:
        facts = dicom_series.describe_series(uid, slices)
    except IgddError as error:
        facts = {
            "uid": uid,
            "series": uid[-dicom_series.UID_SHOWN :],
            "modality": _text(first, "Modality"),
            "files": len(slices),
            "path": os.path.commonpath([one.path.parent for one in slices]),
            "problem": str(error),
        }
    if facts.get("problem"):
        facts["problem"] = _without_identity(facts["problem"], [one.header for one in slices])
    image = facts["modality"] in IMAGES
    return Entry(
        kind="series",
        path=Path(facts["path"]),
        facts={"reader": "dicom_series", **facts},
        files=tuple(one.path for one in slices),
        headers=dicom_series.ordered_headers(slices) if image and "shape" in facts else (),
        patient=_text(first, "PatientID"),
        study=_text(first, "StudyInstanceUID"),
        frame_of_reference=_text(first, "FrameOfReferenceUID"),
    )


def _drawn(file: Path, kind: str) -> Entry:
    """A structure set or segmentation: what it is called and which regions it names."""
    from pydicom import dcmread

    with file.open("rb") as stream:
        if DEFLATED in stream.read(META):
            raise InputError(
                f"{file}: is deflated, and what it holds is not known before it is inflated; "
                "expected a plain transfer syntax; convert it, e.g. with dcmconv +te"
            )
    names = "ROIName" if DRAWN[kind] == "RTSTRUCT" else "SegmentLabel"
    wanted = [
        "Modality", "SeriesDescription", "SeriesInstanceUID", "StudyInstanceUID", "PatientID",
        "FrameOfReferenceUID", "ReferencedFrameOfReferenceSequence", "StructureSetROISequence",
        "SegmentSequence", "ReferencedSeriesSequence", "SpecificCharacterSet",
    ]  # fmt: skip
    with refusing(file, DRAWN[kind]), Within(io.FileIO(file)) as stream:
        header = dcmread(stream, stop_before_pixels=True, specific_tags=wanted)
        listed = header.get("StructureSetROISequence") or header.get("SegmentSequence") or []
        # Number 0 is the background of a label map.
        drawn = [one for one in listed if one.get("SegmentNumber", 1) != 0]
        regions = [str(one.get(names) or "").strip() for one in drawn]
        frame = _text(header, "FrameOfReferenceUID")
        if not frame and header.get("ReferencedFrameOfReferenceSequence"):
            frame = str(header.ReferencedFrameOfReferenceSequence[0].get("FrameOfReferenceUID", ""))
        uid = _text(header, "SeriesInstanceUID")
        facts = {
            "path": str(file),
            "reader": "rtstruct" if DRAWN[kind] == "RTSTRUCT" else "dicom_seg",
            "series": uid[-dicom_series.UID_SHOWN :],
            "uid": uid,
            "modality": DRAWN[kind],
            "description": _text(header, "SeriesDescription"),
            "regions": regions,
        }
        return Entry(
            kind="regions",
            path=file,
            facts=facts,
            files=(file,),
            refers=_referred(header),
            patient=_text(header, "PatientID"),
            study=_text(header, "StudyInstanceUID"),
            frame_of_reference=frame,
        )


def _referred(header: Dataset) -> tuple[str, ...]:
    """UIDs of the series that a structure set or segmentation says it was drawn on."""
    series = list(header.get("ReferencedSeriesSequence") or [])
    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            series += study.get("RTReferencedSeriesSequence") or []
    return tuple(dict.fromkeys(str(one.get("SeriesInstanceUID", "")) for one in series))


def _table(file: Path) -> Entry | None:
    """A table that a reader knows, read in full: it is small, and its units must be there."""
    for reader in catalog.declarations("readers").values():
        if reader.gives != "table" or not reader.sniff(file):
            continue
        facts: dict[str, Any] = {"path": str(file), "reader": reader.name}
        try:
            found = reader.read(file)
        except IgddError as error:
            return Entry(kind="table", path=file, facts={**facts, "problem": str(error)})
        if hasattr(found, "frames"):
            facts |= {"rows": int(found.frames.start.size), "regions": list(found.names)}
        elif hasattr(found, "time"):
            facts |= {"rows": int(found.time.size), "sampling": str(getattr(found, "sampling", ""))}
        else:
            facts |= {"rows": len(found)}
        return Entry(kind="table", path=file, facts=facts, files=(file,))
    if tables.is_table(file) and file.name == "participants.tsv":
        return Entry(
            kind="table", path=file, facts={"path": str(file), "reader": "bids_participants"}
        )
    return None


def _text(header: Dataset, keyword: str) -> str:
    """A text, "" where it is absent or damaged: `describe_series` says what is wrong."""
    try:
        return text(header, keyword) or ""
    except InputError:
        return ""


def _without_identity(words: str, headers: list[Dataset]) -> str:
    """A message without the patients' names, identifiers and dates of birth."""
    values = {_text(header, keyword) for header in headers for keyword in IDENTITY} - {""}
    for value in sorted(values, key=len, reverse=True):
        words = words.replace(repr(value), "(hidden)")
        words = words.replace(value, "(hidden)") if len(value) >= SHORT else words
    return words
