"""Draft: a study from what is on disk, for a person to complete.

Every series becomes a `[[scan]]`. What can be used as it is stays active; the rest is commented,
with the reason. A fact that the files agree on is written with its source; one that nobody states
is marked as required, and so is one on which they disagree.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from igdd.errors import InputError
from igdd.io import bounded
from igdd.stages import draft_contrast
from igdd.stages.body_facts import Fact, facts_of, participants
from igdd.stages.draft_kinetics import kinetics
from igdd.stages.draft_regions import regions
from igdd.stages.draft_text import (
    ARM,
    DECLARED,
    HEAD,
    SCANNER,
    SEX,
    UPTAKE,
    active,
    can_be_quoted,
    comment,
    commented,
    listed,
    quoted,
    required,
)
from igdd.stages.folder import Contents, Progress, look
from igdd.stages.usable import stated_nuclide
from igdd.stages.visits import MEASURED, Scan, place, scans_of
from igdd.study import UNKNOWN_FACT

# Remarks on files that could not be read.
MOST_REMARKS = 50


def draft(folder: Path, progress: Progress | None = None) -> tuple[Path, int]:
    """Write FOLDER/study.toml; its path, and how many facts are still required."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; expected the one that holds the files")
    path = folder / "study.toml"
    if path.exists() or path.is_symlink():
        raise InputError(
            f"{path} is already there; nothing is overwritten; move it, or draft in another folder"
        )
    text = study_text(folder, progress)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    return path, sum(UNKNOWN_FACT in line for line in text.splitlines())


def study_text(folder: Path, progress: Progress | None = None) -> str:
    """The drafted study of a folder."""
    contents = look(folder, progress)
    if not contents.of("series"):
        raise InputError(
            f"{folder}: holds no image in DICOM or NIfTI ({contents.others} other files"
            + "".join(f"; {one['problem']}" for one in contents.problems[:3])
            + "); expected at least one series; check the path"
        )
    nuclides = {stated_nuclide(entry) for entry in contents.of("series") if entry.modality == "PT"}
    nuclides -= {""}
    nuclide = nuclides.pop() if len(nuclides) == 1 else ""
    acquired = _acquired(folder)
    scans = [_named(scan, folder) for scan in scans_of(contents, acquired, nuclide)]
    used = [scan for scan in scans if not scan.reason and scan.modality in MEASURED]
    maps = {path for scan in used for path in draft_contrast.maps_of(scan, contents).values()}
    scans = [scan for scan in scans if _below(place(scan.entry), folder) not in maps]
    contrast = bool(used) and used[0].modality == draft_contrast.MODALITY
    table = participants(contents)
    arms = {f.value for facts in table.values() for f in facts if f.key == "arm"}
    blocks = [
        [*comment(HEAD), "schema = 1", active("title", quoted(_title(used)))],
        [] if contrast else _agent(used, nuclide, sorted(nuclides)),
        _scanner(),
        *_subjects(used or scans, acquired, table),
        *[_scan(scan, contents) for scan in scans],
        regions(used),
        *kinetics(used, contents),
        draft_contrast.measures() if contrast else UPTAKE,
        _compare(sorted(arms), "iauc_60" if contrast else "percent_id_per_g"),
        _unread(contents),
    ]
    if not used:
        example = required("scan", "[]", "no series can be used as it is; the reasons stand below")
        blocks.insert(1, [example])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _named(scan: Scan, root: Path) -> Scan:
    """The scan, unused if a text cannot spell where it lies."""
    paths = [place(scan.entry), *(region.path for region in scan.regions)]
    if all(can_be_quoted(str(path)) for path in paths):
        return scan
    words = "the name of its file or folder is no Unicode text; rename it"
    return replace(scan, reason=scan.reason or words, regions=())


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _title(used: Sequence[Scan]) -> str:
    subjects = len({scan.subject for scan in used})
    people = "1 subject" if subjects == 1 else f"{subjects} subjects"
    kind = "DCE-MRI" if used and used[0].modality == draft_contrast.MODALITY else "PET"
    return f"{people}, {len(used)} {kind} scan" + ("" if len(used) == 1 else "s")


