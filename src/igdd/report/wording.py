"""Wording: numbers with sensible digits, units and metrics as people print them.

Text with a unit exists only at the doors; the report is one of them.
"""

from __future__ import annotations

import math
import re

# Metric -> (name, unit as printed). The unit is None where the row's own unit is printed.
_METRICS: dict[str, tuple[str, str | None]] = {
    "concentration": ("activity concentration", None),
    "drug_concentration": ("drug concentration", None),
    "ledger_percent_id": ("share of the given activity", "%ID"),
    "percent_id": ("uptake", "%ID"),
    "percent_id_per_g": ("uptake per mass", "%ID/g"),
    "percent_id_per_kg": ("uptake per mass", "%ID/kg"),
    "percent_id_per_ml": ("uptake per volume", "%ID/mL"),
    "suvbw": ("SUV (body weight)", None),
    "suvlbm_janma": ("SUV (lean mass, Janmahasatian)", None),
    "suvlbm_james128": ("SUV (lean mass, James 128)", None),
    "suvlbm_morgan120": ("SUV (lean mass, Morgan 120)", None),
    "suvibw": ("SUV (ideal weight)", None),
    "suvbsa": ("SUV (body surface)", None),
    "volume": ("volume", None),
}
_UNITS = {
    "1": "", "%": "%", "%/g": "%ID/g", "%/kg": "%ID/kg", "%/mL": "%ID/mL", "ug/g": "µg/g",
    "cm2/mL": "cm²/mL",
}  # fmt: skip
# No-break space: a name stays with its value and unit.
UNBROKEN = "\u00a0"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BECQUEREL = ((1e9, "GBq"), (1e6, "MBq"), (1e3, "kBq"), (1.0, "Bq"))
_AMOUNT = re.compile(r"mol(\.[a-z]+)?/(mL|g)(?![A-Za-z0-9])(.*)")
_MASS = re.compile(r"g(\.[a-z]+)?/mL(?![A-Za-z0-9])(.*)")
# A concentration reads best in the largest unit of which it is a tenth.
_MOLES = ((1.0, "mol"), (1e-3, "mmol"), (1e-6, "µmol"), (1e-9, "nmol"), (1e-12, "pmol"))
_GRAMS = ((1.0, "g"), (1e-3, "mg"), (1e-6, "µg"), (1e-9, "ng"), (1e-12, "pg"))
# Words of a model's name that the field spells with capitals; "two_tissue" and the like hyphenate.
_SPELLED = {
    "srtm": "SRTM", "srtm2": "SRTM2", "mrtm1": "MRTM1", "mrtm2": "MRTM2", "ma1": "MA1",
    "ma2": "MA2", "logan": "Logan", "patlak": "Patlak", "tofts": "Tofts", "dce": "(DCE)",
    "pk": "PK", "baker": "Baker", "lonsdale": "Lonsdale", "gompertz": "Gompertz",
    "higuchi": "Higuchi", "hixson": "Hixson", "crowell": "Crowell", "hopfenberg": "Hopfenberg",
    "korsmeyer": "Korsmeyer", "peppas": "Peppas", "sahlin": "Sahlin", "weibull": "Weibull",
}  # fmt: skip
_HYPHENATED = re.compile(
    r"\b((?:one|two|three)(?= tissue\b| compartment\b)|dual(?= input\b)|(?:mono|bi|tri)"
    r"(?= exponential\b)|(?:zero|first)(?= order\b)|Baker|Hixson|Korsmeyer|Peppas(?= Sahlin)) "
)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NOMINAL = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_IAUC = re.compile(r"iauc_(\d+)")
SMALL_PERCENT_PER_GRAM = 0.05
MOST_DECIMALS = 6
INTERVAL_UNKNOWN = "95 % interval not known"


def decimals(value: float, half_width: float = math.nan) -> int:
    """Decimals that show two digits of the half-width, and at most three of the value.

    >>> decimals(21.34, 1.5), decimals(0.01234, 0.0021), decimals(97.0)
    (1, 4, 1)
    """
    digits = 2 - _magnitude(value)
    if math.isfinite(half_width) and half_width > 0:
        digits = min(digits, 1 - _magnitude(half_width)) if value else 1 - _magnitude(half_width)
    return max(digits, 0)


def number(value: float, half_width: float = math.nan) -> str:
    """A number as printed, or "not known"; very small and very large ones in powers of ten.

    >>> number(0.0123456), number(-2.0), number(2345.6), number(3.2e-7), number(float("nan"))
    ('0.0123', '−2.00', '2346', '3.20 × 10⁻⁷', 'not known')
    """
    if not math.isfinite(value):
        return "not known"
    size = max(abs(value), half_width if math.isfinite(half_width) else 0.0)
    if size != 0 and not 1e-4 <= size < 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
    return _fixed(value, decimals(value, half_width))


