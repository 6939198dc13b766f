"""Nothing is allocated, inflated or followed on a file's word alone."""

from __future__ import annotations

import gzip
import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from igdd.errors import InputError
from igdd.io import bounded


def test_a_claim_beyond_the_budget_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGDD_MEMORY_BUDGET", "1000")
    bounded.check_budget(1000, "a.nii", "the header")
    with pytest.raises(InputError, match=r"a\.nii: the header claims 1001.*IGDD_MEMORY_BUDGET"):
        bounded.check_budget(1001, "a.nii", "the header")


def test_the_budget_is_eight_gigabytes_unless_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IGDD_MEMORY_BUDGET", raising=False)
    assert bounded.memory_budget() == 8 * 10**9


@pytest.mark.parametrize("text", ["8 GB", "-1", "0", "1e9", "²"])
def test_a_budget_that_is_no_number_of_bytes_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IGDD_MEMORY_BUDGET", text)
    with pytest.raises(InputError, match="IGDD_MEMORY_BUDGET"):
        bounded.memory_budget()


def test_gzip_content_is_read_whole_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"0123456789"))
    assert bounded.read_bounded_gzip(path, 10) == b"0123456789"
    with pytest.raises(InputError, match="more than 9 bytes"):
        bounded.read_bounded_gzip(path, 9)


def test_inflating_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=9) as stream:
        for _ in range(100):
            stream.write(bytes(10 * 2**20))  # 1 GB in 1 MB
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(InputError, match="more than 1000 bytes"):
        bounded.read_bounded_gzip(path, 1000)
    assert time.perf_counter() - started < 1.0  # the project's promise for hostile input
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB, likewise


@pytest.mark.parametrize("cut", [3, 15, 60])
def test_truncated_gzip_is_an_input_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(os.urandom(200))[:cut])
    with pytest.raises(InputError, match="cut short"):
        bounded.read_bounded_gzip(path, 1000)


def test_damaged_gzip_is_an_input_error(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(os.urandom(200)))
    content[-6] ^= 1  # the check sum
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        bounded.read_bounded_gzip(path, 1000)


@pytest.mark.parametrize("path", ["/dev/zero", "/", "not/there"])
def test_only_regular_files_are_read(path: str) -> None:
    with pytest.raises(InputError, match="expected a file"):
        bounded.read_bounded(path, 10)


class TestGrantedRoots:
    def test_a_relative_path_is_found_below_a_root(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "scan.nii").touch()
        found = bounded.resolve_inside("scan.nii", [tmp_path / "a", tmp_path / "b"])
        assert found == (tmp_path / "b" / "scan.nii").resolve()

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link", "folder/secret"])
    def test_what_leads_outside_is_refused(self, tmp_path: Path, path: str) -> None:
        root = tmp_path / "root"
        root.mkdir()
        (tmp_path / "secret").touch()
        (root / "link").symlink_to(tmp_path / "secret")
        (root / "folder").symlink_to(tmp_path)
        with pytest.raises(InputError, match="expected a place inside"):
            bounded.resolve_inside(path, [root])

    @pytest.mark.parametrize("path", ["loop", "nowhere", "a\0b", "x" * 5000])
    def test_what_cannot_be_found_is_refused(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with pytest.raises(InputError, match="cannot be found"):
            bounded.resolve_inside(path, [tmp_path])

    def test_a_neighbour_whose_name_begins_alike_is_outside(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root2").mkdir()
        with pytest.raises(InputError, match="expected a place inside"):
            bounded.resolve_inside(tmp_path / "root2", [tmp_path / "root"])

    def test_a_symlink_inside_keeps_its_name_so_that_its_sidecar_is_found(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "annex").mkdir()
        (tmp_path / "annex" / "5f3a").touch()
        (tmp_path / "scan.nii").symlink_to(tmp_path / "annex" / "5f3a")
        assert bounded.resolve_inside("scan.nii", [tmp_path]).name == "scan.nii"

    def test_a_symlink_outside_that_points_inside_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "scan.nii").touch()
        (tmp_path / "alias.nii").symlink_to(tmp_path / "root" / "scan.nii")
        found = bounded.resolve_inside(tmp_path / "alias.nii", [tmp_path / "root"])
        assert found == (tmp_path / "root" / "scan.nii").resolve()

    def test_without_roots_nothing_is_granted(self, tmp_path: Path) -> None:
        with pytest.raises(InputError):
            bounded.resolve_inside("a", [])
        with pytest.raises(InputError):
            bounded.resolve_inside(tmp_path, [])


class TestJson:
    def read(self, tmp_path: Path, content: bytes) -> object:
        path = tmp_path / "a.json"
        path.write_bytes(content)
        return bounded.read_json(path)

    def test_an_object_is_read(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, b'\xef\xbb\xbf{"a": [1, 2.5]}') == {"a": [1, 2.5]}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "not valid JSON"),
            (b"{", "not valid JSON"),
            (b"[1]", "expected a JSON object"),
            (b'{"a": 1, "a": 2}', "a stands there twice"),
            (b'{"a": {"b": NaN}}', r"a\.b is nan"),
            (b'{"a": [0, 1e999]}', r"a\[1\] is inf"),
            (b'{"a": -Infinity}', "a is -inf"),
            (b'{"a": "\xff"}', "not UTF-8"),
            (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
            (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
            (b'{"a": "' + b"x" * bounded.TEXT_LIMIT + b'"}', "holds more than"),
        ],
    )
    def test_anything_else_is_refused_by_name(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            self.read(tmp_path, content)


class TestFill:
    def fill(
        self, tmp_path: Path, content: bytes, count: int, scaling: tuple[float, float] | None = None
    ) -> np.ndarray:
        path = tmp_path / "a"
        path.write_bytes(content)
        samples = bounded.allocate(count, np.dtype("f4"), path, "the image")
        with bounded.opened(path) as stream:
            bounded.fill(stream, np.dtype(">i2"), samples, path, scaling)
        return samples

    def test_samples_are_scaled_in_double_precision(self, tmp_path: Path) -> None:
        stored = np.arange(-5, 5, dtype=">i2")
        found = self.fill(tmp_path, stored.tobytes(), 10, (0.1, 7.0))
        assert_array_equal(found, (stored * 0.1 + 7.0).astype("f4"))

    def test_chunks_join_without_a_seam(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounded, "CHUNK", 6)
        stored = np.arange(10, dtype=">i2")
        assert_array_equal(self.fill(tmp_path, stored.tobytes(), 10), np.arange(10))

    @pytest.mark.parametrize(
        ("octets", "message"), [(19, "ends after 9 samples"), (21, "more than the 10 samples")]
    )
    def test_a_sample_too_few_or_a_byte_too_many_is_refused(
        self, tmp_path: Path, octets: int, message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            self.fill(tmp_path, bytes(octets), 10)

    def test_a_value_beyond_single_precision_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="single precision"):
            self.fill(tmp_path, np.full(2, 2, ">i2").tobytes(), 2, (1e39, 0.0))


def test_deflate_reaches_its_limit_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "zeros.gz"
    path.write_bytes(gzip.compress(bytes(20 * 2**20), 9))
    bounded.check_deflated(path, 20 * 2**20)  # the most compressible content there is
    with pytest.raises(InputError, match="cannot hold"):
        bounded.check_deflated(path, 21 * 2**20)
