"""Whose series it is and of which visit: subjects, sessions, anatomy and regions from what is said.

Subjects are BIDS sub- entities, else numbered in order of first appearance; no identifier of a
patient is ever kept. Sessions are ses- entities, else numbered in order of acquisition.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from igdd.io import sidecar
from igdd.stages.folder import Contents, Entry
from igdd.stages.usable import Usable, anatomy_reason, shows_contrast, usable

NAMES = {"PT": "pet", "CT": "ct", "MR": "mr"}
MEASURED = ("pet", "mr_dce")
_ENTITY = re.compile(r"(sub|ses)-([A-Za-z0-9]{1,48})")
# What stays of an entity in the name of a session.
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A series with its place in the study; `reason` says why it is not used, "" if it is.

    series   text that tells it from the others of its folder, "" where none is needed
    regions  files whose regions are its own, and remarks on those left out
    """

    entry: Entry
    modality: str
    subject: str
    session: str = ""
    acquired: datetime | None = None
    usable: Usable = Usable()
    series: str = ""
    reason: str = ""
    regions: tuple[Entry, ...] = ()
    remarks: tuple[str, ...] = ()


def scans_of(contents: Contents, acquired: Mapping[Path, datetime], nuclide: str) -> list[Scan]:
    """Every series of a folder as a scan, ordered by subject and session.

    acquired  when a NIfTI image was taken, where a table says so
    """
    entries = contents.of("series")
    names = _subjects(entries, contents.root)
    scans = []
    for entry in entries:
        scan = Scan(
            entry=entry,
            modality="mr_dce" if shows_contrast(entry) else NAMES.get(entry.modality, ""),
            subject=names[_owner(entry, contents.root)],
            acquired=entry.facts.get("acquired") or acquired.get(entry.path),
        )
        scans.append(_judged(scan, contents, nuclide))
    scans = _of_one_kind(scans)
    measured = _sessions([scan for scan in scans if scan.modality in MEASURED], contents.root)
    measured = _with_regions(measured, contents)
    anatomy = _anatomy([s for s in scans if s.modality not in MEASURED], measured, contents.root)
    return sorted(
        [*measured, *anatomy],
        key=lambda one: (
            bool(one.reason),
            one.subject,
            one.session,
            one.modality not in MEASURED,
            str(one.entry.path),
        ),
    )


def _of_one_kind(scans: list[Scan]) -> list[Scan]:
    """The scans, without dynamic contrast where PET is used: what is measured differs."""
    if not any(scan.modality == "pet" and not scan.reason for scan in scans):
        return scans
    words = "dynamic contrast MR beside PET; give it a study of its own"
    return [
        replace(scan, reason=words) if scan.modality == "mr_dce" and not scan.reason else scan
        for scan in scans
    ]


def entities(entry: Entry, root: Path) -> dict[str, str]:
    """BIDS entities of a path: of the file's name, and sub and ses of its folders."""
    found: dict[str, str] = {}
    for part in _relative(entry.path, root).parts:
        match = _ENTITY.fullmatch(part)
        if match:
            found[match[1]] = match[2]
    named = None if entry.path.is_dir() else sidecar.entities(sidecar.stem(entry.path))
    if named is not None:
        found |= {
            key: value
            for key, value in named[0].items()
            if key not in ("sub", "ses") or _ENTITY.fullmatch(f"{key}-{value}")
        }
    return found


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path != root and path.is_relative_to(root) else Path(path.name)


def _owner(entry: Entry, root: Path) -> tuple[str, str]:
    """What tells the subject of a series from others; it stays within this module."""
    sub = entities(entry, root).get("sub")
    if sub:
        return "sub", sub
    if entry.patient:
        return "patient", entry.patient
    if entry.study:
        return "study", entry.study
    return "folder", str(entry.path if entry.path.is_dir() else entry.path.parent)


def _subjects(entries: Iterable[Entry], root: Path) -> dict[tuple[str, str], str]:
    """Subject by owner: the sub- entity itself, else the next free number, those with PET first,
    then those with many frames."""
    ordered = sorted(
        entries, key=lambda one: (one.modality != "PT", int(one.facts.get("frames") or 0) < 2)
    )
    owners = list(dict.fromkeys(_owner(entry, root) for entry in ordered))
    names = {owner: owner[1] for owner in owners if owner[0] == "sub"}
    number = 0
    for owner in owners:
        if owner in names:
            continue
        number += 1
        while f"{number:02d}" in names.values():
            number += 1
        names[owner] = f"{number:02d}"
    return names