def with_interval(value: float, low: float, high: float, unit: str = "") -> str:
    """A value with its unit and its 95 % interval in brackets.

    >>> with_interval(21.34, 19.81, 22.79, "%ID")
    '21.3 %ID (19.8 to 22.8)'
    >>> with_interval(1.6, 1.1, 2.4)
    '1.6 (1.1 to 2.4)'
    >>> with_interval(1.6, 1.1, float("inf"))
    '1.60 (1.10 and more)'
    >>> with_interval(0.0923, -22.1, 22.3), with_interval(0.1, 0.09998, 0.10002)
    ('0.09 (−22 to 22)', '0.10000 (0.09998 to 0.10002)')
    """
    printed_unit = f" {unit}" if unit else ""
    if not math.isfinite(value):
        return "not known"
    if math.isfinite(low) and high == math.inf:
        return f"{number(value)}{printed_unit} ({number(low)} and more)"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{number(value)}{printed_unit} ({INTERVAL_UNKNOWN})"
    half_width = (high - low) / 2
    size = max(abs(value), half_width)
    if size != 0 and not 1e-4 <= size < 1e6:
        return f"{number(value)}{printed_unit} ({number(low)} to {number(high)})"
    places = decimals(value, half_width)
    while low < high and places < MOST_DECIMALS and _fixed(low, places) == _fixed(high, places):
        places += 1
    shown = [_fixed(item, places) for item in (value, low, high)]
    while places > 1 and all(item.endswith("0") for item in shown):
        places -= 1
        shown = [_fixed(item, places) for item in (value, low, high)]
    if value and not round(value, places):
        # An interval that says nothing takes no digit from the value but the last.
        shown[0] = _fixed(value, -_magnitude(value)) if abs(value) >= 1e-4 else number(value)
    return f"{shown[0]}{printed_unit} ({shown[1]} to {shown[2]})"


def p_value(p: float) -> str:
    """A p value with two digits.

    >>> p_value(0.0321), p_value(0.00002), p_value(float("nan"))
    ('0.032', '< 0.001', '–')
    """
    if not math.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def metric_name(metric: str, printed_unit: str = "Bq") -> str:
    """What a metric is, in words; a model's parameter with its model.

    A concentration is one of activity unless its printed unit says otherwise.

    >>> metric_name("percent_id_per_g"), metric_name("ratio_to_blood"), metric_name("srtm_BPND")
    ('uptake per mass', 'ratio to blood', 'BPND (SRTM)')
    """
    if metric == "concentration" and "Bq" not in printed_unit:
        return metric
    if metric in _METRICS:
        return _METRICS[metric][0]
    model = _model_of(metric)
    if model:
        return f"{metric.removeprefix(f'{model}_')} ({model_name(model)})"
    if horizon := _IAUC.fullmatch(metric):
        return f"IAUC{horizon[1]}"
    return metric.replace("_", " ")


def _model_of(metric: str) -> str:
    """The model whose parameter a metric is, empty for other metrics."""
    from igdd import catalog

    fitting = [
        name
        for name, model in catalog.declarations("models").items()
        if metric.startswith(f"{name}_")
        and any(metric == f"{name}_{one.name}" for one in (*model.parameters, *model.derived))
    ]
    return max(fitting, key=len, default="")


def model_name(model: str) -> str:
    """A model as the field spells it, in the middle of a sentence.

    >>> [model_name(one) for one in ("srtm", "ma1", "two_tissue_irreversible", "reference_logan")]
    ['SRTM', 'MA1', 'two-tissue irreversible', 'reference Logan']
    >>> model_name("extended_tofts"), model_name("dual_input_extended_tofts")
    ('extended Tofts', 'dual-input extended Tofts')
    """
    words = " ".join(_SPELLED.get(word, word) for word in model.replace("_", " ").split())
    return _HYPHENATED.sub(r"\1-", words)


def metric_unit(metric: str, unit: str) -> str:
    """The unit of a metric as printed; %ID and its quotients are spelled so.

    >>> metric_unit("percent_id", "%"), metric_unit("suvbw", "g/mL"), metric_unit("cv", "1")
    ('%ID', 'g/mL', '')
    """
    base = metric.removesuffix("_uncorrected")
    special = _METRICS.get(base, ("", None))[1]
    return special if special is not None else _UNITS.get(unit, unit)


def scaled(metric: str, unit: str, size: float) -> tuple[float, str]:
    """Factor and printed unit that keep a typical size readable.

    Bq/mL becomes kBq/mL, mol/mL becomes mmol/L; a patient's small %ID/g becomes %ID/kg, a thousand
    times the number. g/mL is rescaled where it is a concentration, not where it is an SUV.

    >>> scaled("concentration", "Bq/mL", 5300.0), scaled("percent_id_per_g", "%/g", 0.01)
    ((0.001, 'kBq/mL'), (1000.0, '%ID/kg'))
    >>> scaled("concentration", "mol/mL", 2e-7), scaled("concentration", "mol/mL", 3e-8)
    ((1000000.0, 'mmol/L'), (1000000000.0, 'µmol/L'))
    """
    if unit == "%/g" and abs(size) < SMALL_PERCENT_PER_GRAM:
        return 1000.0, metric_unit("percent_id_per_kg", "%/kg")
    if not math.isfinite(size):
        return 1.0, metric_unit(metric, unit)
    if unit.startswith("Bq"):
        step, prefix = next((one for one in _BECQUEREL if abs(size) >= one[0]), _BECQUEREL[-1])
        return 1 / step, prefix + _dotted(unit.removeprefix("Bq"))
    if amount := _AMOUNT.fullmatch(unit):
        factor, name = _readable(abs(size) * 1000, _MOLES)
        space = {"mL": "L", "g": "kg"}[amount[2]]
        return 1000 * factor, _dotted(f"{name}{amount[1] or ''}/{space}{amount[3]}")
    mass = _MASS.fullmatch(unit)
    if mass and metric.endswith("concentration"):
        factor, name = _readable(abs(size), _GRAMS)
        return factor, _dotted(f"{name}{mass[1] or ''}/mL{mass[2]}")
    return 1.0, metric_unit(metric, unit)


