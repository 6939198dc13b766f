"""Inspect: what is on disk, from headers only, and what is wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from igdd.errors import IgddError
from igdd.headers import quiet
from igdd.modalities.pet import suv_factor
from igdd.stages.folder import Contents, Entry, Progress, look
from igdd.stages.usable import usable

WORDS = {
    "PT": "PET", "CT": "CT", "MR": "MR", "RTSTRUCT": "RT structure set", "SEG": "segmentation",
    "regions": "label map", "": "image of no stated modality",
}  # fmt: skip
FORMS = {"dicom_series": "DICOM", "nifti": "NIfTI", "nrrd_regions": "NRRD"}
# Names, frames or flags beyond it are counted, not printed; the JSON holds them all.
SHOWN = 20
# Columns of the labels in the text, and of a line.
INDENT = 17
WIDTH = 100


def inspect(path: Path, progress: Progress | None = None) -> Mapping[str, Any]:
    """What lies at a path: series, region files and tables, each with what is wrong with it.

    A PET series says by which rule its values would become SUV and activity concentration, or why
    they cannot, and which facts a study must add. No name, identifier or date of birth is told.
    """
    contents = look(path, progress)
    found: dict[str, Any] = {"path": str(path)}
    found["series"] = [_series(entry) for entry in contents.of("series")]
    found["regions"] = [dict(entry.facts) for entry in contents.of("regions")]
    found["tables"] = [dict(entry.facts) for entry in contents.of("table")]
    found["problems"] = [dict(one) for one in contents.problems] + _nothing(contents)
    found["other_files"] = contents.others
    return found


def _nothing(contents: Contents) -> list[dict[str, str]]:
    if contents.entries or contents.problems:
        return []
    words = "no DICOM, NIfTI or NRRD file and no known table; expected a scanner's export or BIDS"
    return [{"path": str(contents.root), "problem": words}]


def _series(entry: Entry) -> dict[str, Any]:
    """Facts of a series; of PET also its rules."""
    row = dict(entry.facts)
    if row.get("modality") != "PT" or row.get("problem"):
        return row
    if entry.headers:
        row |= _uptake(entry, row)
    verdict = usable(entry)
    if verdict.conversion is not None:
        row["calibration"] = [words for words in verdict.conversion.sentences if words]
        row["zero"] = verdict.conversion.frames.zero.kind
        row["hours"] = [round(float(t) / 3600, 4) for t in verdict.conversion.frames.start]
    row["required"] = [*verdict.missing, "branching_applied"]
    if verdict.reason:
        row["study_problem"] = verdict.reason
    return row


def _uptake(entry: Entry, row: Mapping[str, Any]) -> dict[str, Any]:
    """The SUV rule that the headers lead to, or why there is none."""
    with quiet():
        try:
            factor = suv_factor(entry.headers)
        except IgddError as error:
            return {"suv_problem": str(error)}
    return {
        "suv_factor": factor.value,
        "suv_rule": factor.rule,
        "suv_alternatives": {name: float(value) for name, value in factor.alternatives.items()},
        "flags": sorted({*row.get("flags", ()), *factor.flags}),
    }


def text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    counts = [
        _count(len(found["series"]), "series", "series"),
        _count(len(found["regions"]), "region file", "region files"),
        _count(len(found["tables"]), "table", "tables"),
        _count(len(found["problems"]), "problem", "problems"),
        _count(found["other_files"], "other file", "other files"),
    ]
    lines = [f"{found['path']}: {', '.join(count for count in counts if count) or 'empty'}"]
    root = Path(found["path"])
    for row in found["series"]:
        lines += ["", *_image_lines(row, root)]
    for row in found["regions"]:
        lines += ["", *_region_lines(row, root)]
    for row in found["tables"]:
        lines += ["", *_table_lines(row, root)]
    if found["problems"]:
        lines += ["", "What could not be read:"]
        for one in found["problems"]:
            words = _printable(one["problem"].replace(f"{root}/", ""))
            lines += _wrapped(words, "  ", " " * 4)
    return "\n".join(lines)


def _count(number: int, one: str, several: str) -> str:
    return "" if not number else f"{number} {one if number == 1 else several}"


def _image_lines(row: Mapping[str, Any], root: Path) -> list[str]:
    modality = str(row.get("modality", ""))
    form = FORMS.get(str(row.get("reader", "")), "")
    head = f"{WORDS.get(modality, modality)}  {_relative(row['path'], root)}"
    title = " ".join(str(row[key]) for key in ("number", "description") if row.get(key))
    files = f", {row['files']} files" if row.get("files", 1) > 1 else ""
    known = {
        "series": f"{title} (UID ...{row['series']})" if row.get("series") else None,
        "form": f"{form}{files}" if form else None,
        "voxels": _voxels(row),
        "frames": _frames(row),
        "acquired": str(row["acquired"]) if row.get("acquired") else None,
        "unit": row.get("units") or row.get("unit"),
        "tracer": ", ".join(str(row[key]) for key in ("tracer", "nuclide") if row.get(key)),
        "corrections": ", ".join(row.get("corrected") or ()),
        "since dose": _since(row),
        "SUV": row.get("suv_rule"),
        "otherwise": _alternatives(row),
        "no SUV": row.get("suv_problem"),
        "concentration": " ".join(row.get("calibration") or ()),
        "not usable": row.get("study_problem"),
        "study needs": _few(row.get("required") or ()),
        "sidecar lacks": _few(row.get("missing") or ()),
        "flags": _few(row.get("flags") or ()),
        "problem": row.get("problem"),
    }
    return [_printable(head), *_labelled(known)]


def _region_lines(row: Mapping[str, Any], root: Path) -> list[str]:
    names = [name for name in row.get("regions") or () if name]
    known = {
        "regions": f"{len(names)}: {_few(names)}" if names else "no names; they are numbered",
        "voxels": _voxels(row),
        "series": f"{row.get('description', '')} (UID ...{row['series']})".strip()
        if row.get("series")
        else None,
    }
    word = WORDS.get(str(row.get("modality")), "regions")
    return [_printable(f"{word}  {_relative(row['path'], root)}"), *_labelled(known)]


def _table_lines(row: Mapping[str, Any], root: Path) -> list[str]:
    known = {
        "rows": str(row["rows"]) if "rows" in row else None,
        "regions": _few(row.get("regions") or ()),
        "sampling": row.get("sampling"),
        "problem": row.get("problem"),
    }
    word = str(row["reader"]).replace("_", " ")
    return [_printable(f"{word}  {_relative(row['path'], root)}"), *_labelled(known)]


def _labelled(known: Mapping[str, Any]) -> list[str]:
    """Lines "label   value", long values wrapped under themselves."""
    return [
        line
        for name, value in known.items()
        if value
        for line in _wrapped(_printable(str(value)), f"  {name}".ljust(INDENT), " " * INDENT)
    ]


def _wrapped(words: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(words: str) -> str:
    """Words of a file on one line, without signs that would steer a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in words)


