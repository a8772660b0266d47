"""What makes the GAN of 2014 itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec
from textgan.game import Turn
from textgan.games.gan import GAN, TINY
from textgan.parts.referee import Referee, TricksConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)


def _game(**changes: object) -> GAN:
    seed_everything(0)
    return GAN(dataclasses.replace(TINY, **changes), SPEC)


def test_both_networks_are_fully_connected():
    game = _game()
    for network, sizes in (
        (game.generator, [(8, 16), (16, 16), (16, 64)]),
        (game.discriminator, [(64, 16), (16, 16), (16, 1)]),
    ):
        layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
        assert [(m.in_features, m.out_features) for m in layers] == sizes
        assert not any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in network.modules())


def test_the_value_of_a_discriminator_that_knows_nothing_is_minus_two_log_two():
    game = _game()
    with torch.no_grad():
        game.discriminator.output.weight.zero_()
        game.discriminator.output.bias.zero_()
    loss = game.discriminator_loss(torch.rand(6, *SPEC.shape), START)
    assert loss.info["value"].item() == pytest.approx(-2 * math.log(2))


@pytest.mark.parametrize("loss", ["standard", "saturating"])
def test_the_generator_goes_up_the_scores_more_or_less_steeply(loss):
    """The slope by the score x is s(x) - 1 for ``-log D``, which is nearly -1 where D is sure, and -s(x) for
    ``log (1 - D)``, which vanishes there."""
    game = _game(loss=loss)
    with torch.no_grad():
        game.discriminator.output.bias.fill_(-6.0)
    seed_everything(1)
    scores: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
            scores.append(output)

    game.discriminator.register_forward_hook(keep)
    game.generator_loss(torch.rand(6, *SPEC.shape), START).terms["adversarial"].backward()
    fake = scores[-1]
    slope = fake.sigmoid() - 1 if loss == "standard" else -fake.sigmoid()
    torch.testing.assert_close(fake.grad, slope.detach() / 6)
    assert (fake.grad.abs() * 6 > 0.9).all() == (loss == "standard")


def test_the_trained_discriminator_of_two_gaussians_is_the_ratio_of_densities():
    """Proposition 1 and theorem 1: D = p / (p + q), and the value is -2 log 2 + 2 JSD(p, q).

    Of N(0, 1) and N(1, 1) the logit is 1/2 - x, which a linear discriminator can say. The divergence is a sum over a
    fine grid; samples are evenly spaced quantiles."""
    critic = nn.Linear(1, 1)
    real = torch.special.ndtri((torch.arange(2000) + 0.5) / 2000)[:, None]
    fake = real + 1
    referee = Referee("standard", TricksConfig())
    optimizer = torch.optim.LBFGS(critic.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = sum(referee.discriminator(critic, real, fake, START).terms.values())
        value.backward()
        return value

    optimizer.step(closure)
    assert critic.weight.item() == pytest.approx(-1, abs=0.02)
    assert critic.bias.item() == pytest.approx(0.5, abs=0.01)
    x = torch.linspace(-8, 9, 3401)
    p, q = ((-((x - m) ** 2) / 2).exp() / math.sqrt(2 * math.pi) * 0.005 for m in (0, 1))
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()).item() / 2
    found = referee.discriminator(critic, real, fake, START).info["value"]
    assert found.item() == pytest.approx(-2 * math.log(2) + 2 * divergence, abs=1e-3)
