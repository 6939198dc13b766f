"""Which files hold the blood of a scan, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from igdd.errors import InputError
from igdd.io import blood_table, input_table, sidecar
from igdd.stages import blood
from igdd.stages.blood import Account, Recordings
from igdd.stages.blood_decay import half_life, injection
from igdd.stages.input_options import InputOptions


def read_recordings(
    paths: Path | str | Sequence[Path | str], options: InputOptions, account: Account
) -> Recordings:
    """What was measured in one scan's blood: a table, several, or a folder with `_blood.tsv`."""
    files = _files(paths)
    account.said.extend([f"blood of {', '.join(file.name for file in files)}", *_beside(files)])
    tables = [_read(file, options) for file in files]
    account.said.extend(
        f"not read in {Path(one.source).name}: {', '.join(one.unread)}"
        for one in tables
        if one.unread
    )
    found = blood.gather(tables)
    begun = injection(files) if options.injection is None else options.injection
    return replace(found, half_life=half_life(files), injection=begun)


def _files(paths: Path | str | Sequence[Path | str]) -> list[Path]:
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    files: list[Path] = []
    for path in map(Path, several):
        if path.is_dir():
            inside = sorted(path.glob("*_blood.tsv"))
            if not inside:
                raise InputError(f"{path}: holds no _blood.tsv; expected PET-BIDS blood recordings")
            files.extend(inside)
        else:
            files.append(path)
    if not files:
        raise InputError("no blood table is named; expected one or more")
    scans = {tuple(sorted(_entities(file).items())) for file in files}
    if len(files) > 1 and len(scans) > 1:
        raise InputError(
            f"{', '.join(file.name for file in files)}: are of different scans; expected the "
            "recordings of one; name them one by one"
        )
    return files


def _entities(file: Path) -> dict[str, str]:
    """Entities that tell one scan from another."""
    named = sidecar.entities(file.stem)
    return {k: v for k, v in named[0].items() if k != "recording"} if named else {}


def _beside(files: Sequence[Path]) -> list[str]:
    """A word on recordings of the same scan that nobody named."""
    if len(files) != 1 or "_recording-" not in files[0].name:
        return []
    near = sorted(files[0].parent.glob("*_recording-*_blood.tsv"))
    mine = _entities(files[0])
    others = [n.name for n in near if mine and n != files[0] and _entities(n) == mine]
    return [f"not used: {', '.join(others)}"] if others else []


def _holds_more(found: blood_table.Blood) -> bool:
    """Whether the table holds an input under other names than those of PET-BIDS.

    So does a column AIF, plasma without metabolites, where the plasma or its parent fraction is
    missing; beside both it says the same again.
    """
    if found.plasma is None and found.whole_blood is None and not found.fractions:
        return True
    whole = found.plasma is not None and found.parent_fraction is not None
    return not whole and any(name.strip().lower() == "aif" for name in found.unread)


def _read(file: Path, options: InputOptions) -> blood_table.Blood | input_table.InputTable:
    if blood_table.sniff(file):
        found = blood_table.read(
            file, options.facts, unit=options.unit, time_unit=options.time_unit
        )
        if not _holds_more(found):
            return found
    return input_table.read(
        file,
        unit=options.unit,
        time_unit=options.time_unit,
        compartment=options.compartment,
        facts=options.facts,
    )
