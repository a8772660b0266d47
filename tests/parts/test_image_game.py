"""The order of play of two players, and what each of their losses is made of."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.data.batches import Batches
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.game import Move, Turn, walk
from textgan.latents import on_sphere
from textgan.losses import OBJECTIVES
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_generators import ImageGeneratorConfig
from textgan.parts.image_game import ImageGame, ImageGameConfig
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.referee import TricksConfig, mode_seeking
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = ImageSpec(channels=1, height=8, width=8, train_size=40)
CONFIG = TrainerConfig(device="cpu")
START = Turn("adversarial", 0, 0.0)
SMALL = ImageGameConfig(
    batch_size=8,
    rounds=4,
    latent=6,
    generator=ImageGeneratorConfig(kind="mlp", width=16),
    discriminator=ImageDiscriminatorConfig(kind="mlp", width=16),
)


class Noise:
    """40 different images."""

    def __len__(self) -> int:
        return 40

    def take(self, indices: Tensor) -> Tensor:
        return (indices[:, None, None, None] / 20 - 1).expand(-1, *SPEC.shape).clone()


def _game(kind: type[ImageGame] = ImageGame, **changes: object) -> ImageGame:
    seed_everything(0)
    return kind(dataclasses.replace(SMALL, **changes), SPEC)


def test_the_plan_is_k_steps_of_the_discriminator_then_one_of_the_generator():
    (stage,) = _game(discriminator_steps=3).stages()
    assert (stage.name, stage.rounds, stage.steps) == ("adversarial", 4, 16)
    assert [(move.player, move.times, move.every) for move in stage.moves] == [
        ("discriminator", 3, 1),
        ("generator", 1, 1),
    ]


def test_each_player_has_its_own_parameters_and_step_size():
    game = _game(optimizers=OptimizersConfig(generator=1e-4, discriminator=4e-4))
    optimizers = game.optimizers()
    assert list(optimizers) == ["generator", "discriminator"]
    for name, rate in (("generator", 1e-4), ("discriminator", 4e-4)):
        (group,) = optimizers[name].param_groups
        assert group["lr"] == rate
        assert {id(p) for p in group["params"]} == {id(p) for p in getattr(game, name).parameters()}


class Counting(ImageGame):
    """Notes what is called, and has a penalty."""

    def __init__(self, config: ImageGameConfig, spec: object) -> None:
        super().__init__(config, spec)
        self.notes: list[str] = []

    def penalties(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        assert not fake.requires_grad
        return {"penalty": 3 * self.discriminator(real).square().mean()}

    def discriminator_loss(self, real: Tensor, turn: Turn):  # type: ignore[no-untyped-def]
        self.notes.append("discriminator")
        return super().discriminator_loss(real, turn)

    def generator_loss(self, real: Tensor, turn: Turn):  # type: ignore[no-untyped-def]
        self.notes.append("generator")
        return super().generator_loss(real, turn)

    def after_discriminator(self) -> None:
        assert not torch.is_grad_enabled()
        self.notes.append("after")


def test_after_discriminator_is_called_after_each_of_its_steps_and_no_other():
    game = _game(Counting, discriminator_steps=2, rounds=2)
    Trainer(game, Batches(Noise(), 0), CONFIG).play()
    assert game.notes == ["discriminator", "after", "discriminator", "after", "generator"] * 2


def test_the_discriminators_loss_is_the_objective_of_detached_fakes_and_the_penalties():
    game = _game(Counting)
    real = torch.rand(8, *SPEC.shape) * 2 - 1
    seed_everything(3)
    loss = game.discriminator_loss(real, START)
    seed_everything(3)
    fake = game.sample(8)
    halves = OBJECTIVES["standard"].discriminator(game.discriminator(real), game.discriminator(fake))
    assert list(loss.terms) == ["real", "fake", "penalty"]
    torch.testing.assert_close(loss.terms["real"], halves[0])
    torch.testing.assert_close(loss.terms["fake"], halves[1])
    torch.testing.assert_close(loss.terms["penalty"], 3 * game.discriminator(real).square().mean())
    sum(loss.terms.values()).backward()
    assert all(p.grad is None for p in game.generator.parameters())
    assert all(p.grad is not None for p in game.discriminator.parameters())


def test_the_generators_loss_is_the_objective_of_fakes_it_is_answerable_for():
    game = _game(tricks=TricksConfig(diversity=0.7))
    real = torch.rand(8, *SPEC.shape) * 2 - 1
    seed_everything(3)
    loss = game.generator_loss(real, START)
    seed_everything(3)
    latents = game.latents(8)
    fake = game.decode(latents)
    expected = OBJECTIVES["standard"].generator(game.discriminator(real), game.discriminator(fake))
    assert list(loss.terms) == ["adversarial", "diversity"]
    torch.testing.assert_close(loss.terms["adversarial"], expected)
    torch.testing.assert_close(loss.terms["diversity"], 0.7 * mode_seeking(fake, latents))
    parameters = list(game.generator.parameters())
    found = torch.autograd.grad(loss.terms["adversarial"], parameters, retain_graph=True)
    wanted = torch.autograd.grad(expected, parameters)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
        assert one.abs().sum() > 0


def test_the_steps_of_a_round_see_new_images_and_new_fakes():
    game = _game(discriminator_steps=3, rounds=1)
    seen: list[Tensor] = []
    fakes: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    game.generator.register_forward_hook(lambda module, inputs, output: fakes.append(output.detach()))
    trainer = Trainer(game, Batches(Noise(), 0), CONFIG)
    for place in walk(trainer.stages):
        trainer.make(place)
    assert len(fakes) == 4
    assert all(not torch.equal(fakes[0], fake) for fake in fakes[1:])
    real = seen[0::2]
    assert len(real) == 4
    assert all(not torch.equal(real[0], other) for other in real[1:])


def test_a_critic_whose_level_does_not_count_has_no_last_bias():
    assert _game(loss="wasserstein").discriminator.output.bias is None
    assert _game(loss="standard").discriminator.output.bias is not None


def test_the_optimiser_moves_the_mover_alone_though_losses_go_through_both():
    game = _game()
    trainer = Trainer(game, Batches(Noise(), 0), CONFIG)
    for index, move in enumerate(trainer.stages[0].moves):
        assert isinstance(move, Move)
        before = {name: p.detach().clone() for name, p in game.named_parameters()}
        trainer._update(move, START)
        moved = {name.split(".")[0] for name, p in game.named_parameters() if not torch.equal(before[name], p)}
        assert moved == {["discriminator", "generator"][index]}


@pytest.mark.parametrize("name", ["gaussian", "sphere", "uniform"])
def test_latents_are_drawn_from_what_the_config_says(name):
    latents = _game(latent=4, latents=name).latents(3000)
    assert latents.shape == (3000, 4)
    expected = {"gaussian": 1.0, "sphere": 1.0, "uniform": 1 / 3}[name]
    assert latents.var().item() == pytest.approx(expected, rel=0.05)
    if name == "sphere":
        torch.testing.assert_close(latents, on_sphere(latents))
    if name == "uniform":
        assert latents.abs().max() <= 1


@pytest.mark.parametrize("field", ["batch_size", "rounds", "discriminator_steps", "latent"])
def test_a_number_that_cannot_be_is_refused(field):
    with pytest.raises(UserError, match=f"game.{field} is 0"):
        dataclasses.replace(SMALL, **{field: 0})
