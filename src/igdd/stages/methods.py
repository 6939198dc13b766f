"""Methods: the sentences of all sessions as one account, which says what holds for which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

# A change in percent, such as "+2.62 %": what differs between scans treated by one rule.
CHANGE = re.compile(r"[+-]\d+\.\d\d(?= %)")
MOST_NAMED = 3


def together(sessions: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Sentences of sessions (name, sentences), each once; changes in percent become a range.

    >>> together([("01 (1h)", ["Scaled by +1.00 %."]), ("02 (1h)", ["Scaled by +2.00 %."])])
    ('Scaled by +1.00 to +2.00 %.',)
    >>> together([("01 (1h)", ["Counted."]), ("01 (2h)", ["Imaged."])])
    ('For subject 01 (1h): Counted.', 'For subject 01 (2h): Imaged.')
    """
    uses: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}
    for name, sentences in sessions:
        for text in dict.fromkeys(sentences):
            uses.setdefault(tuple(CHANGE.split(text)), []).append((name, CHANGE.findall(text)))
    accounts: dict[tuple[str, ...], list[str]] = {}
    for parts, used in uses.items():
        spans = [_span(changes) for changes in zip(*(found for _, found in used), strict=True)]
        text = "".join(part + span for part, span in zip_longest(parts, spans, fillvalue=""))
        text += "" if text.endswith(".") else "."
        accounts.setdefault(tuple(name for name, _ in used), []).append(text)
    return tuple(
        _whose(names, len(sessions)) + " ".join(texts) for names, texts in accounts.items()
    )


def _span(changes: Sequence[str]) -> str:
    low, high = min(changes, key=float), max(changes, key=float)
    return low if low == high else f"{low} to {high}"


def _whose(names: Sequence[str], every: int) -> str:
    if len(names) == every:
        return ""
    if len(names) > MOST_NAMED:
        return f"For {len(names)} of {every} sessions: "
    return f"For subject {', '.join(names)}: "
