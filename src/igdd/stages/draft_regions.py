"""What a draft says of regions: the names found, and the kinds that they suggest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from igdd.stages.draft_text import active, comment, commented, quoted
from igdd.stages.visits import Scan

LESION = re.compile(r"lesion|tumou?r|metasta|neoplas|(?<![a-z])mets?(?![a-z])", re.IGNORECASE)
BLOOD = re.compile(r"blood|aorta|(?<![a-z])vena|cava(?![a-z])", re.IGNORECASE)
# Signs that a pattern of region names gives a meaning to (fnmatch).
PATTERN = re.compile(r"[\[*?]")


def regions(used: Sequence[Scan]) -> list[str]:
    """The names found, and the kinds that they suggest, to be confirmed."""
    names = sorted(
        {name for scan in used for one in scan.regions for name in one.facts.get("regions") or ()}
        - {""}
    )
    if not names:
        return []
    lines = comment(f"Regions found: {', '.join(names)}")
    lines += comment('A region is an "organ" of 1 g/mL unless a [[region]] says otherwise.')
    for kind, wanted in (("lesion", LESION), ("blood", BLOOD)):
        for pattern in _patterns([name for name in names if wanted.search(name)]):
            block = ["[[region]]", active("name", quoted(pattern)), active("kind", quoted(kind))]
            lines += ["#", *commented([*block, 'density = "1.04 g/mL"'])]
    return lines


def _patterns(names: Iterable[str]) -> list[str]:
    """Names, those that differ in a number at the end as one pattern."""
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(name.rstrip("0123456789"), []).append(name)
    found = []
    for stem, members in stems.items():
        plain = PATTERN.sub(lambda match: f"[{match[0]}]", stem)
        several = len(members) > 1 and stem
        exact = [PATTERN.sub(lambda match: f"[{match[0]}]", name) for name in members]
        found += [f"{plain}*"] if several else exact
    return found
