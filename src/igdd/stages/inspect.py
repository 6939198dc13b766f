"""Inspect: what is on disk, from headers only, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from igdd.errors import IgddError, InputError
from igdd.io import dicom_series, nifti
from igdd.modalities.pet import suv_factor


def inspect(path: Path) -> Mapping[str, Any]:
    """Every series and region file at a path, and for PET which SUV rule its headers lead to."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    problems = []
    series: list[dict[str, Any]] = []
    try:
        series += _dicom(path)
    except IgddError as error:
        problems.append(str(error))
    try:
        series += nifti.describe(path) if path.is_dir() or nifti.is_nifti(path) else []
    except IgddError as error:
        problems.append(str(error))
    if not series and not problems:
        problems.append(f"{path}: no DICOM or NIfTI file; expected a scanner's export or BIDS")
    return {"path": str(path), "series": series, "problems": problems}


def text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = []
    for row in found["series"]:
        size = " x ".join(str(number) for number in row.get("shape") or ())
        spacing = " x ".join(f"{length:g}" for length in row.get("spacing") or ())
        title = row.get("description") or row.get("path") or ""
        lines.append(f"{row['modality'] or 'image':8} {title}")
        known = {
            "series": row.get("series"),
            "voxels": f"{size} of {spacing} mm" if size else None,
            "frames": row.get("frames"),
            "unit": row.get("units") or row.get("unit"),
            "tracer": row.get("tracer"),
            "nuclide": row.get("nuclide"),
            "acquired": row.get("acquired"),
            "regions": ", ".join(row.get("regions") or ()),
            "missing": ", ".join(row.get("missing") or ()),
            "flags": ", ".join(row.get("flags") or ()),
            "SUV rule": row.get("suv_rule"),
            "no SUV": row.get("suv_problem"),
            "problem": row.get("problem"),
        }
        lines += [f"  {name + ':':10} {value}" for name, value in known.items() if value]
    return "\n".join([*lines, *found["problems"]])


def _dicom(path: Path) -> list[dict[str, Any]]:
    rows = dicom_series.describe(path)
    if not any(row["modality"] == "PT" for row in rows):
        return rows
    headers = dicom_series.headers(path)
    for row in rows:
        if row["modality"] != "PT" or row["uid"] not in headers:
            continue
        try:
            factor = suv_factor(headers[row["uid"]])
        except IgddError as error:
            row["suv_problem"] = str(error)
            continue
        row["suv_factor"] = factor.value
        row["suv_rule"] = factor.rule
        row["suv_alternatives"] = dict(factor.alternatives)
        row["flags"] = sorted({*row.get("flags", ()), *factor.flags})
    return rows
