from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from textgan import registry
from textgan.config import Settings
from textgan.data.settings import DataConfig
from textgan.experiment import Parts, prepare
from textgan.plan import plan_lines


@pytest.fixture(scope="module")
def parts(cache: None, corpus_file: Path) -> Parts:
    entry = registry.find("seqgan")
    discriminator = replace(entry.tiny.discriminator, refills=2, pool_size=70)
    config = replace(entry.tiny, rounds=7, generator_steps=3, discriminator=discriminator, batch_size=32)
    assert (config.pretraining.epochs, discriminator.rounds, discriminator.epochs) == (1, 1, 1)
    return prepare(entry, Settings(game=config, data=DataConfig(), corpus=str(corpus_file)))


@pytest.fixture(scope="module")
def lines(parts: Parts) -> list[str]:
    return list(plan_lines(parts))


def test_counts_the_steps_of_every_move_of_every_stage(parts: Parts, lines: list[str]) -> None:
    shown: dict[str, list[int]] = {}
    for line in lines:
        if found := re.search(r"  (\w+: \w+|refill|start_rollouts) +([\d,]+) +\d+\.\d{3} ", line):
            shown.setdefault(found[1], []).append(int(found[2].replace(",", "")))
    epoch = -(-parts.corpus.spec.train_size // 32)
    assert shown == {
        "generator_mle: likelihood": [epoch],
        "start_rollouts": [1],
        "refill": [1, 7, 7],
        "discriminator: loss": [3, 21, 21],
        "generator: reinforce": [21],
    }
    assert f"{sum(map(sum, shown.values())):,} steps, about " in lines[-2]


def test_names_each_network_with_its_parameters(parts: Parts, lines: list[str]) -> None:
    for name in ("generator", "opponent"):
        count = sum(p.numel() for p in parts.game.get_submodule(name).parameters())
        assert any(re.match(rf"{name} +{count:,} parameters", line) for line in lines)


def test_begins_with_the_corpus_and_ends_with_the_memory(parts: Parts, lines: list[str]) -> None:
    assert lines[0].split() == ["corpus", parts.corpus.name]
    assert lines[-1].endswith("GB of memory on cpu")


def test_a_stage_that_is_not_played_is_left_out(cache: None, corpus_file: Path) -> None:
    entry = registry.find("seqgan")
    config = replace(entry.tiny, pretraining=replace(entry.tiny.pretraining, epochs=0))
    lines = list(plan_lines(prepare(entry, Settings(game=config, corpus=str(corpus_file)))))
    assert not any("generator_mle" in line for line in lines)
    assert any("generator: reinforce" in line for line in lines)


def test_a_stage_of_one_round_counts_moves_made_every_other_round_once(cache: None, corpus_file: Path) -> None:
    entry = registry.find("mle")
    parts = prepare(entry, Settings(game=replace(entry.tiny, epochs=1), corpus=str(corpus_file)))
    epoch = -(-parts.corpus.spec.train_size // entry.tiny.batch_size)
    assert any(line.startswith(f"{epoch} steps, about") for line in plan_lines(parts))
