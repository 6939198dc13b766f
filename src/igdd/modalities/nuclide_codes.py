"""Which nuclide a DICOM header means, when its code, its words and its half-life may disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igdd import decay
from igdd.errors import InputError
from igdd.headers import text

if TYPE_CHECKING:
    from pydicom import Dataset

# Codes of DICOM PS3.16 CID 4020 "PET Radionuclide": SNOMED CT or DCM, and the older SNOMED-RT.
_CODES = """
    As-70=126602 As-72=2705002/C-115A2 Br-75=17910003/C-113A1 Br-76=79523006/C-113A2
    Br-77=86521004/C-113A3 C-11=40565003/C-105A1 Cu-60=425364008/C-127A4 Cu-61=71425003/C-127A1
    Cu-62=422934004/C-127A5 Cu-64=3932008/C-127A2 F-18=77004003/C-111A1 Fe-52=69089000/C-130A1
    Ga-66=79477007/C-131A1 Ga-68=35337001/C-131A3 Ge-68=53315004/C-128A2 I-124=40937006/C-114A5
    K-38=423764008/C-135A4 Mn-51=126601 Mn-52=37225000/C-149A1 Mn-52m=126607
    N-13=21576001/C-107A1 Na-22=71633006/C-155A1 Nb-90=126603 O-14=424875009/C-1018C
    O-15=129504001/C-B1038 Rb-82=79197006/C-159A2 Sc-43=126605 Sc-44=126600
    Se-73=87437000/C-116A2 Tb-152=126606 Tc-94m=424079002/C-163AA Ti-45=75696008/C-166A2
    Y-86=10738001/C-162A3 Y-90=14691008/C-162A7 Zn-62=65054007/C-141A1 Zr-89=63360001/C-168A4
"""
NUCLIDES = {
    code: name
    for name, listed in (pair.split("=") for pair in _CODES.split())
    for code in listed.split("/")
}
# Half-lives in old headers are off by up to 2 %; other nuclides of PET by far more than 5 %.
SAME_HALF_LIFE = 0.05


def identify(coded: Dataset | None, half_life: float | None) -> tuple[str | None, bool]:
    """Name of the nuclide of a RadionuclideCodeSequence item, and whether its facts contradict.

    Code and words are tried in turn; one that fits the half-life [s] wins. None where neither
    does, or where nothing is said.
    """
    if coded is None:
        return None, False
    by_code = NUCLIDES.get(text(coded, "CodeValue") or "")
    by_words = _named(text(coded, "CodeMeaning") or "")
    named = [name for name in (by_words, by_code) if name is not None]
    fitting = [name for name in named if _fits(name, half_life)]
    contradicts = len(set(named)) > 1 or len(fitting) < len(named)
    return (fitting[0] if fitting else None), contradicts


def _named(words: str) -> str | None:
    try:
        return decay.nuclide(words).name
    except InputError:  # free text of the site, not a nuclide
        return None


def _fits(name: str, half_life: float | None) -> bool:
    if half_life is None or name not in decay.table():
        return True
    return abs(half_life / decay.nuclide(name).half_life - 1) <= SAME_HALF_LIFE
