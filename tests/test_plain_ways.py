"""The baselines of speed do the same work as what they are held against."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
import torch

from tests.scripts import load_script
from textgan.data.spec import NONE, TextSpec
from textgan.networks.lstm import LSTMGenerator
from textgan.networks.text_cnn import TextCNN
from textgan.policy_gradient import rollout_rewards

B, T, N, V = 4, 5, 2, 30
SPEC = TextSpec(V, T, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("plain_ways")


@pytest.mark.parametrize("usual", [True, False])
def test_the_nested_loop_values_words_as_the_forked_roll_outs_do(script: ModuleType, usual: bool) -> None:
    """Where a reward is of the words that all completions share, chance has no say."""
    torch.manual_seed(0)
    policy = LSTMGenerator(SPEC, 4, 4)
    tokens = torch.randint(V, (B, T))
    forked = rollout_rewards(policy, SPEC, tokens, lambda rows, _: rows[:, 0].float(), N)
    nested = script.nested_loop(policy, tokens, lambda rows: rows[:, 0].float(), N, usual)
    torch.testing.assert_close(nested, forked)


def test_the_nested_loop_completes_each_prefix_and_rewards_the_sentence_itself_last(script: ModuleType) -> None:
    torch.manual_seed(0)
    policy, tokens, seen = LSTMGenerator(SPEC, 4, 4), torch.randint(V, (B, T)), []
    script.nested_loop(policy, tokens, lambda rows: seen.append(rows) or rows[:, 0], 1, usual=False)
    assert len(seen) == T
    for prefix, rows in enumerate(seen, 1):
        assert torch.equal(rows[:, :prefix], tokens[:, :prefix])
    assert not torch.equal(seen[0][:, 1:], tokens[:, 1:])


def test_plain_sampling_follows_the_policy(script: ModuleType) -> None:
    spec = replace(SPEC, vocab_size=3, length=2)
    torch.manual_seed(0)
    policy = LSTMGenerator(spec, 4, 4, init_std=1.0)
    drawn = script.sample_by_multinomial(policy, 20_000, 2)
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    expected = policy.log_probs(pairs).sum(1).exp()
    found = (drawn[:, None] == pairs).all(2).float().mean(0)
    torch.testing.assert_close(found, expected, atol=0.015, rtol=0)  # four standard errors


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("of_image", [True, False])
def test_plain_convolutions_have_the_same_features(script: ModuleType, of_image: bool, apart: bool) -> None:
    torch.manual_seed(0)
    network = TextCNN(SPEC, (1, 2, 5), (3, 4, 5), embedding=6)
    inputs = torch.randn(B, T, 6)
    plain = script.features_by_width(network, of_image, apart, inputs)
    torch.testing.assert_close(plain, network.features_embedded(inputs))
