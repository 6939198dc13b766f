"""Units at the doors: text with a unit in, a plain number in the wished unit out; UCUM both ways.

Inside, quantities are plain numbers in s, mm, mL, g, Bq, mol and their quotients. Only the doors
(readers, the study, the report) call this module. A text without a unit, with one of another
dimension, or with one that can be read in two ways is a `UnitsError`, never a guess.

The grammar is that of UCUM (ucum.org, version 2.1): factors joined by "." and "/", from left to
right, whole-number exponents ("cm2", "s-1"), annotations in braces, powers of ten ("10*-6"), and
the spellings that images and tables use besides ("Bq/cc", "µg", "cm^3", "mL/min/100g", "BQML").
Activity (Bq) is a dimension of its own here, apart from a rate (1/s), and so are counts, although
UCUM holds them equal: a rate constant must never pass for an activity.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from igdd.errors import UnitsError

# Stands for the unit of a curve in that of a figure of it.
CURVE = "{curve}"
LONGEST = 80  # characters of a quantity or a unit; nobody writes a longer one

_PREFIXES = {
    "T": 12, "G": 9, "M": 6, "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12,
    "f": -15,
}  # fmt: skip

# Units that take a prefix: factor to the internal unit (exact decimal), and dimensions.
_METRIC: dict[str, tuple[str, dict[str, int]]] = {
    "s": ("1.0", {"s": 1}),
    "m": ("1e3", {"mm": 1}),
    "g": ("1.0", {"g": 1}),
    "L": ("1e6", {"mm": 3}),
    "mol": ("1.0", {"mol": 1}),
    "M": ("1e-6", {"mol": 1, "mm": -3}),
    "Bq": ("1.0", {"Bq": 1}),
    "Ci": ("3.7e10", {"Bq": 1}),
    "Hz": ("1.0", {"s": -1}),
    "Gy": ("1e6", {"mm": 2, "s": -2}),
    "Sv": ("1", {"Sv": 1}),
    "J": ("1e9", {"g": 1, "mm": 2, "s": -2}),
    "W": ("1e9", {"g": 1, "mm": 2, "s": -3}),
    "Pa": ("1.0", {"g": 1, "mm": -1, "s": -2}),
    "eV": ("1.602176634e-10", {"g": 1, "mm": 2, "s": -2}),
    "T": ("1.0", {"T": 1}),
}
_PLAIN: dict[str, tuple[str, dict[str, int]]] = {
    "min": ("60.0", {"s": 1}),
    "h": ("3600.0", {"s": 1}),
    "d": ("86400.0", {"s": 1}),
    "wk": ("604800.0", {"s": 1}),
    "a": ("31557600.0", {"s": 1}),
    "%": ("1e-2", {}),
    "[ppm]": ("1e-6", {}),
    "[in_i]": ("25.4", {"mm": 1}),
    "[lb_av]": ("453.59237", {"g": 1}),
    "mm[Hg]": ("133.322387415", {"g": 1, "mm": -1, "s": -2}),
    "Cel": ("1.0", {"Cel": 1}),
    "deg": ("1.0", {"deg": 1}),
    "rad": ("57.29577951308232", {"deg": 1}),
    "[hnsf'U]": ("1.0", {"HU": 1}),
    "{counts}": ("1.0", {"counts": 1}),
}

# What people write -> UCUM. Whole units first; a DICOM PET unit (0054,1001) stands for itself.
_WHOLE = {
    "BQML": "Bq/mL", "CM2ML": "cm2/mL", "GML": "g/mL", "CNTS": "{counts}", "CPS": "{counts}/s",
    "PCNT": "%", "MLMING": "mL/(min.g)", "MLMINML": "mL/(min.mL)", "UMOLML": "umol/mL",
    "UMOLMINML": "umol/(min.mL)", "MGMINML": "mg/(min.mL)", "1CM": "/cm", "NONE": "1",
    "BQ/ML": "Bq/mL", "KBQ/ML": "kBq/mL",
    "a.u.": "1", "cps": "{counts}/s", "cpm": "{counts}/min", "kcps": "10*3.{counts}/s",
}  # fmt: skip
_SPELLINGS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "mins": "min", "minute": "min",
    "minutes": "min", "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d",
    "week": "wk", "weeks": "wk", "y": "a", "yr": "a", "year": "a", "years": "a",
    "cc": "mL", "ccm": "mL", "mcg": "ug", "bq": "Bq", "BQ": "Bq", "kbq": "kBq",
    "in": "[in_i]", "inch": "[in_i]", "lb": "[lb_av]", "lbs": "[lb_av]", "mmHg": "mm[Hg]",
    "°C": "Cel", "℃": "Cel", "degC": "Cel", "HU": "[hnsf'U]", "ppm": "[ppm]", "pct": "%",
    "°": "deg", "degree": "deg", "degrees": "deg",
    "percent": "%", "%ID": "%", "%IA": "%", "%[ID]": "%", "counts": "{counts}",
    "count": "{counts}", "unitless": "1", "ml": "mL", "l": "L", "dl": "dL", "ul": "uL",
}  # fmt: skip
# A million of these is met in no image and no study: an M before them is an m in capitals.
_NEVER_MEGA = frozenset({"s", "m", "g", "L", "mol", "M", "T", "Ci"})
_CHARACTERS = str.maketrans(
    {"µ": "u", "μ": "u", "·": ".", "⋅": ".", "×": ".", "−": "-", "²": "2", "³": "3", "¹": "1",
     "⁻": "-"}
)  # fmt: skip

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TOKEN = re.compile(
    r"(?P<power>10(?:\*|\^)[+-]?[0-9]{1,2})(?:\{[^{}]*\})?"
    r"|(?P<number>[0-9]+)(?![0-9.eE]*[eE])"
    r"|(?P<symbol>%\[I[DA]\]|%I[DA]\b|mm\[Hg\]|\[[A-Za-z_']+\]|\{counts\}|%|[°℃]?[A-Za-z]+|[°℃])"
    r"(?:\^|\*\*)?(?P<exponent>[+-]?[1-9])?(?:\{[^{}]*\})?"
    r"|(?P<note>\{[^{}]*\})"
    r"|(?P<sign>[./*()])"
)

_EXAMPLES = {
    "s": "10 min", "Bq": "37 MBq", "g": "2.1 mg", "mm": "6.0 mm", "mL": "5 mL", "1": "0.3",
    "Bq/mL": "5 kBq/mL", "g/mL": "1.04 g/mL", "%": "5 %",
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """A unit: exact factor to the internal unit, dimensions, and its strict UCUM spelling."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...]
    ucum: str


