"""What makes RGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from textgan.config import parse_train_command
from textgan.data.series import SeriesSpec
from textgan.game import Turn
from textgan.games.rgan import RGAN, TINY, Config
from textgan.networks.series_recurrent import RecurrentConfig
from textgan.parts.referee import TricksConfig, mode_seeking
from textgan.registry import find
from textgan.reproducibility import seed_everything

T, C = 6, 2
SPEC = SeriesSpec(length=T, channels=C, train_size=40)
START = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> RGAN:
    seed_everything(0)
    return RGAN(dataclasses.replace(TINY, **changes), SPEC)


def _lstm(network: nn.LSTM, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of one row: gates i, f, g, o."""
    gates = network.weight_ih_l0 @ inputs + network.bias_ih_l0 + network.weight_hh_l0 @ h + network.bias_hh_l0
    i, f, g, o = gates.chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@pytest.mark.parametrize("feedback", [False, True])
def test_a_series_is_written_step_by_step_from_a_latent_at_every_step(feedback):
    game = _game(feedback=feedback)
    latents = game.latents(2)
    written = game.decode(latents)
    for row in range(2):
        h = c = torch.zeros(8)
        last = torch.zeros(C)
        for t in range(T):
            read = torch.cat([latents[row, t], last]) if feedback else latents[row, t]
            h, c = _lstm(game.generator.lstm, read, h, c)
            last = game.generator.output.weight @ h + game.generator.output.bias
            torch.testing.assert_close(written[row, t], last)


def test_latents_are_drawn_anew_for_every_step():
    latents = _game().latents(4000)
    assert latents.shape == (4000, T, 3)
    torch.testing.assert_close(latents.mean((0, 1)), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(latents.std((0, 1)), torch.ones(3), atol=0.03, rtol=0)
    between_steps = torch.einsum("ntz,nsz->ts", latents, latents) / 4000 / 3
    torch.testing.assert_close(between_steps, torch.eye(T), atol=0.06, rtol=0)


def test_a_score_is_of_what_was_read_up_to_there_unless_it_reads_both_ways():
    windows = torch.randn(3, T, C)
    changed = windows.clone()
    changed[:, 4] += 1
    for both_ways, before in ((False, True), (True, False)):
        game = _game(both_ways=both_ways)
        scores, others = game.discriminator(windows), game.discriminator(changed)
        assert scores.shape == (3, T)
        assert torch.equal(scores[:, :4], others[:, :4]) is before
        assert not torch.allclose(scores[:, 4:], others[:, 4:])


def test_the_discriminator_reads_every_channel_by_an_lstm():
    game = _game()
    window = torch.randn(1, T, C)
    h = c = torch.zeros(8)
    for t in range(T):
        h, c = _lstm(game.discriminator.lstm, window[0, t], h, c)
        expected = game.discriminator.output.weight[0] @ h + game.discriminator.output.bias[0]
        torch.testing.assert_close(game.discriminator(window)[0, t], expected)


def test_the_losses_are_means_over_series_and_steps():
    game = _game()
    real = torch.randn(5, T, C)
    seed_everything(1)
    terms = game.discriminator_loss(real, START).terms
    seed_everything(1)
    fake = game.sample(5)
    of_real, of_fake = (game.discriminator(x).sigmoid() for x in (real, fake))
    by_hand = [[-p[n, t].log() for n in range(5) for t in range(T)] for p in (of_real, 1 - of_fake, of_fake)]
    means = [sum(values) / len(values) for values in by_hand]
    torch.testing.assert_close(terms["real"], means[0])
    torch.testing.assert_close(terms["fake"], means[1])
    seed_everything(1)
    torch.testing.assert_close(game.generator_loss(real, START).terms["adversarial"], means[2])


def test_every_step_of_a_fake_is_judged_for_the_generator_and_none_for_the_discriminator():
    game = _game()
    seen = []
    decode = game.decode
    game.decode = lambda latents: seen.append(decode(latents)) or seen[-1]
    game.discriminator_loss(torch.randn(4, T, C), START)
    assert not seen[0].requires_grad
    loss = game.generator_loss(torch.randn(4, T, C), START).terms["adversarial"]
    (slope,) = torch.autograd.grad(loss, seen[1])
    assert (slope.abs().sum(2) > 0).all()


def test_the_mode_seeking_term_compares_whole_series_with_all_their_latents():
    game = _game(tricks=TricksConfig(diversity=2.0))
    real = torch.randn(5, T, C)
    seed_everything(1)
    terms = game.generator_loss(real, START).terms
    seed_everything(1)
    latents = game.latents(5)
    made = game.decode(latents)
    ratios = [(made[n] - made[n - 1]).abs().mean() / (latents[n] - latents[n - 1]).abs().mean() for n in range(5)]
    torch.testing.assert_close(terms["diversity"], 2 / (sum(ratios) / 5 + 1e-5))
    torch.testing.assert_close(terms["diversity"], 2 * mode_seeking(made, latents))


def test_no_last_bias_where_the_objective_does_not_see_it():
    assert _game(loss="wasserstein").discriminator.output.bias is None
    assert _game().discriminator.output.bias is not None


def test_the_preset_has_the_papers_sizes():
    arguments = parse_train_command(find("rgan"), ["--preset", "rgan-stocks"], "test")
    config = arguments.game
    assert (config.latent, config.generator.hidden, config.discriminator.hidden) == (5, 100, 100)
    assert (config.batch_size, config.discriminator_steps, arguments.data.window) == (28, 5, 30)
    game = RGAN(config, dataclasses.replace(SPEC, length=30))
    assert game.sample(2).shape == (2, 30, C)


def test_layers_and_feedback_make_it_c_rnn_gan():
    deep = RecurrentConfig(hidden=4, layers=2)
    seed_everything(0)
    game = RGAN(Config(generator=deep, discriminator=deep, feedback=True, both_ways=True), SPEC)
    assert (game.generator.lstm.num_layers, game.generator.lstm.input_size) == (2, 5 + C)
    assert game.discriminator.lstm.bidirectional
    assert game.discriminator.output.in_features == 8
    assert game.discriminator(game.sample(3)).shape == (3, T)
