"""How latent vectors are drawn and what lies between two of them."""

from __future__ import annotations

import math

import pytest
import torch

from textgan.latents import draw_latents, great_circle, on_sphere

CPU = torch.device("cpu")


def _angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1).acos()


@pytest.mark.parametrize(
    ("name", "variance", "kurtosis"), [("gaussian", 1.0, 3.0), ("sphere", 1.0, 2.5), ("uniform", 1 / 3, 1.8)]
)
def test_latents_have_the_moments_of_their_distribution(name, variance, kurtosis):
    """On the sphere in n dimensions a number's kurtosis is 3 n / (n + 2): 2.5 for n = 10."""
    torch.manual_seed(0)
    z = draw_latents(20_000, 10, name, CPU).double()
    assert z.shape == (20_000, 10)
    assert z.mean().abs() < 0.01
    assert z.square().mean().item() == pytest.approx(variance, rel=0.02)
    assert (z**4).mean().item() / z.square().mean().item() ** 2 == pytest.approx(kurtosis, rel=0.02)


def test_on_the_sphere_every_vector_has_its_direction_and_one_length():
    z = torch.randn(5, 7) * torch.tensor([0.01, 1.0, 3.0, 50.0, 1e6])[:, None]
    found = on_sphere(z)
    torch.testing.assert_close(found.norm(dim=1), torch.full((5,), math.sqrt(7)))
    torch.testing.assert_close(_angle(found.double(), z.double()), torch.zeros(5).double(), atol=1e-3, rtol=0)
    assert torch.equal(on_sphere(torch.zeros(2, 3)), torch.zeros(2, 3))
    torch.testing.assert_close(draw_latents(9, 16, "sphere", CPU).norm(dim=1), torch.full((9,), 4.0))


def test_a_great_circle_begins_and_ends_where_it_should():
    start, end = torch.randn(6, 5), 3 * torch.randn(6, 5)
    path = great_circle(start, end, 7)
    assert path.shape == (6, 7, 5)
    torch.testing.assert_close(path[:, 0], start)
    torch.testing.assert_close(path[:, -1], end)
    assert torch.equal(great_circle(start, end, 2)[:, 0], path[:, 0])


def test_between_ends_of_one_length_the_length_is_constant_and_the_angle_grows_in_equal_steps():
    start, end = on_sphere(torch.randn(6, 5).double()), on_sphere(torch.randn(6, 5).double())
    path = great_circle(start, end, 11)
    torch.testing.assert_close(path.norm(dim=2), torch.full((6, 11), math.sqrt(5)).double())
    whole = _angle(start, end)
    for step in range(1, 11):
        torch.testing.assert_close(_angle(path[:, 0], path[:, step]), whole * step / 10, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(_angle(path[:, step - 1], path[:, step]), whole / 10, atol=1e-6, rtol=1e-6)


def test_a_quarter_of_a_circle_is_that_of_cosine_and_sine():
    path = great_circle(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 5)
    expected = [[2 * math.cos(t * math.pi / 8), 2 * math.sin(t * math.pi / 8)] for t in range(5)]
    torch.testing.assert_close(path[0], torch.tensor(expected))


def test_nearly_equal_and_nearly_opposite_vectors_are_finite():
    start = on_sphere(torch.randn(1, 8))
    for end in (start, start * (1 + 1e-7), -start, -start + 1e-6, 0.5 * start, torch.zeros(1, 8)):
        path = great_circle(start, end, 9)
        assert path.isfinite().all()
        torch.testing.assert_close(path[:, 0], start, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(path[:, -1], end, atol=1e-3, rtol=1e-3)
    same = great_circle(start, start, 9)
    torch.testing.assert_close(same, start[:, None].expand(1, 9, 8), atol=1e-3, rtol=1e-3)