def read(text: str, unit: str) -> float:
    """The number that a text with a unit means in the wished unit.

    A plain number is read only where the wished unit is "1".

    >>> read("10 min", "s"), read("37 MBq", "Bq"), read("172 cm", "mm")
    (600.0, 37000000.0, 1720.0)
    >>> read("10", "s")
    Traceback (most recent call last):
    igdd.errors.UnitsError: '10' has no unit; expected a quantity in s, such as '10 min'
    """
    wish = f"expected a quantity in {unit}, such as '{_EXAMPLES.get(unit, f'1 {unit}')}'"
    if isinstance(text, int | float) and not isinstance(text, bool) and unit == "1":
        text = repr(text)
    if not isinstance(text, str):
        raise UnitsError(f"{str(text)[:40]!r} has no unit; {wish}")
    shown = repr(text[:LONGEST])
    plain = text.strip().translate(_CHARACTERS)
    match = _NUMBER.match(plain) if len(text) <= LONGEST else None
    if match is None:
        raise UnitsError(f"{shown} does not begin with a number; {wish}")
    value, rest = float(match[0]), plain[match.end() :].strip()
    if not math.isfinite(value):
        raise UnitsError(f"{shown} is beyond the range of numbers; {wish}")
    if rest.startswith(","):
        raise UnitsError(f"{shown} has a comma; {wish}, with a decimal point")
    if not rest and unit != "1":
        raise UnitsError(f"{shown} has no unit; {wish}")
    if re.match(r"[0-9.*^-](?!\s*/)", rest) and not rest.startswith(("10*", "10^")):
        raise UnitsError(f"{shown} has something between its number and its unit; {wish}")
    try:
        result = float(Fraction(repr(value)) * _ratio(rest or "1", unit))
    except UnitsError as error:
        raise UnitsError(f"{shown}: {error}") from error
    except OverflowError as error:
        raise UnitsError(f"{shown} is beyond the range of numbers in {unit}; {wish}") from error
    return result


