"""What a draft says of the kinetics of dynamic PET: its blood, and how a model is fitted."""

from __future__ import annotations

from collections.abc import Sequence

from igdd.stages.draft_text import active, can_be_quoted, comment, commented, listed, quoted
from igdd.stages.folder import Contents, Entry
from igdd.stages.visits import Scan, entities, place

READER = "pet_bids_blood"
# What a table of blood says besides, for which an image has no word.
OF_BLOOD = {"recording"}
INPUT = ["[[inputs]]", 'region = "aorta"   # of the image; or blood = "blood.tsv"']
FIT = ["[[fit]]", 'model = "two_tissue"   # igdd list models']


def kinetics(used: Sequence[Scan], contents: Contents) -> list[list[str]]:
    """The blood of every session as an input, and a fit for the user to choose."""
    dynamic = [
        scan
        for scan in used
        if scan.modality == "pet" and (scan.entry.facts.get("frames") or 1) > 1 and scan.session
    ]
    if not dynamic:
        return []
    inputs = {
        (scan.subject, scan.session): _inputs(scan, files)
        for scan in dynamic
        if (files := _blood(scan, contents))
    }
    words = comment("Rates of each region, or with [[map]] of each voxel, by:")
    example = [] if inputs else [*INPUT, ""]
    return [*inputs.values(), [*words, *commented([*example, *FIT])]]


def _inputs(scan: Scan, files: Sequence[str]) -> list[str]:
    visit = [active("subject", quoted(scan.subject)), active("session", quoted(scan.session))]
    return ["[[inputs]]", *visit, active("blood", listed(files))]


def _blood(scan: Scan, contents: Contents) -> list[str]:
    """Paths of the tables of blood that are a scan's: no entity of their names differs."""
    own, root = entities(scan.entry, contents.root), contents.root
    return [
        place(entry).relative_to(root).as_posix()
        for entry in contents.of("table")
        if _is_blood(entry)
        and {"sub", "ses"} & own.keys() <= entities(entry, root).keys()
        and all(
            key in OF_BLOOD or own.get(key) == value for key, value in entities(entry, root).items()
        )
    ]


def _is_blood(entry: Entry) -> bool:
    known = entry.facts["reader"] == READER and "problem" not in entry.facts
    return known and can_be_quoted(str(entry.path))
