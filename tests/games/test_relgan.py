"""What makes RelGAN itself."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.config import parse_train_command
from textgan.game import Turn
from textgan.games.relgan import SCHEDULES, TINY, RelGAN
from textgan.networks.modes import evaluating
from textgan.networks.relational_memory import RelationalMemoryGenerator
from textgan.registry import find
from textgan.relaxation import gumbel_softmax
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]


def _game(spec=SPEC, **changes) -> RelGAN:
    seed_everything(0)
    return RelGAN(dataclasses.replace(TINY, **changes), spec)


def test_beta_is_its_highest_value_to_the_power_of_the_progress():
    game = _game(beta=100.0)
    found = [game._beta(Turn("adversarial", 0, progress)) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([1.0, 100**0.25, 10.0, 100.0])


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"none"}))
def test_every_schedule_rises_from_one_to_the_highest(name):
    values = [SCHEDULES[name](50.0, step / 100) for step in range(101)]
    assert values[0] == pytest.approx(1, abs=0.01)
    assert values[-1] == pytest.approx(50, abs=0.01)
    assert all(b > a for a, b in pairwise(values))


def test_the_middle_of_each_schedule_is_known():
    middle = {name: schedule(50.0, 0.5) for name, schedule in SCHEDULES.items()}
    assert middle == pytest.approx(
        {
            "exponential": math.sqrt(50), "linear": 25.5, "quadratic": 13.25, "square_root": 1 + 49 * math.sqrt(0.5),
            "sigmoid": 25.5, "none": 50.0,
        }
    )  # fmt: skip


def test_beta_multiplies_logits_and_noise_and_the_likeliest_word_is_read_next():
    """softmax(beta (o + g)), not softmax(beta o + g); what is read does not depend on beta."""
    sharp, flat = Turn("adversarial", 2, 2 / 3), Turn("adversarial", 0, 0.0)
    game = _game(beta=27.0)
    fakes = {}
    for turn in (sharp, flat):
        seed_everything(1)
        fakes[turn] = game.fakes(6, turn)
    assert torch.equal(fakes[sharp].tokens, fakes[flat].tokens)
    written = fakes[sharp].tokens != SPEC.pad
    logs = [fakes[turn].words[written].double().log() for turn in (sharp, flat)]
    differences = [log[:, 4:5] - log[:, 5:6] for log in logs]  # beta (o + g) up to a constant a row
    clear = (fakes[sharp].words[written][:, 4:6] > 1e-20).all(1)
    torch.testing.assert_close(differences[0][clear], 9 * differences[1][clear], rtol=1e-3, atol=1e-2)

    seed_everything(1)
    with evaluating(game.generator):
        state = game.generator.start(6)
        first = gumbel_softmax(game.generator.logits(state), 1.0)
    torch.testing.assert_close(fakes[flat].words[:, 0], first)


def test_it_plays_the_relativistic_standard_game_of_every_vote():
    game = _game()
    real, turn = _sentences(SPEC)[:8], Turn("adversarial", 0, 0.0)
    seed_everything(2)
    loss = game._deceive(real, turn)
    seed_everything(2)
    fake = game.fakes(8, turn)
    network = game.opponent.network
    with evaluating(network):
        on_real = network.votes(network.features(real))
        on_fake = network.votes(network.features_relaxed(fake.words, fake.lengths(SPEC)))
    pairs = zip(on_real.flatten(), on_fake.flatten(), strict=True)
    by_hand = sum(-torch.sigmoid(f - r).log() for r, f in pairs) / on_real.numel()
    torch.testing.assert_close(loss.terms["adversarial"], by_hand)
    assert on_real.shape == (8, TINY.discriminator.representations)


def test_the_oracle_preset_has_the_papers_sizes():
    config = parse_train_command(find("relgan"), ["--preset", "relgan-oracle"], "test").game
    spec = dataclasses.replace(SPECS["text"]["fixed length"], train_size=10_000, vocab_size=50)
    game = RelGAN(config, spec)
    assert isinstance(game.generator, RelationalMemoryGenerator)
    assert (game.generator.slots, game.generator.heads, game.generator.width) == (1, 2, 512)
    network = game.opponent.network
    assert (network.representations, network.embedding.weight.shape[1]) == (64, 64)
    assert [window.kernel_size[0] for window in network.windows] == [2, 3, 4, 5]
    assert {window.out_channels for window in network.windows} == {300}
    pretrain, adversarial = game.stages()
    assert (pretrain.rounds, adversarial.rounds) == (150, 5000)
    assert [(move.player, move.times) for move in adversarial.moves] == [("generator", 1), ("discriminator", 5)]
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in game.optimizers().items()}
    assert rates == {"generator_mle": 1e-2, "generator": 1e-4, "discriminator": 1e-4}