def _agent(used: Sequence[Scan], nuclide: str, several: Sequence[str]) -> list[str]:
    tracers = sorted({str(scan.entry.facts.get("tracer") or "") for scan in used} - {""})
    lines = ["[agent]"]
    lines += comment(f"The files call the tracer: {', '.join(tracers)}") if tracers else []
    lines.append(required("carrier", '"PEG-liposome"', "what carries the drug"))
    lines.append(required("drug", '"doxorubicin"', "the drug that it carries"))
    why = "on: where the label sits, carrier, drug or label (alone)"
    if nuclide:
        why += "; the nuclide is what every PET series states"
    elif several:
        why += f"; the series state {', '.join(several)}: a study has one nuclide"
    else:
        why += "; no file states the nuclide"
    example = f'{{ nuclide = {quoted(nuclide or "F-18")}, on = "carrier" }}'
    lines.append(required("label", example, why))
    return lines


def _scanner() -> list[str]:
    keys = [
        'psf = "6.0 mm"',
        'psf_sd = "0.4 mm"',
        "cross_calibration = { factor = 1.0, sd = 0.03 }   # to the dose calibrator",
        'boundary_sd = "1.2 mm"   # of where a border is drawn',
    ]
    return ["[scanner]", *comment(SCANNER), *commented(keys)]


def _subjects(
    scans: Sequence[Scan], acquired: Mapping[Path, datetime], table: Mapping[str, list[Fact]]
) -> list[list[str]]:
    """One block for each subject, with what its series and the table of participants say."""
    blocks = []
    for subject in dict.fromkeys(scan.subject for scan in scans):
        own = [scan for scan in scans if scan.subject == subject]
        facts = [
            fact
            for scan in own
            if scan.modality == "pet" and not scan.reason
            for fact in facts_of(scan, acquired.get(scan.entry.path))
        ]
        facts += table.get(subject, [])
        needs_at = any("at" in scan.usable.missing for scan in own)
        if own[0].modality == draft_contrast.MODALITY and not own[0].reason:
            keys = [("arm", ARM), ("weight", 'weight = "70 kg"'), ("sex", SEX)]
            about = [line for key, unknown in keys for line in _fact(key, facts, unknown)]
            blocks.append(draft_contrast.subject(subject, about))
            continue
        blocks.append(_subject(subject, facts, needs_at, own))
    return blocks


def _subject(
    subject: str, facts: Sequence[Fact], needs_at: bool, scans: Sequence[Scan]
) -> list[str]:
    known = [scan.acquired for scan in scans if scan.acquired is not None]
    moment = min(known) if known else datetime(2026, 5, 1, 12, 30)
    lines = ["[[subject]]", active("id", quoted(subject))]
    lines += _fact("arm", facts, ARM)
    lines += _fact("weight", facts, ('"70 kg"', "the weight; needed for SUV"))
    lines += _fact("height", facts, 'height = "172 cm"')
    lines += _fact("sex", facts, SEX)
    lines += ["", "[[subject.given]]"]
    stated = any(fact.key == "at" for fact in facts)
    clock = moment.replace(microsecond=0).isoformat()
    if needs_at or stated:
        lines += _fact("at", facts, (clock, "date and time of the administration"))
    else:
        lines += commented([f"at = {clock}   # the files count from it, but do not date it"])
    lines += _fact("activity", facts, ('"37 MBq"', "net at administration, or drawn up"))
    lines += commented(
        [
            'activity_sd = "0.7 MBq"   # of the dose calibrator',
            'residual = "0.4 MBq"   # what stayed in the syringe, if activity is what was drawn up',
            'drug_dose = "2.1 mg"',
        ]
    )
    return lines


def _fact(key: str, facts: Sequence[Fact], unknown: str | tuple[str, str]) -> list[str]:
    """The line of a fact: as agreed; as required where unknown or disputed; or a suggestion."""
    said = [fact for fact in facts if fact.key == key]
    values = list(dict.fromkeys(fact.value for fact in said if fact.value))
    remarks = [fact.source for fact in said if not fact.value]
    if len(values) == 1:
        return [active(key, values[0], next(f.source for f in said if f.value == values[0]))]
    if values:
        words = "; ".join(f"{fact.source} says {fact.value}" for fact in said if fact.value)
        if key == "at":
            words += "; a subject is given one administration: make two subjects where it had two"
        return [required(key, values[0], f"the files do not agree: {words}")]
    if isinstance(unknown, tuple):
        return [required(key, unknown[0], "; ".join([unknown[1], *remarks]))]
    return commented([unknown])