def _readable(size: float, steps: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """Factor and unit of the largest step of which a size is a tenth; of zero the second."""
    fitting = steps[1] if not size else next((one for one in steps if size >= 0.1 * one[0]), None)
    step, name = fitting or steps[-1]
    return float(round(1 / step)), name


def _dotted(unit: str) -> str:
    return unit.replace(".", "·")


def axis_title(metric: str, printed_unit: str) -> str:
    """Title of an axis: the quantity and its unit.

    >>> axis_title("percent_id", "%ID"), axis_title("ratio_to_blood", "")
    ('uptake (%ID)', 'ratio to blood')
    """
    name = metric_name(metric, printed_unit)
    return f"{name} ({printed_unit})" if printed_unit else name


def session_name(session: str) -> str:
    """A session as printed; a nominal time gets its space.

    >>> session_name("24h"), session_name("baseline"), session_name("ses-2")
    ('24 h', 'baseline', 'ses-2')
    """
    found = _NOMINAL.fullmatch(session)
    return f"{found[1]} {found[2]}" if found else session


def at_session(session: str) -> str:
    """Where in time a sentence speaks.

    >>> at_session("24h"), at_session("baseline"), at_session("")
    ('at 24 h', 'in session baseline', '')
    """
    if not session:
        return ""
    name = session_name(session)
    return f"at {name}" if _NOMINAL.fullmatch(session) else f"in session {name}"


def region_name(region: str) -> str:
    """A region as a sentence names it.

    >>> region_name("lesion_1")
    'lesion 1'
    """
    return region.replace("_", " ").strip() or "(unnamed)"


def time_unit(longest: float) -> tuple[float, str]:
    """Seconds per unit, and the unit, for a time axis that ends at `longest` seconds.

    >>> time_unit(72 * 3600.0), time_unit(3600.0)
    ((3600.0, 'h'), (60.0, 'min'))
    """
    name = "s" if longest < 300 else "min" if longest < 3 * 3600 else "h"
    name = "d" if longest > 20 * 86400 else name
    return _SECONDS[name], name


def duration(seconds: float) -> str:
    """A time after administration as printed.

    >>> duration(90000.0), duration(600.0)
    ('25.0 h', '10.0 min')
    """
    step, name = time_unit(seconds)
    return f"{number(seconds / step)} {name}"


def capitalised(sentence: str) -> str:
    """The sentence with a capital first letter; the rest stays."""
    return sentence[:1].upper() + sentence[1:]


def verb(region: str, singular: str, plural: str) -> str:
    """The form of a verb that fits a region's name.

    >>> [verb(name, "holds", "hold") for name in ("liver", "lungs", "pancreas", "thymus")]
    ['holds', 'hold', 'holds', 'holds']
    """
    many = region.endswith("s") and not region.endswith(("as", "is", "ss", "us"))
    return plural if many else singular


def in_words(text: str, metric: str) -> str:
    """A sentence with the table's metric name replaced by what people print.

    >>> in_words("3 times the percent_id_per_g of the plain arm", "percent_id_per_g")
    '3 times the %ID/g of the plain arm'
    """
    name, unit = _METRICS.get(metric, (metric_name(metric), None))
    return re.sub(rf"\b{re.escape(metric)}\b", lambda _: unit or name, text) if metric else text


def sentence(*parts: str) -> str:
    """Parts as one sentence: one space between them, a capital first letter, a full stop.

    >>> sentence("", "liver holds 1 %ID", "")
    'Liver holds 1 %ID.'
    """
    text = " ".join(part for part in parts if part)
    return capitalised(text) + "."


def listed(parts: list[str]) -> str:
    """Parts joined as prose.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def count(amount: int, noun: str) -> str:
    """An amount with its noun.

    >>> count(1, "subject"), count(12, "subject")
    ('1 subject', '12 subjects')
    """
    return f"{amount} {noun}" if amount == 1 else f"{_fixed(amount, 0)} {noun}s"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _fixed(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    if abs(value) < 10000:
        text = text.replace(",", "")
    text = text.replace(",", "\N{NO-BREAK SPACE}").replace("-", "−")
    return text.removeprefix("−") if not text.strip("−0.") else text
