"""The text of a drafted study: TOML whose strings and comments hold whatever a file is called.

An active line is a fact that the files state. A line behind the marker of `study.UNKNOWN_FACT` is
a fact that nobody states, with an example in its place. Any other comment says why, or what may be
added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from igdd.study import UNKNOWN_FACT

# TOML forbids them in comments, and they would break a line (TOML 1.0, "Comment", "String").
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPES = {'"': '\\"', "\\": "\\\\"}
LONGEST_COMMENT = 400
HEAD = """Drafted from the files of this folder. A line marked REQUIRED is a fact that no file
states: give it its value in place of the example and remove the mark, or remove the line where
it does not apply. Check the rest, then: igdd check, igdd run."""
SCANNER = """The scanner's point spread (FWHM), as measured in a phantom. Without it, values are not
corrected for partial volume: small lesions read low, and every row says so (flag psf_unknown)."""
ARM = 'arm = "targeted"   # needed to compare groups'
SEX = 'sex = "F"   # F, M or O'
UPTAKE = ["[[measure]]", 'metric = "uptake"', "", "[[measure]]", 'metric = "ledger"']
DECLARED = {
    "unit": ('"Bq/mL"', "unit of the stored values: Bq/mL, kBq/mL or MBq/mL"),
    "corrected_to": (
        '"scan_start"',
        "instant that the stored values are corrected to for decay: administration, scan_start, "
        "none",
    ),
    "duration": ('"10 min"', "length of the scan"),
    "attenuation_corrected": ("true", "whether attenuation was corrected"),
}


def quoted(text: str) -> str:
    r"""A TOML basic string of any text that is Unicode.

    A number sign is escaped, so that no file name can pass for a marker.

    >>> print(quoted('a "b" \\ #\n'))
    "a \"b\" \\ \u0023\u000A"
    """
    plain = "".join(_ESCAPES.get(sign, sign) for sign in text)
    escaped = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04X}", plain)
    return '"' + escaped.replace("#", "\\u0023") + '"'


def can_be_quoted(text: str) -> bool:
    """Whether a text is Unicode: names of files may hold bytes that are no text."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def active(key: str, value: str, why: str = "") -> str:
    """A fact that is known, as a line of TOML."""
    return f"{key} = {value}" + (f"   # {said(why)}" if why else "")


def required(key: str, example: str, why: str) -> str:
    """A fact that nobody states: its line with an example, behind the marker."""
    return f"{UNKNOWN_FACT} {key} = {example}   # {said(why)}"


def comment(text: str) -> list[str]:
    """A remark of one or more lines."""
    return [f"# {said(line)}".rstrip() for line in text.split("\n")]


def commented(lines: Iterable[str]) -> list[str]:
    """Lines of TOML that do not count."""
    return [f"# {line}" if line else "#" for line in lines]


def said(text: str) -> str:
    """Foreign words within a comment: on one line, not too long, and no marker."""
    plain = _CONTROL.sub(" ", text).replace("#", "")
    plain = re.sub(r" {2,}", " ", plain).strip()
    return plain if len(plain) <= LONGEST_COMMENT else plain[: LONGEST_COMMENT - 4] + " ..."


def listed(texts: Sequence[str]) -> str:
    """A TOML array of strings; a single one stands alone."""
    if len(texts) == 1:
        return quoted(texts[0])
    return "[" + ", ".join(quoted(text) for text in texts) + "]"