def _judged(scan: Scan, contents: Contents, nuclide: str) -> Scan:
    """The scan with the verdict on its series, and the text that singles it out in its folder."""
    entry = scan.entry
    if not scan.modality:
        words = "nothing says what was imaged; call it *_pet.nii.gz, or give Modality in its JSON"
        if entry.modality:
            words = f"objects of modality {entry.modality} are not read as an image"
        return replace(scan, reason=str(entry.facts.get("problem") or words))
    if "derivatives" in _relative(entry.path, contents.root).parts:
        return replace(scan, reason="a derivative, not what the scanner gave")
    verdict = usable(entry, nuclide) if scan.modality == "pet" else Usable()
    reason = verdict.reason
    if scan.modality not in MEASURED:
        reason = anatomy_reason(entry, scan.modality)
    series, blocked = _singled_out(entry, contents)
    return replace(scan, usable=verdict, series=series, reason=reason or blocked)


def place(entry: Entry) -> Path:
    """Path by which a series is read: its file if it is one, else its folder."""
    return entry.files[0] if len(entry.files) == 1 else entry.path


def _singled_out(entry: Entry, contents: Contents) -> tuple[str, str]:
    """Text that names the series among those that reading its folder gives; or why none can."""
    folder = place(entry)
    if not folder.is_dir():
        return "", ""
    for problem in contents.problems:
        if Path(problem["path"]).is_relative_to(folder):
            return "", f"its folder also holds a file that cannot be read: {problem['problem']}"
    beside = [
        other
        for other in contents.of("series")
        if other is not entry
        and other.facts.get("reader") == "dicom_series"
        and any(one.is_relative_to(folder) for one in {file.parent for file in other.files})
    ]
    refused = [other for other in beside if "not read yet" in str(other.facts.get("problem"))]
    if refused:
        return "", f"its folder also holds what is not read yet: {refused[0].facts['problem']}"
    same = [other for other in beside if other.modality == entry.modality]
    tail = str(entry.facts["series"])
    if not same:
        return "", ""
    if any(str(other.facts.get("series")) == tail for other in same):
        return "", "another series of its folder has the same ending of its UID; separate the two"
    return tail, ""


def _sessions(scans: list[Scan], root: Path) -> list[Scan]:
    """Every measured series with a session of its own."""
    order = sorted(
        scans, key=lambda s: (bool(s.reason), s.acquired or datetime.max, str(s.entry.path))
    )
    found, numbers = [], Counter[str]()
    for scan in order:
        session = entities(scan.entry, root).get("ses", "")
        if not session:
            numbers[scan.subject] += 1
            session = f"scan{numbers[scan.subject]}"
        found.append(replace(scan, session=session))
    taken = Counter((scan.subject, scan.session) for scan in found if not scan.reason)
    given: set[tuple[str, str]] = set()
    unique = []
    for scan in found:
        session = scan.session
        if taken[scan.subject, session] > 1 and not scan.reason:
            session = _further(scan, given, root)
        given.add((scan.subject, session))
        unique.append(replace(scan, session=session))
    return unique


def _further(scan: Scan, given: set[tuple[str, str]], root: Path) -> str:
    """A session's name with what tells two series of one visit apart: entities, else a number."""
    rest = [
        f"{key}-{value}"
        for key, value in entities(scan.entry, root).items()
        if key not in ("sub", "ses")
    ]
    name = _PLAIN.sub("", "-".join([scan.session, *rest]))[:56]
    number, free = 1, name if rest else f"{name}-1"
    while (scan.subject, free) in given:
        number += 1
        free = f"{name}-{number}"
    return free


def _with_regions(scans: list[Scan], contents: Contents) -> list[Scan]:
    """The measured series in use, each with the region files that are its own."""
    root = contents.root
    drawn = contents.of("regions")
    used = [scan for scan in scans if not scan.reason]
    said = {id(region): [s for s in used if _said_to_belong(region, s, root)] for region in drawn}
    near = {id(region): [s for s in used if _near(region, s, root)] for region in drawn}
    found = []
    for scan in scans:
        own = [r for r in drawn if scan in said[id(r)]]
        own += [r for r in drawn if not said[id(r)] and near[id(r)] == [scan]]
        own = _drawn_on(scan, own, used)
        regions, remarks = _disjoint(own, root)
        found.append(replace(scan, regions=tuple(regions), remarks=tuple(remarks)))
    return found


