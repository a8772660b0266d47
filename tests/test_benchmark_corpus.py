"""What the benchmark of a corpus's size measures, in this process and on a few sentences."""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmark_corpus")


def row(script: ModuleType, size: int) -> dict[str, float]:
    """Costs that grow in known ways: preparation quadratically, a step not at all, memory by 16 and 4 bytes."""
    return {
        "sentences": size,
        "text_bytes": 70 * size,
        "prepare_seconds": 1e-6 * size**2,
        "prepare_resident": 3e8 + 50 * size,
        "prepare_anonymous": 2e8 + 16 * size,
        "cache_bytes": 50 * size,
        "step_seconds": 0.0125,
        "train_resident": 4e8 + 50 * size,
        "train_anonymous": 3e8 + 4 * size,
    }


def test_the_corpus_has_as_many_sentences_as_are_asked_for_in_pieces(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "CHUNK", 30)
    script.write_corpus(tmp_path / "a.txt", 70, seed=3)
    script.write_corpus(tmp_path / "b.txt", 70, seed=3)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert (tmp_path / "b.txt").read_text().splitlines() == lines
    assert len(lines) == len(set(lines)) == 70
    assert min(len(line.split()) for line in lines) >= 8


def test_bytes_are_those_of_all_files_below(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"123")
    (tmp_path / "a" / "b" / "two").write_bytes(b"4567")
    assert script.bytes_of(tmp_path) == 7


def test_sizes_in_a_status_are_bytes(script: ModuleType) -> None:
    status = "Name:\tpython\nVmHWM:\t  2048 kB\nRssAnon:\t    3 kB\nThreads:\t1\n"
    assert script.memory_of(status) == {"VmHWM": 2 * 2**20, "RssAnon": 3072}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells of its memory there")
def test_a_peak_is_seen_though_it_is_over(script: ModuleType) -> None:
    with script.Peaks(every=0.001) as before:
        pass
    with script.Peaks(every=0.001) as peaks:
        for _ in range(20):  # the watching thread has its turn between two of them
            with mmap.mmap(-1, 64_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:  # never kept memory
                pages.write(bytes([1]) * 64_000_000)
    assert peaks.anonymous - before.anonymous > 30e6
    assert peaks.resident >= peaks.anonymous


def test_seconds_a_step_are_those_between_records_of_losses(script: ModuleType) -> None:
    records = [
        {"kind": "control", "step": 0, "seconds": 0.0},
        {"kind": "loss", "step": 10, "seconds": 5.0},
        {"kind": "loss", "step": 20, "seconds": 6.0},
        {"kind": "loss", "step": 50, "seconds": 9.0},
        {"kind": "test", "step": 50, "seconds": 90.0},
    ]
    assert script.seconds_a_step(list(map(json.dumps, records))) == 0.1


def test_growth_is_from_the_smallest_size_to_the_largest(script: ModuleType) -> None:
    rows = [row(script, size) for size in (1000, 10_000, 100_000)]
    assert script.growth(rows) == pytest.approx(
        {
            "prepare_bytes_a_sentence": 16,
            "train_bytes_a_sentence": 4,
            "prepare_exponent": 2,
            "step_exponent": 0,
        }
    )


def test_the_page_has_a_row_a_size(script: ModuleType) -> None:
    rows = [row(script, 1000), row(script, 100_000)]
    page = script.text_of(rows, script.Options(), {"cpu": "a processor"})
    assert "| 100,000 | 10000.0 | 10 | 7.0 | 5.0 | 305 (202) | 405 (300) | 12.50 |" in page
    assert "16.0 bytes a sentence in preparation and by 4.0 in training" in page
    assert "grows" not in script.text_of(rows[:1], script.Options(), {"cpu": "a processor"})


def test_a_corpus_is_prepared_and_the_cache_measured(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTGAN_CACHE", os.environ["TEXTGAN_CACHE"])
    script.write_corpus(tmp_path / "a.txt", 200, seed=0)
    found = script.prepared(tmp_path / "a.txt", tmp_path / "cache")
    assert found["cache_bytes"] == script.bytes_of(tmp_path / "cache") > 200 * 9 * 4
    assert 130 < found["train"] < 190
    assert found["prepare_resident"] >= found["prepare_anonymous"] > 0
