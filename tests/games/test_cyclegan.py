"""What makes CycleGAN itself."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from tests.games.test_every_game import SPECS
from textgan.config import parse_train_command
from textgan.data.images.domains import UnpairedImages
from textgan.game import Turn
from textgan.games.cyclegan import TINY, CycleGAN
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["image_domains"]["images"]
TURN = Turn("adversarial", 0, 0.0)


class Line(nn.Module):
    """``slope * x + level``: a generator whose every loss is known."""

    def __init__(self, slope: float, level: float) -> None:
        super().__init__()
        self.slope, self.level = nn.Parameter(torch.tensor(slope)), nn.Parameter(torch.tensor(level))

    def forward(self, images: Tensor) -> Tensor:
        return self.slope * images + self.level


def _game(**changes: object) -> CycleGAN:
    seed_everything(0)
    return CycleGAN(dataclasses.replace(TINY, **changes), SPEC)


def _toy(**changes: object) -> CycleGAN:
    """G(a) = 2 a + 0.5, F(b) = 3 b - 0.25; D_B(x) = x - 1, D_A(x) = 0.5 x."""
    game = _game(**changes)
    game.generator, game.backward_generator = Line(2.0, 0.5), Line(3.0, -0.25)
    game.discriminator, game.backward_discriminator = Line(1.0, -1.0), Line(0.5, 0.0)
    return game


def _batch() -> UnpairedImages:
    """a is 0.1 everywhere, b -0.2."""
    return UnpairedImages(torch.full((2, 1, 8, 8), 0.1), torch.full((2, 1, 8, 8), -0.2))


def test_cycle_and_identity_are_what_is_computed_by_hand():
    """G(a) = 0.7, F(b) = -0.85; F(G(a)) = 1.85, G(F(b)) = -1.2; G(b) = 0.1, F(a) = 0.05."""
    loss = _toy().generator_loss(_batch(), TURN)
    torch.testing.assert_close(loss.terms["cycle"], torch.tensor(10 * ((1.85 - 0.1) + (1.2 - 0.2))))
    torch.testing.assert_close(loss.terms["identity"], torch.tensor(5 * ((0.1 + 0.2) + (0.1 - 0.05))))
    adversarial = (0.7 - 1 - 1) ** 2 + (0.5 * -0.85 - 1) ** 2
    torch.testing.assert_close(loss.terms["adversarial"], torch.tensor(adversarial))
    assert set(loss.terms) == {"adversarial", "cycle", "identity"}


def test_the_gradient_of_the_cycle_reaches_both_generators_as_by_hand():
    """|F(G(a)) - a| + |G(F(b)) - b|; with respect to G's level: F's slope of the first, -1 of the second, and so on."""
    game = _toy()
    a, b = _batch()
    term = game.generator_loss((a, b), TURN).terms["cycle"]
    term.backward()
    assert game.generator.level.grad.item() == 10 * (3 - 1)
    assert game.backward_generator.level.grad.item() == 10 * (1 - 2)
    torch.testing.assert_close(game.generator.slope.grad, torch.tensor(10 * (3 * 0.1 + 0.85)))


def test_each_discriminator_plays_least_squares_with_its_own_domain():
    loss = _toy().discriminator_loss(_batch(), TURN)
    found = {name: term.item() for name, term in loss.terms.items()}
    expected = {
        "real_b": (-0.2 - 1 - 1) ** 2 / 2,
        "fake_b": (0.7 - 1) ** 2 / 2,
        "real_a": (0.05 - 1) ** 2 / 2,
        "fake_a": (0.5 * -0.85) ** 2 / 2,
    }
    torch.testing.assert_close(found, expected)


def test_discriminators_are_shown_fakes_of_their_own_domains_history():
    game, (a, b) = _toy(history=2), _batch()
    game.discriminator_loss((a, b), TURN)
    assert (game.history.items == 0.7).all()
    assert (game.backward_history.items == -0.85).all()
    game.history.items.fill_(0.3)
    shown = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    seed_everything(1)
    for _ in range(20):
        game.history.items.fill_(0.3)
        game.discriminator_loss((a, b), TURN)
    fakes = torch.cat(shown[1::2])[:, 0, 0, 0]
    old, new = torch.isclose(fakes, torch.tensor(0.3)), torch.isclose(fakes, torch.tensor(0.7))
    assert bool((old | new).all())
    assert 8 < int(old.sum()) < 32


def test_generators_are_held_fixed_when_discriminators_learn():
    game = _game()
    images = torch.rand(2, 4, 1, 8, 8) * 2 - 1
    sum(game.discriminator_loss(UnpairedImages(*images), TURN).terms.values()).backward()
    generators = [*game.generator.parameters(), *game.backward_generator.parameters()]
    assert all(p.grad is None for p in generators)
    discriminators = [*game.discriminator.parameters(), *game.backward_discriminator.parameters()]
    assert all(p.grad is not None for p in discriminators)


def test_without_identity_it_is_not_computed():
    loss = _toy(identity=0.0).generator_loss(_batch(), TURN)
    assert set(loss.terms) == {"adversarial", "cycle"}


def test_there_is_a_way_there_and_a_way_back():
    game, (a, b) = _toy(), _batch()
    torch.testing.assert_close(game.sample(2, a), torch.full_like(a, 0.7))
    torch.testing.assert_close(game.back(b), torch.full_like(b, -0.85))


def test_both_generators_are_one_player_and_both_discriminators_another():
    game = _game()
    found = {
        player: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for player, optimizer in game.optimizers().items()
    }
    parts = {
        "generator": (game.generator, game.backward_generator),
        "discriminator": (game.discriminator, game.backward_discriminator),
    }
    assert found == {player: {id(p) for part in own for p in part.parameters()} for player, own in parts.items()}


def test_the_default_is_the_papers_weights_and_its_history():
    config = parse_train_command(find("cyclegan"), [], "test")
    assert (config.game.cycle, config.game.identity, config.game.history, config.game.adversarial) == (10, 5, 50, 2)
    assert config.game.generator.norm == "instance"
    assert config.data.other == "soft"