def _relative(path: Any, root: Path) -> str:
    place = Path(str(path))
    if place == root:
        return place.name or str(place)
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)


def _few(names: Sequence[Any]) -> str:
    shown = ", ".join(str(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _voxels(row: Mapping[str, Any]) -> str | None:
    shape, spacing = row.get("shape"), row.get("spacing")
    if not shape or not spacing:
        return None
    size = " x ".join(str(number) for number in shape)
    return f"{size} of {' x '.join(f'{length:.4g}' for length in spacing)} mm"


def _frames(row: Mapping[str, Any]) -> str | None:
    count = row.get("frames")
    lengths = [length for length in row.get("frame_seconds") or () if length]
    if not count or (count == 1 and not lengths):
        return None
    if not lengths:
        return str(count)
    low, high = min(lengths), max(lengths)
    span = f"{low:g} s" if low == high else f"{low:g} to {high:g} s"
    return f"{count} of {span}"


def _since(row: Mapping[str, Any]) -> str | None:
    hours = row.get("hours")
    if not hours or row.get("zero") != "administration":
        return None
    return f"{hours[0]:.3g} h" if len(hours) == 1 else f"{hours[0]:.3g} to {hours[-1]:.3g} h"


def _alternatives(row: Mapping[str, Any]) -> str:
    value = row.get("suv_factor")
    others = row.get("suv_alternatives") or {}
    return ", ".join(
        f"{name} {100 * (other / value - 1):+.2f} %" for name, other in others.items() if value
    )
