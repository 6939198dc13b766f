"""Where a label goes once it has left what it was on: known sinks, by element (a cited table).

`free_label_sinks.csv`: use is `sink` (it stays there), `excretion` (it passes there), or
`not_usable` (the carrier goes there too, so that nothing can be told). A place that is not in the
table is not known to be free of released label.
"""

from __future__ import annotations

import csv
import re
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple


class Sink(NamedTuple):
    """What is known of an element's free form in a place."""

    element: str
    form: str
    use: str
    source: str


@lru_cache(maxsize=1)
def _rows() -> tuple[tuple[Sink, tuple[str, ...]], ...]:
    text = files("igdd.metrics").joinpath("free_label_sinks.csv").read_text(encoding="utf-8")
    return tuple(
        (
            Sink(row["element"], row["form"], row["use"], row["source"]),
            tuple(row["places"].split("|")),
        )
        for row in csv.DictReader(text.splitlines())
    )


def sink_of(nuclide: str, place: str) -> Sink | None:
    """What free label of a nuclide ("Zr-89") does in a place ("bone", "left femur"), if known.

    >>> sink_of("Zr-89", "left femur").use, sink_of("Zr-89", "liver")
    ('sink', None)
    """
    symbol = re.match(r"[0-9]*m?-?([A-Z][a-z]?)", nuclide.strip())
    if symbol is None:
        return None
    words = set(re.split(r"[^a-z]+", place.lower()))
    if "marrow" in words:  # cells, not the mineral that bone seekers bind to
        return None
    for sink, places in _rows():
        named = any(word == one or word.startswith(one) for one in places for word in words)
        if sink.element == symbol[1] and named:
            return sink
    return None
