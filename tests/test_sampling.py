from __future__ import annotations

import math

import pytest
import torch

from tests.policies import ENDING, FIXED, TablePolicy, sentences
from tests.test_categorical import assert_distributed
from textgan.categorical import draw
from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.networks.lstm import LSTMGenerator
from textgan.sampling import sample


@pytest.mark.parametrize("spec", [FIXED, ENDING])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_sentences_have_their_enumerated_probabilities(spec, temperature):
    torch.manual_seed(0)
    policy, every = TablePolicy(spec), sentences(spec)
    policy.table.data /= temperature
    probabilities = policy.log_probs(every).sum(1).exp().detach()
    policy.table.data *= temperature
    assert probabilities.sum().item() == pytest.approx(1)
    drawn = sample(policy, spec, 40_000, temperature)
    same = (drawn[:, None] == every).all(2)
    assert same.sum(1).eq(1).all()
    assert_distributed(same.sum(0).double(), probabilities)


def small_lstm(spec: TextSpec) -> LSTMGenerator:
    torch.manual_seed(3)
    policy = LSTMGenerator(spec, 6, 8)
    for parameter in policy.parameters():
        parameter.data.normal_()
    return policy


TEXT = TextSpec(80, 9, train_size=0)
ORACLE = TextSpec(80, 9, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)


@pytest.mark.parametrize("spec", [TEXT, ORACLE])
@pytest.mark.parametrize("at_once", [None, 1, 9])
def test_sample_equals_one_sentence_at_a_time(spec, at_once):
    policy, uniforms = small_lstm(spec), torch.rand(40, 9)
    policy.output.bias.data[2] = 4.0  # some sentences end
    drawn = sample(policy, spec, 40, 0.8, uniforms, at_once)
    for row, numbers in zip(drawn.tolist(), uniforms, strict=True):
        state, words = policy.start(1), []
        for number in numbers:
            words.append(draw(policy.logits(state), 0.8, number[None]).item())
            state = policy.advance(torch.tensor(words[-1:]), state)
            if words[-1] == spec.eos:
                break
        assert row == words + [spec.pad] * (9 - len(words))
    assert (drawn == spec.pad).any() == (spec is TEXT)


def test_a_policy_that_ends_at_once_gives_end_marks_and_padding():
    policy = small_lstm(TEXT)
    policy.output.bias.data[2] = 1e4
    assert sample(policy, TEXT, 3).tolist() == [[2] + [0] * 8] * 3


def test_sampling_records_no_gradient_and_follows_the_seed():
    policy = small_lstm(TEXT)
    torch.manual_seed(5)
    first = sample(policy, TEXT, 20)
    torch.manual_seed(5)
    assert torch.equal(first, sample(policy, TEXT, 20))
    assert not first.requires_grad


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(UserError, match=r"temperature .* must be greater than 0"):
        sample(small_lstm(TEXT), TEXT, 1, temperature)
