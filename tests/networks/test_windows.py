"""The strongest windows against a convolution, and the gradient of their own against that of autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from textgan.networks.windows import WordTable, strongest_window


def by_convolution(inputs: Tensor, weight: Tensor, lengths: Tensor | None = None, first: int = 0) -> Tensor:
    """One sentence at a time, cut where it ends."""
    found = []
    for i, sentence in enumerate(inputs):
        end = len(sentence) if lengths is None else max(int(lengths[i]), weight.shape[2])
        found.append(F.conv1d(sentence[None, first:end].transpose(1, 2), weight).amax(2)[0])
    return torch.stack(found)


@pytest.mark.parametrize("width", [1, 2, 5, 7])
@pytest.mark.parametrize("lengths", [None, [7, 3, 1, 5]])
def test_values_and_gradients_are_those_of_a_convolution_and_a_maximum(width: int, lengths: list[int] | None) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(4, 7, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 3, width, dtype=torch.float64, requires_grad=True)
    ends = None if lengths is None else torch.tensor(lengths)
    factor = torch.randn(4, 6, dtype=torch.float64)
    gradients = []
    for call in (strongest_window, by_convolution):
        found = call(inputs, weight, ends)
        gradients.append((found.detach(), *torch.autograd.grad((factor * found).sum(), [inputs, weight])))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(strongest_window(inputs, weight, ends), gradients[0][0])


def test_windows_from_a_place_on() -> None:
    inputs, weight = torch.randn(4, 7, 3), torch.randn(6, 3, 2)
    with torch.no_grad():
        torch.testing.assert_close(strongest_window(inputs, weight, None, 3), by_convolution(inputs, weight, None, 3))
    found = strongest_window(inputs, weight.requires_grad_(), None, 3)
    torch.testing.assert_close(found, by_convolution(inputs, weight, None, 3))


@pytest.mark.parametrize("width", [1, 3, 7])
@pytest.mark.parametrize("lengths", [None, [7, 3, 1, 5]])
def test_a_table_gives_what_a_convolution_of_the_embeddings_gives(width: int, lengths: list[int] | None) -> None:
    torch.manual_seed(0)
    embedding = torch.randn(11, 3, dtype=torch.float64)
    weight = torch.randn(6, 3, width, dtype=torch.float64)
    ends = torch.tensor(lengths or [7] * 4)
    tokens = torch.randint(11, (4, 7)).where(torch.arange(7) < ends[:, None], len(embedding))
    inputs = torch.cat([embedding, embedding.new_zeros(1, 3)])[tokens]
    table, given = WordTable(embedding, weight), None if lengths is None else ends
    torch.testing.assert_close(table.strongest(tokens, given), by_convolution(inputs, weight, given))
    if lengths is None and width < 7:
        expected = by_convolution(inputs, weight, None, 4 - width // 2)
        torch.testing.assert_close(table.strongest(tokens, None, 4 - width // 2), expected)


@pytest.mark.parametrize("lengths", [None, [5, 2, 4]])
def test_gradients_of_gradients(lengths: list[int] | None) -> None:
    torch.manual_seed(1)
    inputs = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    ends = None if lengths is None else torch.tensor(lengths)

    def call(x: Tensor, w: Tensor) -> Tensor:
        return strongest_window(x, w, ends)

    assert gradcheck(call, (inputs, weight))
    assert gradgradcheck(call, (inputs, weight))


def test_a_lower_precision_leaves_gradients_in_full() -> None:
    inputs = torch.randn(8, 6, 4, requires_grad=True)
    weight = torch.randn(5, 4, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = strongest_window(inputs, weight)
    found.float().sum().backward()
    plain = by_convolution(inputs.detach(), weight.detach().requires_grad_())
    assert inputs.grad is not None
    assert weight.grad is not None
    assert (inputs.grad.dtype, weight.grad.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(found.float(), plain.detach(), rtol=0.05, atol=0.1)