def factor(found: str, wished: str) -> float:
    """What a number in unit `found` must be multiplied by to be in unit `wished`.

    >>> factor("kBq/cc", "Bq/mL"), factor("mL/min/100g", "mL/(min.g)")
    (1000.0, 0.01)
    """
    return float(_ratio(found, wished))


def converts(found: str, wished: str) -> bool:
    """Whether a number in unit `found` can be brought to unit `wished`.

    >>> converts("kBq/cc", "Bq/mL"), converts("kBq", "mL"), converts("lots", "mL")
    (True, False, False)
    """
    try:
        _ratio(found, wished)
    except UnitsError:
        return False
    return True


def _ratio(found: str, wished: str) -> Fraction:
    """`factor`, exact: 2.1 mg are 0.0021 g to the last digit."""
    one, other = parse(found), parse(wished)
    if one.dimensions != other.dimensions:
        raise UnitsError(
            f"unit {found!r} does not convert to {wished}; expected a unit such as {wished}"
        )
    return one.factor / other.factor


def of_curve(text: str, unit: str) -> str:
    """A unit in which "{curve}", times s or over s, stands for the unit of a curve.

    A product after a quotient is read in two ways, so that s goes to what is above the line.

    >>> of_curve("{curve}.s", "mmol/L"), of_curve("{curve}/s", "kBq/mL"), of_curve("{curve}.s", "1")
    ('mmol.s/L', 'kBq/mL/s', 's')
    """
    if not text.startswith(CURVE):
        return text
    plain, rest = from_ucum(unit), text.removeprefix(CURVE)
    if plain == "1":
        return {"": "1", ".s": "s", "/s": "1/s"}[rest]
    above, line, below = plain.partition("/")
    if rest != ".s" or not line:
        return plain + rest
    simple = above != "1" and not set("/()") & set(above + below)
    return f"{above}.s/{below}" if simple else f"({plain}).s"


def to_ucum(unit: str, note: str = "") -> str:
    """Strict UCUM spelling of a unit, with an annotation in braces if one is given.

    >>> to_ucum("µg/cc"), to_ucum("HU"), to_ucum("g/mL", note="SUVbw")
    ('ug/mL', "[hnsf'U]", 'g/mL{SUVbw}')
    """
    if note and not re.fullmatch(r"[!-z|~]{1,40}", note):
        raise UnitsError(f"annotation {note[:40]!r} must be short ASCII text without braces")
    return parse(unit).ucum + (f"{{{note}}}" if note else "")


def from_ucum(text: str) -> str:
    """igdd's spelling of a UCUM unit or a common imaging one; annotations do not count.

    >>> from_ucum("g/ml{SUVbw}"), from_ucum("BQML"), from_ucum("%[ID]/g"), from_ucum("[hnsf'U]")
    ('g/mL', 'Bq/mL', '%/g', 'HU')
    """
    plain = parse(text).ucum
    for ucum, spelled in (("[hnsf'U]", "HU"), ("{counts}", "counts"), ("mm[Hg]", "mmHg")):
        plain = plain.replace(ucum, spelled)
    return plain


