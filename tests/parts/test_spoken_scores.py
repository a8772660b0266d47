"""What a discriminator says beside its scores."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.game import Turn
from textgan.parts.referee import Referee, TricksConfig
from textgan.parts.spoken_scores import SpokenScores

START = Turn("adversarial", 0, 0.0)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


def _images(n: int) -> torch.Tensor:
    return torch.randn(n, 1, 2, 2)


@pytest.mark.parametrize("together", [False, True])
def test_a_referee_gets_scores_and_the_rest_is_in_the_order_of_the_images(together):
    network, real, fake = _network(), _images(3), _images(3)
    scores = SpokenScores(network)
    loss = Referee("standard", TricksConfig(together=together)).discriminator(scores, real, fake, START)
    torch.testing.assert_close(loss.terms["fake"], -(1 - network(fake)[:, 0].sigmoid()).log().mean())
    torch.testing.assert_close(scores.of_last(6), network(torch.cat([real, fake]))[:, 1:])
    torch.testing.assert_close(scores.of_last(3), network(fake)[:, 1:])


def test_what_a_generator_hears_of_its_fakes_has_a_gradient():
    network, real, fake = _network(), _images(3), _images(2).requires_grad_(True)
    scores = SpokenScores(network)
    Referee("standard", TricksConfig()).generator(scores, real, fake, START)
    heard = scores.of_last(2)
    torch.testing.assert_close(heard, network(fake)[:, 1:])
    (slope,) = torch.autograd.grad(heard[0, 1], fake)
    torch.testing.assert_close(slope[0].flatten(), network[1].weight[2])
    assert slope[1].abs().sum() == 0


def test_the_rest_is_of_the_same_pass_as_the_scores():
    """Dropout, or noise on images, is drawn once."""
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 1), nn.Linear(1, 2, bias=False))
    nn.init.ones_(network[3].weight)
    scores = SpokenScores(network)
    torch.testing.assert_close(scores(_images(50)), scores.of_last(50)[:, 0])
