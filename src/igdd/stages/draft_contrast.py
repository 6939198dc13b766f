"""What a draft says of dynamic contrast MR: the facts of a scan that no file states, and its maps.

T1, relaxivity and baseline are the user's; a map of T1 or of the flip angle's share beside the scan
is taken: a file that BIDS calls T1map or TB1map, or a DICOM series so described that states a unit.
"""

from __future__ import annotations

import re

from igdd import units
from igdd.headers import text
from igdd.io import sidecar
from igdd.stages.draft_text import active, comment, commented, quoted, required
from igdd.stages.folder import Contents, Entry
from igdd.stages.visits import Scan, entities, place

MODALITY = "mr_dce"
# BIDS' suffix of a map, what scanners call such a series, and what its unit converts to.
MAPS = {
    "t1_map": ("t1map", re.compile(r"\bt1[ _-]?map", re.IGNORECASE), ("s", "1/s")),
    "b1_map": ("tb1map", re.compile(r"\bt?b1[ _-]?map", re.IGNORECASE), ("1",)),
}
KINETICS = [
    "[[inputs]]",
    'region = "artery"   # of this image; or blood = "aif.tsv", or population = "parker"',
    "haematocrit = 0.42",
    "",
    "[[fit]]",
    'model = "extended_tofts"',
]


def declared(scan: Scan, contents: Contents) -> list[str]:
    """Lines of a scan: its maps, and what nobody but the user knows."""
    maps = maps_of(scan, contents)
    lines = [active(key, quoted(found)) for key, found in maps.items()]
    if "t1_map" not in maps:
        words = "T1 before contrast; or t1_map, an image; of a [[region]] also t1, as of blood"
        lines.append(required("declared.t1", '"1400 ms"', words))
    relaxivity = "r1 of the agent at the field that was imaged"
    baseline = "frames before the agent came: 5 the first five, '2-5', or until '30 s'"
    return [
        *lines,
        required("declared.relaxivity", '"3.7 L/mmol/s"', relaxivity),
        required("declared.baseline", "5", baseline),
    ]


def maps_of(scan: Scan, contents: Contents) -> dict[str, str]:
    """Paths of the maps that are a scan's, by their key in the study."""
    if scan.modality != MODALITY or scan.reason:
        return {}
    found = {key: _map(scan, contents, key) for key in MAPS}
    return {key: path for key, path in found.items() if path}


def _map(scan: Scan, contents: Contents, key: str) -> str:
    """Path of the one map of a visit on a grid of the scan's size; "" where there is none."""
    own, root = entities(scan.entry, contents.root), contents.root
    shape = list(scan.entry.facts["shape"])
    found = [
        place(entry).relative_to(root).as_posix()
        for entry in contents.of("series")
        if _is_map(entry, key)
        and list(entry.facts.get("shape") or ()) == shape
        and entry.frame_of_reference in ("", scan.entry.frame_of_reference)
        and all(entities(entry, root).get(key) == own.get(key) for key in ("sub", "ses"))
    ]
    return found[0] if len(found) == 1 else ""


def _is_map(entry: Entry, key: str) -> bool:
    """Whether a series is one volume that is called such a map, and a DICOM one states its unit."""
    suffix, described, inside = MAPS[key]
    if entry.facts.get("frames") != 1:
        return False
    if not entry.headers:
        return sidecar.stem(entry.path).rpartition("_")[2].lower() == suffix
    named = described.search(str(entry.facts.get("description") or ""))
    unit = text(entry.headers[0], "RescaleType") or ""
    return bool(named) and any(units.converts(unit, one) for one in inside)


def subject(name: str, about: list[str]) -> list[str]:
    """The block of a subject; `about` are lines of what is known of it."""
    return [
        "[[subject]]", active("id", quoted(name)), *about, "", "[[subject.given]]",
        *commented(["at = 2026-05-01T12:30:00   # the injection; with declared.start, times count "
                    "from it"]),
    ]  # fmt: skip


def measures() -> list[str]:
    """What is asked of dynamic contrast, and how a model is fitted."""
    words = "when the bolus arrives, on the scan's clock"
    return [
        "[[measure]]", 'metric = "semi_quantitative"', required("arrival", '"30 s"', words),
        "", *comment("Ktrans, ve and vp of each region, or with [[map]] of each voxel, by:"),
        *commented(KINETICS),
    ]  # fmt: skip