def _scan(scan: Scan, contents: Contents) -> list[str]:
    """The block of a scan, commented with its reason if it is not used."""
    path, root = place(scan.entry), contents.root
    lines = [
        "[[scan]]",
        active("subject", quoted(scan.subject)),
        active("session", quoted(scan.session or "unknown")),
        active("modality", quoted(scan.modality or scan.entry.modality.lower())),
    ]
    if can_be_quoted(str(path)):
        lines.append(active("path", quoted(_below(path, root)), _when(scan)))
    if scan.series:
        lines.append(active("series", quoted(scan.series), _described(scan)))
    if scan.reason:
        return [*comment(f"not used: {scan.reason.replace(str(root), '.')}"), *commented(lines)]
    if path == root:
        lines += comment("It lies beside the study: run with --out elsewhere, or move it.")
    if scan.modality not in MEASURED:
        return lines
    if scan.regions:
        files = [_below(region.path, root) for region in scan.regions]
        lines.append(active("regions", listed(files)))
    else:
        words = "a label map, RTSTRUCT or SEG; or draw by a rule in [[region]] and remove this"
        lines.append(required("regions", '"regions_dseg.nii.gz"', words))
    lines += [line for remark in scan.remarks for line in comment(f"not used: {remark}")]
    if scan.modality == draft_contrast.MODALITY:
        return lines + draft_contrast.declared(scan, contents)
    return lines + _declared(scan)


def _declared(scan: Scan) -> list[str]:
    """Facts of the scan that its files do not state."""
    lines = []
    clock = (scan.acquired or datetime(2026, 5, 1, 13, 30)).replace(microsecond=0).isoformat()
    known = {**DECLARED, "start": (clock, "date and time at which the scan began")}
    for key in ("unit", "corrected_to", "start", "duration", "attenuation_corrected"):
        if key in scan.usable.missing:
            lines.append(required(f"declared.{key}", *known[key]))
    words = (
        "whether the positron branching ratio was applied: scanners do when they know the nuclide"
    )
    lines.append(required("declared.branching_applied", "true", words))
    return lines


def _when(scan: Scan) -> str:
    """When a scan began, in words."""
    found = scan.usable.conversion
    if found is None or found.frames.zero.kind != "administration":
        return f"acquired {scan.acquired:%Y-%m-%d %H:%M}" if scan.acquired else ""
    frames = found.frames.start.size
    words = f"from {float(found.frames.start[0]) / 3600:.3g} h after administration"
    return f"{words}, {frames} frames" if frames > 1 else words


def _described(scan: Scan) -> str:
    return str(scan.entry.facts.get("description") or "")


def _compare(arms: Sequence[str], on: str) -> list[str]:
    between = ", ".join(arms) if len(arms) == 2 else '"plain", "targeted"'
    keys = [
        "[[compare]]",
        'method = "groups"',
        f"on = {quoted(on)}",
        f"between = [{between}]",
        'regions = { kind = "lesion" }',
    ]
    return [*comment("Two arms are compared by:"), *commented(keys)]


def _unread(contents: Contents) -> list[str]:
    root = str(contents.root)
    lines = []
    for one in contents.problems[:MOST_REMARKS]:
        lines += comment(f"could not be read: {one['problem'].replace(root, '.')}")
    rest = len(contents.problems) - MOST_REMARKS
    return lines + (comment(f"and {rest} more files like these") if rest > 0 else [])


def _acquired(root: Path) -> Mapping[Path, datetime]:
    """When images were taken, by the BIDS tables of scans."""
    found: dict[Path, datetime] = {}
    for table in sorted(root.rglob("*_scans.tsv")):
        try:
            rows = csv.DictReader(io.StringIO(bounded.read_text(table)), delimiter="\t")
            listed_rows: list[Mapping[str, Any]] = list(rows)
        except (InputError, csv.Error):  # the table is no part of the study
            continue
        for row in listed_rows:
            name, stated = row.get("filename"), row.get("acq_time")
            if not isinstance(name, str) or not isinstance(stated, str):
                continue
            try:
                found[table.parent / name] = datetime.fromisoformat(stated).replace(tzinfo=None)
            except ValueError:
                continue
    return found