def _drawn_on(scan: Scan, own: list[Entry], used: Sequence[Scan]) -> list[Entry]:
    """Where some of the regions were drawn on this very series, not those drawn on another."""
    uid = scan.entry.facts.get("uid", "")
    others = {str(one.entry.facts.get("uid", "")) for one in used} - {uid}
    if not any(uid in region.refers for region in own):
        return own
    return [r for r in own if uid in r.refers or not others.intersection(r.refers)]


def _said_to_belong(region: Entry, scan: Scan, root: Path) -> bool:
    """Whether names or identifiers say that regions were drawn on, or for, a series."""
    own, other = entities(region, root), entities(scan.entry, root)
    if "sub" in own and "sub" in other:
        shared = own.keys() & other.keys() - {"desc", "space", "res"}
        visit = own.get("ses") == other.get("ses")
        return visit and all(own[key] == other[key] for key in shared)
    frames = (region.frame_of_reference, scan.entry.frame_of_reference)
    if all(frames):
        return frames[0] == frames[1]
    return bool(region.study) and region.study == scan.entry.study


def _near(region: Entry, scan: Scan, root: Path) -> bool:
    """Whether regions lie in the series' folder or beside it, and nothing speaks against it."""
    frames = (region.frame_of_reference, scan.entry.frame_of_reference)
    if all(frames) and frames[0] != frames[1]:
        return False
    own, other = entities(region, root), entities(scan.entry, root)
    if any(own[key] != other[key] for key in ("sub", "ses") if key in own and key in other):
        return False
    if region.facts.get("problem"):
        return False
    here = scan.entry.path if scan.entry.path.is_dir() else scan.entry.path.parent
    return region.path.parent in (here, here.parent) or region.path.parent.parent == here.parent


def _disjoint(files: Sequence[Entry], root: Path) -> tuple[list[Entry], list[str]]:
    """Region files that name no region twice; what is left out, and why."""
    chosen: list[Entry] = []
    names: set[str] = set()
    remarks = []
    for file in sorted(files, key=lambda one: (not one.facts.get("regions"), str(one.path))):
        own = set(file.facts.get("regions") or ())
        where = _relative(file.path, root).as_posix()
        if chosen and not own:
            remarks.append(f"{where}: its regions have no names, and may be those above")
        elif own & names:
            remarks.append(f"{where}: draws {sorted(own & names)[0]} once more")
        else:
            chosen.append(file)
            names |= own
    return chosen, remarks


def _anatomy(scans: list[Scan], measured: list[Scan], root: Path) -> list[Scan]:
    """CT and MR in the sessions of the measured series they lie under; one for each session."""
    used = [scan for scan in measured if not scan.reason]
    shown: dict[tuple[str, str], Scan] = {}
    found = []
    for scan in sorted(scans, key=lambda one: (one.modality != "ct", str(one.entry.path))):
        if scan.reason:
            found.append(scan)
            continue
        under = [one for one in used if _lies_under(scan, one, root)]
        free = [one for one in under if (one.subject, one.session) not in shown]
        for one in free:
            shown[one.subject, one.session] = scan
            found.append(replace(scan, subject=one.subject, session=one.session))
        if not under:
            words = "no measured series of the same visit and frame of reference is used"
            found.append(replace(scan, reason=words))
        elif not free:
            words = f"session {under[0].session} shows another anatomy already"
            found.append(replace(scan, session=under[0].session, reason=words))
    return found


def _lies_under(scan: Scan, measured: Scan, root: Path) -> bool:
    """Whether an anatomy shares a measured series' frame of reference; a CT, its visit at least."""
    frames = (scan.entry.frame_of_reference, measured.entry.frame_of_reference)
    if all(frames):
        return frames[0] == frames[1]
    if scan.modality != "ct" or scan.subject != measured.subject:
        return False
    if scan.entry.study and measured.entry.study:
        return scan.entry.study == measured.entry.study
    own, other = entities(scan.entry, root), entities(measured.entry, root)
    return "sub" in own and own.get("ses") == other.get("ses")
