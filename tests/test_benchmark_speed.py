"""What the benchmark of speed measures, at the smallest sizes. Nothing here tests how long anything takes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.scripts import load_script
from textgan.errors import UserError
from textgan.floors import Speeds

B, T, N, V, C = 4, 5, 2, 30, 12


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("benchmark_speed")


@pytest.fixture
def options(script: ModuleType) -> Any:
    return script.Options(repeats=1, sizes=script.Sizes(B, T, N, V, C, image=8))


@pytest.fixture
def known_speeds(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "measured_speeds", lambda device, dtypes: Speeds(10.0, 1.0))


@pytest.mark.parametrize(
    ("row", "amount", "unit", "ways"),
    [
        ("mle-epoch", C * T, "tokens", []),
        ("sampling", C * T, "tokens", ["multinomial over the softmax, a word at a time"]),
        (
            "generator-update", B * T, "tokens",
            [
                "nested loop, no logits for the prefix, from 1 of 2 roll-outs",
                "nested loop, the whole step for every word, from 1 of 2 roll-outs",
            ],
        ),
        (
            "discriminator-epoch", C * T, "tokens",
            [
                "a convolution for each width",
                "the same, real and fake apart",
                "a convolution of an image for each width, real and fake apart",
            ],
        ),
        ("relgan-round", 6 * B * T, "tokens", []),
        ("story-round", 5 * B * 5 * T, "tokens", []),
        ("dcgan-round", 2 * B, "images", []),
        ("stylegan-round", (2 + 1 / 16) * B, "images", []),
    ],
)  # fmt: skip
def test_each_row_is_measured(
    script: ModuleType, options: Any, known_speeds: None, row: str, amount: float, unit: str, ways: list[str]
) -> None:
    record = json.loads(json.dumps(script.measure(row, options)))
    assert script.is_of(record, row, options)
    assert not script.is_of(record, row, replace(options, precision="bf16"))
    assert (record["amount"], record["unit"]) == (amount, unit)
    assert len(record["seconds"]) == 1
    assert record["seconds"][0] > 0
    assert list(record["baselines"]) == ways
    assert min([seconds for values in record["baselines"].values() for seconds in values], default=1) > 0
    assert record["peak_bytes"] >= record["process_bytes_before"] > 0
    assert record["floor"] == max(record["cost"]["flops"] / 10, record["cost"]["moved"])


def test_every_row_is_tested(script: ModuleType) -> None:
    (marks,) = (mark.args[1] for mark in test_each_row_is_measured.pytestmark)  # type: ignore[attr-defined]
    assert {case[0] for case in marks} == script.ROWS.keys() - script.FOR_GPUS


def test_an_epoch_of_likelihood_costs_what_its_steps_do(script: ModuleType, options: Any, known_speeds: None) -> None:
    hidden = embedding = 32
    position = 4 * hidden * (embedding + hidden) + V * hidden
    record = script.measure("mle-epoch", options)
    assert record["cost"]["flops"] == 3 * 2 * C * T * position


def test_baselines_can_be_left_out(script: ModuleType, options: Any, known_speeds: None) -> None:
    assert script.measure("sampling", replace(options, baselines=False))["baselines"] == {}


def test_without_a_gpu_the_rows_for_one_are_measured_where_they_are_asked_for(script: ModuleType) -> None:
    names = [name for name, _ in script.wanted(script.Options())]
    assert names == [name for name in script.ROWS if name not in script.FOR_GPUS]
    assert [name for name, _ in script.wanted(script.Options(device="cuda"))] == list(script.ROWS)
    assert [name for name, _ in script.wanted(script.Options(only=("stylegan-paper-round",)))] == [
        "stylegan-paper-round"
    ]


def test_growth_doubles_one_size_at_a_time(script: ModuleType) -> None:
    found = script.wanted(script.Options(growth=True, doublings=2, only=("mle-epoch",)))
    assert [(name, options.sizes.corpus) for name, options in found] == [
        ("mle-epoch", 10_000), ("mle-epoch", 20_000), ("mle-epoch", 40_000),
    ]  # fmt: skip
    assert {options.sizes.batch for _, options in found} == {64}
    everything = script.wanted(script.Options(growth=True, doublings=1))
    assert {script.changed(options.sizes) for _, options in everything} == {
        "", "batch=128", "length=40", "rollouts=32", "vocab=10000", "corpus=20000",
    }  # fmt: skip


def record_of(script: ModuleType, row: str, sizes: Any, seconds: list[float], **others: Any) -> dict[str, Any]:
    identity = script.identity(row, script.Options(threads=2, sizes=sizes))
    figures = {"seconds": seconds, "amount": 100.0, "unit": "tokens", "peak_bytes": 5e8, "floor": 0.5, "baselines": {}}
    return {**identity, **figures, **others}


def test_the_table_has_medians_rates_floors_and_ratios(script: ModuleType) -> None:
    record = record_of(script, "sampling", script.Sizes(), [4.0, 2.0, 1.0], baselines={"plainly": [6.0, 7.0, 8.0]})
    lines = script.markdown({"cpu": "a CPU"}, [record], script.Sizes()).splitlines()
    assert "cpu a CPU." in lines
    assert "## cpu, 2 threads, fp32" in lines
    assert lines[-1] == "| `sampling` | 2 | 1 to 4 | 50 tokens | 500 | 0.5 | 25.0% | 3.5: plainly (7 s) |"


def test_the_table_of_growth_has_factors_and_exponents(script: ModuleType) -> None:
    sizes = [replace(script.Sizes(), length=length) for length in (20, 40, 80)]
    records = [
        record_of(script, "generator-update", some, [seconds])
        for some, seconds in zip(sizes, (1.0, 4.0, 8.0), strict=True)
    ]
    lines = script.markdown({}, records[::-1], script.Sizes()).splitlines()
    assert lines[-3:] == [
        "| 20 | 1 | 1.00 |  | 500 |",
        "| 40 | 4 | 4.00 | 2.00 | 500 |",
        "| 80 | 8 | 8.00 | 1.00 | 500 |",
    ]
    assert sum("growing" in line for line in lines) == 1


def test_a_row_that_is_there_is_not_measured_again_unless_asked(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[str] = []

    def measure_apart(name: str, options: Any) -> dict[str, Any]:
        measured.append(name)
        return {**record_of(script, name, options.sizes, [1.0]), **script.identity(name, options)}

    monkeypatch.setattr(script, "measure_apart", measure_apart)
    flags = ["--out", str(tmp_path), "--only", "sampling", "mle-epoch"]
    script.main(flags[:3] + flags[3:4])
    assert measured == ["sampling"]
    script.main(flags)
    assert measured == ["sampling", "mle-epoch"]
    script.main([*flags, "--again"])
    assert measured == ["sampling", "mle-epoch", "sampling", "mle-epoch"]
    results = json.loads((tmp_path / "results.json").read_text())
    assert sorted(row["row"] for row in results["rows"]) == ["mle-epoch", "sampling"]
    assert results["machine"]["torch"] == torch.__version__
    assert (tmp_path / "speed.md").read_text() in capsys.readouterr().out


def test_figures_of_two_machines_are_not_mixed(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"machine": {"cpu": "another"}, "rows": []}))
    with pytest.raises(UserError, match="another machine \\(cpu another, here"):
        script.main(["--out", str(tmp_path)])


def test_an_unknown_row_is_refused(script: ModuleType) -> None:
    with pytest.raises(UserError, match="--only has nothing; there are: mle-epoch, "):
        script.main(["--only", "nothing"])


def test_a_row_is_measured_in_a_process_of_its_own_with_the_same_options(
    script: ModuleType, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: dict[str, Any] = {}

    class Done:
        stdout = b'warm\n{"row": "sampling"}\n'

    def run(command: list[str], **others: Any) -> Done:
        called.update(others, command=command)
        return Done()

    monkeypatch.setattr(script.subprocess, "run", run)
    asked = replace(options, threads=3, growth=True, precision="bf16", baselines=False)
    assert script.measure_apart("sampling", asked) == {"row": "sampling"}
    assert called["env"]["OMP_NUM_THREADS"] == "3"
    parse = partial(script.command_line.parse, script.Options)
    there = parse(called["command"][2:], "test")
    assert asdict(there) == asdict(replace(asked, only=("sampling",), here=True, growth=False))
