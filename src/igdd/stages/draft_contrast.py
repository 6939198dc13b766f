"""What a draft says of dynamic contrast MR: the facts of a scan that no file states, and its maps.

T1, relaxivity and baseline are the user's; a map of T1 or of the flip angle's share beside the scan
(BIDS: T1map, TB1map) is taken.
"""

from __future__ import annotations

from igdd.io import sidecar
from igdd.stages.draft_text import active, comment, commented, quoted, required
from igdd.stages.folder import Contents
from igdd.stages.visits import Scan, entities

MODALITY = "mr_dce"
MAPS = {"t1_map": "T1map", "b1_map": "TB1map"}
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
    found = {key: _map(scan, contents, suffix) for key, suffix in MAPS.items()}
    return {key: path for key, path in found.items() if path}


def _map(scan: Scan, contents: Contents, suffix: str) -> str:
    """Path of the one map of a visit on a grid of the scan's size; "" where there is none."""
    own, root = entities(scan.entry, contents.root), contents.root
    found = [
        entry.path.relative_to(root).as_posix()
        for entry in contents.of("series")
        if entry.path.is_file()
        and sidecar.stem(entry.path).rpartition("_")[2].lower() == suffix.lower()
        and entry.facts.get("shape") == scan.entry.facts.get("shape")
        and all(entities(entry, root).get(key) == own.get(key) for key in ("sub", "ses"))
    ]
    return found[0] if len(found) == 1 else ""


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
