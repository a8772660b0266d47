"""What makes WGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from textgan.config import parse_train_command
from textgan.data.batches import Batches
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Loss, Turn
from textgan.games.wgan import TINY, WGAN, Config
from textgan.parts.referee import Referee, TricksConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
START = Turn("adversarial", 0, 0.0)


class Noise:
    """40 different images."""

    def __len__(self) -> int:
        return 40

    def take(self, indices: Tensor) -> Tensor:
        return (indices[:, None, None, None] / 20 - 1).expand(-1, *SPEC.shape).clone()


def _game(**changes: object) -> WGAN:
    seed_everything(0)
    return WGAN(dataclasses.replace(TINY, **changes), SPEC)


def _largest(network: nn.Module) -> float:
    return max(p.abs().max().item() for p in network.parameters())


def test_clipping_bounds_every_parameter_and_leaves_those_within_bounds():
    game = _game(clip=0.01)
    before = {name: p.detach().clone() for name, p in game.named_parameters()}
    with torch.no_grad():
        game.after_discriminator()
    for name, parameter in game.named_parameters():
        if name.startswith("discriminator."):
            expected = before[name].clamp(-0.01, 0.01)
            assert (before[name].abs() > 0.01).any() or "bias" in name
        else:
            expected = before[name]
        assert torch.equal(parameter, expected), name


def test_clipping_bounds_the_scale_of_a_batch_norm_too():
    game = _game(clip=0.01, discriminator=dataclasses.replace(TINY.discriminator, norm="batch"))
    with torch.no_grad():
        game.after_discriminator()
    scales = [m.weight for m in game.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(scales) == 1
    assert torch.equal(scales[0], torch.full_like(scales[0], 0.01))


def test_the_critic_is_within_bounds_after_each_of_its_steps_and_the_generator_is_free():
    game = _game(clip=0.02, discriminator_steps=3)
    trainer = Trainer(game, Batches(Noise(), 0), TrainerConfig(device="cpu"))
    sizes = []
    make = trainer.make

    def watched(place):
        make(place)
        sizes.append((place.move, _largest(game.discriminator)))

    trainer.make = watched
    trainer.play()
    assert [move for move, _ in sizes] == [0, 0, 0, 1] * TINY.rounds
    assert all(size <= 0.02 for _, size in sizes)
    assert sizes[-1][1] == pytest.approx(0.02)
    assert _largest(game.generator) > 0.02


def test_the_value_in_the_log_is_the_difference_of_the_mean_scores():
    game = _game()
    real = torch.rand(16, *SPEC.shape)
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    of_fakes = game.discriminator(game.sample(16)).mean()
    estimate = game.discriminator(real).mean() - of_fakes
    torch.testing.assert_close(loss.info["value"], estimate)
    torch.testing.assert_close(sum(loss.terms.values()), -estimate)
    seed_everything(1)
    torch.testing.assert_close(game.generator_loss(real, START).terms["adversarial"], -of_fakes)


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_the_estimate_is_the_wasserstein_distance_times_the_critics_slope(shift):
    """Of two Gaussians in one dimension that differ by a shift: the distance is the shift.

    A linear critic clipped to c has the slope c at most, and c shift is what a trained one says."""
    torch.manual_seed(0)
    clip = 0.05
    critic = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=5e-3)
    referee = Referee("wasserstein", TricksConfig())
    for _ in range(60):
        loss: Loss = referee.discriminator(critic, torch.randn(256, 1) + shift, torch.randn(256, 1), START)
        optimizer.zero_grad()
        sum(loss.terms.values()).backward()
        optimizer.step()
        with torch.no_grad():
            WGAN.after_discriminator(_Clipped(critic, clip))
    found = referee.discriminator(critic, torch.randn(20_000, 1) + shift, torch.randn(20_000, 1), START)
    assert found.info["value"].item() == pytest.approx(clip * shift, rel=0.05)


class _Clipped:
    """What clipping looks at."""

    def __init__(self, critic: nn.Module, clip: float) -> None:
        self.discriminator, self.config = critic, dataclasses.replace(TINY, clip=clip)


def test_the_papers_step_rule_and_number_of_steps():
    config = Config()
    assert (config.discriminator_steps, config.batch_size) == (5, 64)
    for optimizer in WGAN(config, SPEC).optimizers().values():
        assert isinstance(optimizer, torch.optim.RMSprop)


def test_the_preset_has_the_papers_rates():
    config = parse_train_command(find("wgan"), ["--preset", "wgan-faces"], "test").game
    assert (config.clip, config.discriminator_steps, config.latent) == (0.01, 5, 100)
    assert (config.optimizers.generator, config.optimizers.discriminator) == (5e-5, 5e-5)
    assert config.discriminator.norm == "batch"


def test_a_bound_that_leaves_nothing_is_refused():
    with pytest.raises(UserError, match=r"game.clip is 0.0; it must be above 0"):
        dataclasses.replace(TINY, clip=0.0)
