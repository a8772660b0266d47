"""The discriminator that learns from a pool."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.errors import UserError
from textgan.game import Act, Move, Turn
from textgan.networks.modes import evaluating
from textgan.parts.opponent import TINY_OPPONENT, Opponent
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)
REAL = _sentences(SPEC)


def fakes(n: int) -> torch.Tensor:
    return REAL.flip(0)[torch.randint(len(REAL), (n,))]


def opponent(**changes) -> Opponent:
    seed_everything(0)
    made = Opponent(dataclasses.replace(TINY_OPPONENT, **changes), SPEC, batch_size=8)
    made.refill(fakes)
    return made


def losses(made: Opponent, real: torch.Tensor):
    """Its loss, and its scores of the same real sentences and fakes."""
    made.eval()
    loss = made.loss(real, TURN)
    made.pool.load_state_dict({**made.pool.state_dict(), "_read": torch.zeros((), dtype=torch.int64)})
    return loss, made.network(real), made.network(made.pool.draw(len(real)).long())


def test_its_loss_is_half_of_each_cross_entropy_and_the_output_layers_norm():
    made = opponent(l2=0.3)
    loss, real, fake = losses(made, REAL[:8])
    torch.testing.assert_close(loss.terms["real"], -real.sigmoid().log().mean() / 2)
    torch.testing.assert_close(loss.terms["fake"], -(1 - fake.sigmoid()).log().mean() / 2)
    output = list(made.network.output.parameters())
    torch.testing.assert_close(loss.terms["l2"], 0.3 * sum(p.square().sum() for p in output) / 2)


def test_another_objective_changes_its_loss_and_its_reward():
    made = opponent(loss="hinge")
    loss, real, fake = losses(made, REAL[:8])
    torch.testing.assert_close(loss.terms["real"], (1 - real).clamp(min=0).mean() / 2)
    torch.testing.assert_close(loss.terms["fake"], (1 + fake).clamp(min=0).mean() / 2)
    torch.testing.assert_close(made.reward(REAL[:8]), real.detach())
    torch.testing.assert_close(opponent().reward(REAL[:8]), losses(opponent(), REAL[:8])[1].sigmoid().detach())


def test_it_rewards_with_dropout_off_and_without_a_gradient():
    made = opponent(dropout=0.9).train()
    reward = made.reward(REAL)
    with evaluating(made):
        torch.testing.assert_close(reward, made.network(REAL).sigmoid().detach())
    assert made.network.training
    assert not reward.requires_grad


def test_a_refill_replaces_the_share_that_is_asked_for():
    made = opponent(pool_size=20, pool_refresh=0.25)
    before = made.pool.items.clone()
    made.refill(fakes)
    assert torch.equal(made.pool.items[5:], before[5:])
    assert not torch.equal(made.pool.items[:5], before[:5])


def test_a_round_is_so_many_refills_each_with_its_passes():
    made = opponent(pool_size=20, epochs=3, refills=2, rounds=5)
    stage = made.pretrain(fakes)
    assert stage.rounds == 5
    assert [(type(move), move.times) for move in stage.moves] == [(Act, 1), (Move, 9)]
    assert [(type(move), move.times) for move in made.moves(fakes)] == [(Act, 1), (Move, 9)] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool_refresh": 0.0}, r"game.discriminator.pool_refresh is 0.0; it must be in \(0, 1\]"),
        ({"epochs": 0}, "game.discriminator.epochs is 0; it must be at least 1"),
        ({"l2": -1.0}, "game.discriminator.l2 is -1.0; it must be at least 0"),
    ],
)
def test_what_it_cannot_use_is_named(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(TINY_OPPONENT, **change)
