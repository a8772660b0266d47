"""Attention of rows that share what they continue: torch's own, over copies, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textgan.networks.shared_rows import Owners, Shared, SharedRows

HEADS, PART, CONTEXT = 4, 3, 5
OF = [1, 0, 1, 3, 1, 0]  # nobody continues context 2


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def shared(heads: int, own: int, owners: Owners) -> tuple[SharedRows, SharedRows, list[Tensor]]:
    """Keys and values, and the tensors behind them."""
    parts = [numbers(4, heads, CONTEXT, PART).requires_grad_() for _ in range(2)]
    if own:
        parts += [numbers(len(owners), heads, own, PART).requires_grad_() for _ in range(2)]
        keys, values = Shared(parts[0], owners, parts[2]), Shared(parts[1], owners, parts[3])
    else:
        keys, values = Shared(parts[0], owners), Shared(parts[1], owners)
    return SharedRows(keys), SharedRows(values), parts


def masks(kind: str, n: int, keys: int) -> Tensor | None:
    if kind == "none":
        return None
    if kind == "left to right":
        return torch.ones(len(OF), 1, n, keys, dtype=torch.bool).tril(keys - n)
    if kind == "padding":
        return (torch.arange(keys) >= torch.arange(len(OF))[:, None] % CONTEXT)[:, None, None].expand(-1, -1, n, -1)
    return numbers(len(OF), HEADS, n, keys)  # added to scores, by each head


@pytest.mark.parametrize("heads", [HEADS, 2, 1])
@pytest.mark.parametrize("own", [0, 1, 3])
@pytest.mark.parametrize("mask", ["none", "left to right", "padding", "added"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_and_its_gradients_are_those_over_copies(
    heads: int, own: int, mask: str, scale: float | None
) -> None:
    n = own or 2
    query = numbers(len(OF), HEADS, n, PART).requires_grad_()
    owners = Owners(torch.tensor(OF), 4)
    key, value, parts = shared(heads, own, owners)
    options = {"attn_mask": masks(mask, n, CONTEXT + own), "scale": scale, "enable_gqa": heads < HEADS}
    found = F.scaled_dot_product_attention(query, key, value, **options)
    assert not owners.copied
    expected = F.scaled_dot_product_attention(query, key.whole(), value.whole(), **options)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = numbers(*found.shape)
    grads = [torch.autograd.grad((weights * x).sum(), [query, *parts]) for x in (found, expected)]
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mask", ["none", "left to right", "added"])
def test_rows_that_share_other_things_stand_below_them(mask: str) -> None:
    first, second = Owners(torch.tensor([0, 0, 1, 1]), 2), Owners(torch.tensor([1, 0]), 2)
    parts = [
        [Shared(numbers(2, HEADS, 5, PART), first, numbers(4, HEADS, 2, PART)),
         Shared(numbers(2, HEADS, 4, PART), second, numbers(2, HEADS, 3, PART))]
        for _ in range(2)
    ]  # fmt: skip
    key, value = SharedRows(*parts[0]), SharedRows(*parts[1])
    assert key.shape == (6, HEADS, 7, PART)
    query = numbers(6, HEADS, 2, PART)
    allowed = masks(mask, 2, 7)
    found = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    assert not first.copied
    assert not second.copied
    expected = F.scaled_dot_product_attention(query, key.whole(), value.whole(), attn_mask=allowed)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for row, (part, own_row) in enumerate([(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]):
        of_contexts, owners, own = parts[0][part]
        assert torch.equal(key.whole()[row], torch.cat([of_contexts[owners.of[own_row]], own[own_row]], 1))


def test_dropout_leaves_out_weights_of_context_and_own_alike() -> None:
    ones, owners = torch.ones(4, HEADS, CONTEXT, PART), Owners(torch.tensor(OF), 4)
    everything = SharedRows(Shared(ones, owners, torch.ones(len(OF), HEADS, 2, PART)))
    torch.manual_seed(0)
    query = torch.zeros(len(OF), HEADS, 500, PART)  # every weight is 1/7; those that stay are 1/7 / 0.75
    found = F.scaled_dot_product_attention(query, everything, everything, dropout_p=0.25)
    kept = found * 7 * 0.75
    torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-4)
    assert kept.mean().item() == pytest.approx(7 * 0.75, abs=0.05)  # 12,000 means of 7: six standard errors
    assert kept.max() <= 7.001


def test_whoever_does_anything_else_is_handed_a_tensor_with_copies() -> None:
    owners = Owners(torch.tensor(OF), 4)
    key, _, (contexts, _, own, _) = shared(HEADS, 2, owners)
    expected = torch.cat([contexts[torch.tensor(OF)], own], 2)
    assert key.shape == expected.shape
    assert (key.dtype, key.device, key.dim(), key.size(2), len(key)) == (torch.float64, own.device, 4, 7, len(OF))
    assert not owners.copied
    assert torch.equal(key.transpose(2, 3), expected.transpose(2, 3))
    assert owners.copied
    query = numbers(len(OF), HEADS, 7, PART)
    torch.testing.assert_close(query @ key.transpose(2, 3), query @ expected.transpose(2, 3))
    causal = F.scaled_dot_product_attention(query, key, key, is_causal=True)
    torch.testing.assert_close(causal, F.scaled_dot_product_attention(query, expected, expected, is_causal=True))
    (key * 2).sum().backward()
    assert own.grad.eq(2).all()
    assert contexts.grad[:, 0, 0, 0].tolist() == [4, 6, 0, 2]  # twice the rows that continue each


def test_rows_stand_beside_those_of_their_context_and_come_back() -> None:
    owners = Owners(torch.tensor(OF), 4)
    rows = torch.arange(float(len(OF))).view(-1, 1, 1, 1).expand(-1, 2, 3, 1)
    together = owners.together(rows)
    assert together.shape == (4, 2, 3 * 3, 1)
    for context in range(4):
        mine = [row for row, of in enumerate(OF) if of == context]
        assert together[context, 0, : 3 * len(mine), 0].tolist() == [row for row in mine for _ in range(3)]
    assert torch.equal(owners.apart(together, 3), rows)


def test_forks_and_joins_know_how_many_rows_a_context_has_without_looking() -> None:
    begun = Owners(torch.arange(4) // 2, 2, most=2)
    forked = begun.repeat_interleave(3, 0)
    joined = forked.joined(begun, 16).with_room(20)
    assert joined.of.tolist() == [0] * 6 + [1] * 6 + [0, 0, 1, 1]
    assert (begun._most, forked._most, joined._most) == (2, 6, 8)
    some = joined[torch.tensor([0, 1, 13, 15])]
    assert some._most is None
    assert joined.joined(some, 20)._most is None
    assert some.together(torch.zeros(4, 1, 1, 1)).shape == (2, 1, 3, 1)
