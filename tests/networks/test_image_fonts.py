"""A U-Net that is told a style, and a discriminator of patches and of the whole."""

from __future__ import annotations

import pytest
import torch

from tests.games.test_every_game import SPECS
from textgan.data.images.spec import ImageSpec
from textgan.networks.image_fonts import LocalGlobalDiscriminator, StyledUNet
from textgan.networks.image_patches import PatchDiscriminatorConfig
from textgan.networks.image_unet import UNet, UNetConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["glyphs"]["glyphs"]


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_everything(0)


class TestStyledUNet:
    def _made(self) -> StyledUNet:
        return StyledUNet(UNetConfig(width=4, dropout=0.0, init_std=0.2), SPEC, 3).eval()

    def test_the_image_depends_on_the_style_and_the_code_does_not(self) -> None:
        network, source = self._made(), torch.rand(2, 1, 8, 8)
        images = [network(source, torch.full((2,), k)) for k in range(3)]
        assert (images[0] - images[1]).abs().max() > 1e-3
        assert (images[1] - images[2]).abs().max() > 1e-3
        passed = network.body.encode(source)
        assert torch.equal(network.code(source), passed[-1])
        assert passed[-1].shape == (2, 16, 1, 1)
        assert [tuple(maps.shape[2:]) for maps in passed] == [(4, 4), (2, 2), (1, 1)]

    def test_a_style_is_a_vector_beside_the_smallest_maps(self) -> None:
        """Two styles of one vector draw alike; where nothing is read of it, all do."""
        network, source = self._made(), torch.rand(2, 1, 8, 8)
        with torch.no_grad():
            network.table.weight[2] = network.table.weight[0]
            first, second, third = (network(source, torch.full((2,), k)) for k in range(3))
            assert torch.equal(first, third)
            assert not torch.equal(first, second)
            network.body.up[0][1].weight[16:] = 0
            assert torch.equal(network(source, torch.tensor([0, 1])), network(source, torch.tensor([1, 0])))

    def test_each_row_has_its_own_style(self) -> None:
        network, source = self._made(), torch.rand(1, 1, 8, 8).expand(3, -1, -1, -1)
        mixed = network(source, torch.tensor([2, 0, 1]))
        for row, style in enumerate((2, 0, 1)):
            torch.testing.assert_close(mixed[row], network(source[:1], torch.tensor([style]))[0])


def test_a_u_net_with_nothing_beside_its_smallest_maps_is_its_way_down_and_up() -> None:
    spec = ImageSpec(1, 8, 8, 0)
    network = UNet(UNetConfig(width=4, dropout=0.0), spec, spec).eval()
    source = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(source), network.decode(network.encode(source)))


class TestLocalGlobal:
    def _made(self, **options: object) -> LocalGlobalDiscriminator:
        config = PatchDiscriminatorConfig(width=4, field=7, norm="none", init_std=0.2, **options)  # type: ignore[arg-type]
        return LocalGlobalDiscriminator(config, ImageSpec(2, 16, 16, 0), extra=1)

    def test_a_patchs_vote_sees_its_patch_and_the_other_sees_all(self) -> None:
        network, images = self._made(), torch.rand(2, 3, 16, 16)
        changed = images.clone()
        changed[:, :, 15, 15] += 1
        apart = (network.local(images) - network.local(changed)).abs()
        assert apart.shape == (2, 16, 16)
        assert apart[:, 12:, 12:].max() > 1e-4
        assert apart[:, :12].max() == 0
        assert apart[:, :, :12].max() == 0
        assert (network(images) - network(changed)).abs().min() > 1e-6
        for place in ((0, 0), (0, 15), (8, 3)):
            changed = images.clone()
            changed[:, :, place[0], place[1]] += 1
            assert (network(images) - network(changed)).abs().min() > 1e-6

    def test_both_are_made_of_the_same_maps(self) -> None:
        network, images = self._made(), torch.rand(2, 3, 16, 16)
        network(images).sum().backward()
        shared = [layer[0].weight.grad is not None for layer in network.patches.layers]
        assert shared == [True, True, False]

    def test_making_one_moves_no_running_mean(self) -> None:
        config = PatchDiscriminatorConfig(width=4, field=7, norm="batch")
        network = LocalGlobalDiscriminator(config, ImageSpec(2, 16, 16, 0))
        counted = [int(m.num_batches_tracked) for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert counted
        assert set(counted) == {0}
        assert network.training
