"""The benchmark of n-gram metrics: what it measures of a growth and how it writes it down."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script
from textgan.errors import UserError


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmark_ngrams")


def test_the_table_tells_the_exponent_of_each_step(script: ModuleType) -> None:
    rows = [
        {"sentences": n, "tokens": 20 * n, "seconds": 1e-6 * n**p, "peak_mib": 1500.0, "lists_mib": 100.0}
        for n, p in ((1000, 1.0), (10_000, 1.0), (100_000, 1.0))
    ]
    lines = script.growth_table(rows).splitlines()
    assert lines[2] == "| 1,000 | 20,000 | 0.001 | 0.05 |  | 1,500 | 100 |"
    assert lines[4] == "| 100,000 | 2,000,000 | 0.100 | 0.05 | 1.00 | 1,500 | 100 |"


def test_growth_is_measured_and_written(script: ModuleType, tmp_path: Path) -> None:
    script.main(["--growth", "--sizes", "200", "50", "--out", str(tmp_path / "growth")])
    results = json.loads((tmp_path / "growth.json").read_text())
    assert [row["sentences"] for row in results["rows"]] == [50, 200]
    page = (tmp_path / "growth.md").read_text()
    assert f"seconds ~ sentences^{results['exponent']:.2f}" in page
    drawn = script.generate(200, 0) + script.generate(200, 1)
    assert results["rows"][1]["tokens"] == sum(map(len, drawn))


def test_a_results_file_is_of_a_growth(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is for the results of --growth"):
        script.main(["--out", str(tmp_path / "x")])
