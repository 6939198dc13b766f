"""Tables of voxel S values: what they say, what must be said for them, what is refused."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io.voxel_s_table import read

TITLE = "Y90 - 3mm - Soft tissue\t\t\t\r\n"
HEAD = "i\tj\tk\tS [mGy/(MBq·s)]\r\n"
ROWS = "".join(
    f"{i}\t{j}\t{k}\t{1 / (1 + i + 2 * j + 4 * k):.3E}\r\n"
    for i in range(2) for j in range(2) for k in range(2)
)  # fmt: skip


def write(folder: Path, text: str, name: str = "table.txt", code: str = "latin-1") -> Path:
    path = folder / name
    path.write_bytes(text.encode(code))
    return path


def test_a_table_says_nuclide_voxel_medium_and_unit(tmp_path):
    found = read(write(tmp_path, TITLE + HEAD + ROWS))
    assert (found.nuclide, found.side, found.medium) == ("Y-90", 3.0, "Soft tissue")
    assert found.values.shape == (3, 3, 3)
    assert found.values[1, 1, 1] == pytest.approx(1e-9)  # mGy/(MBq s) in Gy/(Bq s)
    # 1 / 5 by the octant's k, on both sides
    assert found.values[1, 1, 0] == found.values[1, 1, 2] == pytest.approx(0.2e-9)
    assert not found.values.flags.writeable


@pytest.mark.parametrize("code", ["latin-1", "utf-8", "utf-8-sig"])
def test_the_unit_is_read_in_any_of_the_codes_it_was_saved_in(tmp_path, code):
    path = write(tmp_path, TITLE + HEAD + ROWS, code=code)
    assert read(path).values[1, 1, 1] == pytest.approx(1e-9)
    # The middle dot of another code page, as some of the published tables have it.
    path = write(tmp_path, TITLE + HEAD.replace("·", "ú") + ROWS)
    assert read(path).values[1, 1, 1] == pytest.approx(1e-9)


def test_another_unit_is_converted(tmp_path):
    path = write(tmp_path, TITLE + HEAD.replace("mGy/(MBq·s)", "Gy/(MBq.h)") + ROWS)
    assert read(path).values[1, 1, 1] == pytest.approx(1e-6 / 3600)


def test_the_name_of_a_file_says_as_much_as_its_first_line(tmp_path):
    found = read(write(tmp_path, HEAD + ROWS, "177Lu2.33mmbone.txt"))
    assert (found.nuclide, found.side, found.medium) == ("Lu-177", 2.33, "bone")


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("table.txt", {"side": 3.0, "medium": "soft"}, "nothing says the nuclide"),
        ("table.txt", {"nuclide_name": "Y-90", "medium": "soft"}, "nothing says the side"),
        ("table.txt", {"nuclide_name": "Y-90", "side": 3.0}, "nothing says the medium"),
        ("90Y3mmsoft.txt", {"nuclide_name": "Lu-177"}, "Y-90 by its name, Lu-177 by the call"),
        ("90Y3mmsoft.txt", {"side": 4.0}, "3.0 by its name, 4.0 by the call"),
        ("90Y3mmsoft.txt", {"medium": "bone"}, "but the call says 'bone'"),
        ("90Y0mmsoft.txt", {}, "above 0 mm"),
        ("90Y3mmsoft.txt", {"unit": "Gy/(MBq.s)"}, "by the header and"),
    ],
)
def test_nothing_is_guessed_and_nothing_overruled(tmp_path, name, said, words):
    with pytest.raises(InputError, match=words):
        read(write(tmp_path, HEAD + ROWS, name), **said)


def test_a_first_line_and_a_name_that_differ_are_refused(tmp_path):
    with pytest.raises(InputError, match="by the first line"):
        read(write(tmp_path, TITLE + HEAD + ROWS, "90Y4mmsoft.txt"))
    with pytest.raises(InputError, match="expected the same medium"):
        read(write(tmp_path, TITLE + HEAD + ROWS, "90Y3mmbone.txt"))


def test_without_a_unit_it_must_be_said(tmp_path):
    path = write(tmp_path, TITLE + "i j k\n" + ROWS)
    with pytest.raises(InputError, match="nothing says the unit of S"):
        read(path)
    assert read(path, unit="mGy/(MBq.s)").values[1, 1, 1] == pytest.approx(1e-9)
    with pytest.raises(UnitsError):
        read(path, unit="mm")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", "0 rows"),
        (ROWS.replace("1\t1\t1\t", "1\t1\t0\t"), "stands there twice"),
        (ROWS + "2\t0\t0\t1\r\n", "is a row missing"),
        (ROWS[:-40], "expected i j k S|is a row missing"),
        (ROWS.replace("1.000E+00", "1,000E+00"), "expected i j k S"),
        (ROWS.replace("1.000E+00", "-1"), "S >= 0"),
        (ROWS.replace("1.000E+00", "inf"), "S >= 0"),
        (ROWS.replace("1.000E+00", "nan"), "S >= 0"),
        (ROWS.replace("0\t0\t0\t", "-1\t0\t0\t"), "indices 0 to"),
        (ROWS.replace("0\t0\t0\t", f"{10**30}\t0\t0\t"), "indices 0 to|expected i j k"),
        ("\0" + ROWS, "NUL"),
    ],
)
def test_damaged_rows_are_named(tmp_path, rows, words):
    with pytest.raises(InputError, match=words):
        read(write(tmp_path, TITLE + HEAD + rows))


def test_a_table_too_long_is_refused_quickly(tmp_path):
    path = write(tmp_path, TITLE + HEAD + "0 0 0 1\n" * 500_000)
    begun = time.perf_counter()
    with pytest.raises(InputError, match="500000 rows"):
        read(path)
    path.write_bytes(b"0" * (5 * 2**20))
    with pytest.raises(InputError, match="more than"):
        read(path)
    assert time.perf_counter() - begun < 5  # on a loaded machine; 0.2 s on a free one


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 120), st.binary(max_size=6), st.integers(0, 8))
def test_damaged_tables_raise_only_our_errors(tmp_path, place, inserted, removed):
    plain = (TITLE + HEAD + ROWS).encode("latin-1")
    path = tmp_path / "table.txt"
    path.write_bytes(plain[:place] + inserted + plain[place + removed :])
    with contextlib.suppress(IgddError):
        assert np.isfinite(read(path).values).all()


@pytest.mark.reference
def test_every_published_table_is_read_as_its_name_says(reference):
    paths = sorted(reference("delivery/voxel_s_lanconelli").glob("*.txt"))
    assert len(paths) == 182
    silent = []
    for path in paths:
        if b"S [" not in path.read_bytes()[:100]:
            with pytest.raises(InputError, match="nothing says the unit"):
                read(path)
            silent.append(path)
        found = read(path, unit="mGy/(MBq.s)")
        element = found.nuclide.split("-")
        assert path.name.startswith(f"{element[1]}{element[0]}{found.side:g}mm")
        assert found.values.shape == (11, 11, 11)
        assert found.values.argmax() == 665  # the middle
    # bone, 4.8 mm, of each nuclide: their header lacks the column of S
    assert len(silent) == 7
    assert all(path.name.endswith("4.8mmbone.txt") for path in silent)
