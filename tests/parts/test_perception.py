"""A network that learns to see, and then stands still."""

from __future__ import annotations

import math

import torch
from torch.optim import Adam

from textgan.data.images.spec import ImageSpec
from textgan.game import Loss, Turn
from textgan.parts.perception import WAYS, Perception, PerceptionConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 8, 8, train_size=8)


def _perception(**options: int) -> Perception:
    seed_everything(0)
    return Perception(PerceptionConfig(width=4, **options), SPEC)


def _corners(n: int) -> torch.Tensor:
    """Images that are light in the corner above, to the left."""
    images = torch.rand(n, 1, 8, 8) * 0.5 - 1
    images[:, :, :3, :3] += 1
    return images


def test_it_is_asked_in_which_of_four_ways_each_image_was_mirrored():
    """A network that knows the corner that is light knows the way: its loss is that of the right answers."""
    perception = _perception()
    perception.answer = torch.nn.Identity()
    perception.body = torch.nn.Identity()
    places = [(0, 0), (7, 0), (0, 7), (7, 7)]

    class Answer(torch.nn.Module):
        def forward(self, flat: torch.Tensor) -> torch.Tensor:
            images = flat.view(-1, 8, 8)
            return torch.stack([images[:, y, x] for y, x in places], 1)

    perception.answer = Answer()
    images = torch.full((12, 1, 8, 8), -1.0)
    images[:, :, 0, 0] = 9
    loss = perception.loss(images)
    torch.testing.assert_close(loss.terms["way"], torch.tensor(math.log(1 + 3 * math.exp(-10))))
    assert loss.info["accuracy"] == 1
    assert WAYS == ((), (2,), (3,), (2, 3))


def test_it_learns_to_tell():
    perception = _perception()
    optimizer = perception.optimizer()
    for _ in range(60):
        optimizer.zero_grad()
        loss = perception.loss(_corners(32))
        loss.terms["way"].backward()
        optimizer.step()
    assert isinstance(optimizer, Adam)
    assert loss.info["accuracy"] > 0.9


def test_what_it_sees_has_mean_0_and_deviation_1_over_the_images_it_learned_from():
    perception = _perception()
    with torch.no_grad():
        for parameter in perception.body.parameters():
            parameter.mul_(4)  # far from the number that keeps a variance from being 0
    images = _corners(64)
    for _ in range(80):
        perception.loss(images)
    maps = perception.features(torch.cat([images.flip(sides) for sides in WAYS]))
    var, mean = torch.var_mean(maps, (0, 2, 3))
    assert mean.abs().max() < 0.1
    assert (var.sqrt() - 1).abs().max() < 0.1


def test_nothing_changes_when_it_looks_and_each_image_is_looked_at_by_itself():
    perception = _perception()
    perception.train()
    before = {name: tensor.clone() for name, tensor in perception.state_dict().items()}
    images = torch.rand(6, 1, 8, 8)
    together = perception.features(images)
    torch.testing.assert_close(together[:2], perception.features(images[:2]))
    assert all(torch.equal(before[name], tensor) for name, tensor in perception.state_dict().items())
    assert perception.training


def test_a_gradient_goes_through_it_when_it_is_frozen():
    perception = _perception()
    perception.requires_grad_(False)
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(perception.features(images).square().sum(), images)
    assert slope.abs().sum() > 0


def test_its_stage_shows_it_what_is_to_be_seen_and_is_not_watched():
    perception = _perception(rounds=7)
    shown = []

    def loss(images: torch.Tensor) -> Loss:
        shown.append(images)
        return Loss({})

    perception.loss = loss
    stage = perception.stage(lambda batch: batch[1])
    assert (stage.name, stage.rounds, stage.watched) == ("perception", 7, False)
    (move,) = stage.moves
    move.loss((torch.zeros(1), torch.ones(1)), Turn("perception", 0, 0.0))
    assert shown == [torch.ones(1)]


def test_its_maps_are_halved_as_often_as_is_said():
    assert [tuple(_perception(halvings=n).features(torch.zeros(1, 1, 8, 8)).shape[1:]) for n in (0, 1, 2)] == [
        (4, 8, 8),
        (8, 4, 4),
        (16, 2, 2),
    ]
