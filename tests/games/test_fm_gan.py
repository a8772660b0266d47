"""What makes FM-GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from tests.games.test_every_game import SPECS, _sentences
from textgan.distances import cosine_costs, sinkhorn_plan
from textgan.game import Turn
from textgan.games.fm_gan import FMGAN, TINY
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)


def _game(**changes) -> FMGAN:
    seed_everything(0)
    return FMGAN(dataclasses.replace(TINY, **changes), SPEC)


def _features(game, real):
    seed_everything(3)
    fake = game.fakes(game.codes(len(real)), TURN)
    with evaluating(game.discriminator):
        network = game.discriminator
        return network.features(real), network.features_relaxed(fake.words, fake.lengths(SPEC))


def test_the_generator_lowers_the_cost_of_the_best_assignment_of_features():
    game, real = _game(iterations=3000), _sentences(SPEC)[:8]
    costs = cosine_costs(*_features(game, real)).detach()
    rows, columns = linear_sum_assignment(costs.numpy())
    seed_everything(3)
    loss = game._match(real, TURN)
    assert loss.terms.keys() == {"moved"}
    assert loss.terms["moved"].item() == pytest.approx(costs[rows, columns].mean().item(), rel=1e-2)


def test_with_sinkhorn_it_is_the_cost_of_the_entropic_plan():
    game, real = _game(transport="sinkhorn", softness=0.1, iterations=20), _sentences(SPEC)[:8]
    costs = cosine_costs(*_features(game, real))
    seed_everything(3)
    torch.testing.assert_close(game._match(real, TURN).terms["moved"], (sinkhorn_plan(costs, 0.1, 20) * costs).sum())


def test_the_features_are_learned_to_raise_what_the_generator_lowers():
    game, real = _game(), _sentences(SPEC)[:8]
    game.eval()
    values = []
    for loss in (game._match, game._spread):
        seed_everything(3)
        values.append(loss(real, TURN).terms["moved"].item())
    assert values[0] == pytest.approx(-values[1])
    assert values[0] > 0


def test_the_extractor_has_no_verdict_to_learn():
    game = _game()
    learned = {id(p) for p in game.optimizers()["discriminator"].param_groups[0]["params"]}
    everything = {id(p) for p in game.discriminator.parameters()}
    assert everything - learned == {id(p) for p in game.discriminator.output.parameters()}
