"""What a vote sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError
from textgan.networks.image_patches import LAYERS, PatchDiscriminator, PatchDiscriminatorConfig, field_for


def _spec(side: int, channels: int = 1) -> ImageSpec:
    return ImageSpec(channels, side, side, train_size=1)


@pytest.mark.parametrize("field", LAYERS)
def test_the_field_of_a_vote_is_what_it_is_called_by(field):
    """Read off the gradient: so many rows and columns of the image move a vote in the middle."""
    side = max(2 * field, 16)
    torch.manual_seed(0)
    config = PatchDiscriminatorConfig(width=2, field=field, norm="none", init_std=1.0)
    network = PatchDiscriminator(config, _spec(side)).double()
    images = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    votes = network(images)
    (slope,) = torch.autograd.grad(votes[0, votes.shape[1] // 2, votes.shape[2] // 2], images)
    for side in (1, 2):
        moved = (slope[0] != 0).any(3 - side).flatten().nonzero().flatten()
        assert int(moved[-1] - moved[0]) + 1 == field


def test_by_default_it_grows_with_the_image_as_the_papers_share():
    found = {side: field_for(side) for side in (8, 16, 28, 32, 64, 128, 256, 512)}
    assert found == {8: 5, 16: 5, 28: 7, 32: 7, 64: 16, 128: 34, 256: 70, 512: 142}
    assert PatchDiscriminator(PatchDiscriminatorConfig(), _spec(64)).field == 16
    assert PatchDiscriminator(PatchDiscriminatorConfig(field=7), _spec(64)).field == 7


def test_at_256_pixels_it_is_the_papers():
    """C64-C128-C256-C512, 30 x 30 votes, and no norm in the first layer."""
    network = PatchDiscriminator(PatchDiscriminatorConfig(width=64), _spec(256, 3), extra=3)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (6, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 1), (512, 1, 1),
    ]  # fmt: skip
    assert [layer[1].__class__ for layer in network.layers[:-1]] == [nn.Identity, *[nn.BatchNorm2d] * 3]
    assert network.eval()(torch.zeros(1, 6, 256, 256)).shape == (1, 30, 30)


def test_features_are_of_every_layer_and_the_votes_are_the_last():
    network = PatchDiscriminator(PatchDiscriminatorConfig(width=4, field=16), _spec(16)).eval()
    images = torch.randn(3, 1, 16, 16)
    found = network.features(images)
    assert [tuple(maps.shape[1:]) for maps in found] == [(4, 8, 8), (8, 7, 7), (1, 6, 6)]
    assert torch.equal(network(images), found[-1][:, 0])
    assert torch.equal(found[1], network.layers[1](network.layers[0](images)))


def test_a_field_that_leaves_no_votes_is_refused():
    with pytest.raises(UserError, match=r"discriminator.field is 70, too large for images of 8 x 8"):
        PatchDiscriminator(PatchDiscriminatorConfig(field=70), _spec(8))
    with pytest.raises(UserError, match=r"discriminator.field is 6; it must be one of 1, 5, 7"):
        PatchDiscriminatorConfig(field=6)


def test_a_last_bias_that_could_not_learn_is_left_out():
    assert PatchDiscriminator(PatchDiscriminatorConfig(), _spec(8), bias=False).layers[-1][0].bias is None
    assert PatchDiscriminator(PatchDiscriminatorConfig(), _spec(8)).layers[-1][0].bias is not None
