"""The plain ways of doing what textgan does faster: what `benchmark_speed.py` holds it against."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textgan.networks.text_cnn import TextCNN
from textgan.sampling import Policy


@torch.no_grad()
def nested_loop(
    policy: Policy, tokens: Tensor, reward: Callable[[Tensor], Tensor], rollouts: int, usual: bool
) -> Tensor:
    """Roll-out rewards ``(B, T)`` of full sentences ``(B, T)``, one prefix and one roll-out at a time.

    Each roll-out reads its prefix again from the begin mark, draws the rest with ``torch.multinomial`` and has the
    batch rewarded. `usual` calls the generator's whole step for every token that is read, logits and log-softmax
    included, as the public implementations do; without it ("lean") no logits are computed while a prefix is read.
    """
    batch, length = tokens.shape
    rewards = torch.zeros(batch, length, device=tokens.device)
    for _ in range(rollouts):
        for prefix in range(1, length):
            state = policy.start(batch)
            words = list(tokens[:, :prefix].unbind(1))
            for word in words:
                if usual:
                    policy.logits(state).log_softmax(-1)
                state = policy.advance(word, state)
            while True:
                words.append(torch.multinomial(policy.logits(state).softmax(-1), 1).squeeze(1))
                if len(words) == length:
                    break
                state = policy.advance(words[-1], state)
            rewards[:, prefix - 1] += reward(torch.stack(words, 1))
        rewards[:, -1] += reward(tokens)
    return rewards / rollouts


@torch.no_grad()
def sample_by_multinomial(policy: Policy, n: int, length: int) -> Tensor:
    """`n` sentences ``(n, T)``, a word of all of them at a time by ``torch.multinomial`` over the whole softmax."""
    state = policy.start(n)
    words: list[Tensor] = []
    for _ in range(length):
        if words:
            state = policy.advance(words[-1], state)
        words.append(torch.multinomial(policy.logits(state).softmax(-1), 1).squeeze(1))
    return torch.stack(words, 1)


def features_by_width(
    network: TextCNN,
    of_image: bool,
    apart: bool,
    inputs: Tensor,
    lengths: Tensor | None = None,
    shared: int = 0,
    copies: int = 1,
) -> Tensor:
    """`TextCNN.features_embedded` of full sentences as it is usually written, all positions for each width.

    Convolution, bias, relu, then the maximum over positions. `of_image` takes the embeddings as an image of one
    channel, as public implementations do; without it they are channels, which is faster. `apart` reads the two halves,
    real sentences and fakes, one after the other.
    """
    assert lengths is None, "only full sentences"
    if apart:
        halves = (features_by_width(network, of_image, False, half) for half in inputs.chunk(2))
        return torch.cat(list(halves))
    found = []
    for window in network.windows:
        assert isinstance(window, nn.Conv1d)
        if of_image:
            filters = window.weight.transpose(1, 2).unsqueeze(1)  # (F, 1, width, E)
            response = F.conv2d(inputs.unsqueeze(1), filters, window.bias).squeeze(3)
        else:
            response = window(inputs.transpose(1, 2))
        found.append(F.max_pool1d(F.relu(response), response.shape[2]).squeeze(2))
    return network.through_highway(torch.cat(found, 1))