@lru_cache(maxsize=1024)
def parse(text: str) -> Unit:
    """The unit that a text spells; `UnitsError` names the part that is not understood."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise UnitsError(f"unit {str(text)[:LONGEST]!r} is too long; expected one such as 'kBq/mL'")
    plain = text.strip().translate(_CHARACTERS)
    if not plain:
        raise UnitsError("the unit is empty; expected one such as 'kBq/mL', or '1' for none")
    plain = _WHOLE.get(plain, plain)
    # annotations say what is meant, not how much; {counts} is igdd's only unit in braces
    plain = re.sub(r"\{(?!counts\})[^{}]*\}", "", plain) or "1"
    tokens = _tokens(plain, text)
    unit = _Parser(tokens, text).term()
    if tokens:
        raise _unreadable(text, tokens[0][1])
    whole = re.fullmatch(r"\(([^()]*)\)", unit.ucum)
    return Unit(unit.factor, unit.dimensions, whole[1]) if whole else unit


def respelled(text: str) -> str | None:
    """The unit that differs from a text in capitals alone; None where there is none, or several.

    >>> respelled("KBq/mL"), respelled("mbq/mL")
    ('kBq/mL', None)
    """
    plain = text.strip().translate(_CHARACTERS)
    found: list[str] = []
    for part in re.split("([A-Za-z]+)", plain):
        known = not part.isalpha() or (_size(part) is not None and not _is_million(part))
        meant = {part} if known else _by_letters().get(part.lower(), ())
        if len(meant) != 1:
            return None
        found += meant
    mended = "".join(found)
    if mended == plain:
        return None
    try:
        parse(mended)
    except UnitsError:
        return None
    return mended


@lru_cache(maxsize=1)
def _by_letters() -> dict[str, set[str]]:
    """Symbols by their letters in lower case, each once for what it means."""
    known = [*_PLAIN, *_METRIC, *(prefix + base for prefix in _PREFIXES for base in _METRIC)]
    found: dict[str, dict[object, str]] = {}
    for symbol in (*known, *_SPELLINGS):
        size = _size(symbol)
        if symbol.isalpha() and size is not None and not _is_million(symbol):
            found.setdefault(symbol.lower(), {}).setdefault(repr(size), symbol)
    return {letters: {*meant.values()} for letters, meant in found.items()}


def _unreadable(text: str, part: str) -> UnitsError:
    # Another unit as an example might be taken for the one that is meant.
    meant = respelled(text)
    expected = f"perhaps {meant!r} is meant" if meant else "expected a spelling of UCUM (ucum.org)"
    return UnitsError(f"unit {text!r} is not understood at {part[:20]!r}; {expected}")


def _tokens(plain: str, text: str) -> list[tuple[str, str, int]]:
    """(kind, text, exponent) of each part; a number that touches a symbol binds to it."""
    found: list[tuple[str, str, int]] = []
    end = 0
    # blanks may stand around signs and after a number, not inside a symbol: "m s" is not "ms"
    plain = re.sub(r"\s*([./*()])\s*|(?<![A-Za-z\]}])(?<=[0-9])\s+(?=[A-Za-z%\[{])", r"\1", plain)
    for match in _TOKEN.finditer(plain):
        if match.start() != end:
            break
        end = match.end()
        kind = str(match.lastgroup if match.lastgroup != "exponent" else "symbol")
        found.append((kind, match[kind], int(match["exponent"] or 1)))
    rest = plain[end:]
    if rest or not found:
        raise _unreadable(text, rest or plain)
    return found


class _Parser:
    """Reads tokens from the left; each method takes its own off the list."""

    def __init__(self, tokens: list[tuple[str, str, int]], text: str) -> None:
        self.tokens = tokens
        self.text = text

    def term(self) -> Unit:
        """Factors joined by "." and "/"; a factor after a quotient would have two readings."""
        if self._next_sign("/"):
            self.tokens.pop(0)
            unit, divided = _quotient(parse("1"), self._factor()), True
        else:
            unit, divided = self._factor(), False
        while self.tokens and self.tokens[0][1] != ")":
            sign = self.tokens.pop(0)[1]
            if sign == "/":
                unit, divided = _quotient(unit, self._factor()), True
            elif sign in (".", "*"):
                if divided:
                    raise UnitsError(
                        f"unit {self.text!r} multiplies after it divides, which people read in two "
                        "ways; write the divisor in parentheses, such as 'mL/(min.100.g)'"
                    )
                unit = _product(unit, self._factor())
            else:
                raise _unreadable(self.text, sign)
        return unit

    def _next_sign(self, sign: str) -> bool:
        return bool(self.tokens) and self.tokens[0][:2] == ("sign", sign)

    def _factor(self) -> Unit:
        if not self.tokens:
            raise _unreadable(self.text, "its end")
        kind, part, exponent = self.tokens.pop(0)
        if kind == "sign":
            if part != "(":
                raise _unreadable(self.text, part)
            unit = self.term()
            if not self._next_sign(")"):
                raise _unreadable(self.text, "the open parenthesis")
            self.tokens.pop(0)
            return Unit(unit.factor, unit.dimensions, f"({unit.ucum})")
        if kind == "power":
            power = int(part[3:])
            return Unit(Fraction(10) ** power, (), f"10*{power}")
        if kind == "number":
            return self._number(part)
        return _symbol(part, exponent, self.text)

    def _number(self, part: str) -> Unit:
        if not 0 < int(part[:12]) <= 10**9:
            raise _unreadable(self.text, part)
        unit = Unit(Fraction(part), (), part)
        if self.tokens and self.tokens[0][0] == "symbol":  # "100g" is one factor
            unit = _product(unit, self._factor())
            return Unit(unit.factor, unit.dimensions, f"({unit.ucum})")
        return unit


def _symbol(part: str, exponent: int, text: str) -> Unit:
    spelled = _SPELLINGS.get(part, part)
    if spelled == "1":
        return Unit(Fraction(1), (), "1")
    size, dimensions = _lookup(part, text)
    powers = tuple(sorted((base, power * exponent) for base, power in dimensions.items()))
    ucum = spelled + (f"{exponent}" if exponent != 1 else "")
    if spelled[-1] == "M":  # molar is no UCUM unit
        litre = "L" if exponent == -1 else f"L{-exponent}"
        amount = f"{spelled[:-1]}mol"
        ucum = f"({amount}/L)" if exponent == 1 else f"({amount}{exponent}.{litre})"
    return Unit(size**exponent, powers, ucum)


def _lookup(symbol: str, text: str) -> tuple[Fraction, dict[str, int]]:
    found = _size(symbol)
    if found is None:
        raise _unreadable(text, symbol)
    if _is_million(symbol):
        rest = _base(symbol)
        raise UnitsError(
            f"unit {text!r}: {symbol!r} means a million {rest}; expected such as 'm{rest}', a "
            f"thousandth of it; write it so, or as '10*6.{rest}' if a million is meant"
        )
    return found


def _size(symbol: str) -> tuple[Fraction, dict[str, int]] | None:
    """Factor and dimensions of a symbol; None where it is none."""
    spelled = _SPELLINGS.get(symbol, symbol)
    for known in (_PLAIN, _METRIC):
        if spelled in known:
            return Fraction(known[spelled][0]), known[spelled][1]
    prefix, base = _PREFIXES.get(spelled[:1]), _METRIC.get(_base(spelled))
    if prefix is None or base is None:
        return None
    return Fraction(10) ** prefix * Fraction(base[0]), base[1]


def _base(symbol: str) -> str:
    """A symbol without its prefix."""
    return "L" if symbol[1:] == "l" else symbol[1:]


def _is_million(symbol: str) -> bool:
    """Whether a symbol means a million of what nobody has millions of."""
    alone = symbol in _SPELLINGS or symbol in _PLAIN or symbol in _METRIC
    return symbol[:1] == "M" and not alone and _base(symbol) in _NEVER_MEGA


def _product(one: Unit, other: Unit, sign: int = 1, joint: str = ".") -> Unit:
    powers = dict(one.dimensions)
    for base, power in other.dimensions:
        powers[base] = powers.get(base, 0) + sign * power
    kept = tuple(sorted((base, power) for base, power in powers.items() if power))
    return Unit(one.factor * other.factor**sign, kept, f"{one.ucum}{joint}{other.ucum}")


def _quotient(one: Unit, other: Unit) -> Unit:
    return _product(one, other, sign=-1, joint="/")
