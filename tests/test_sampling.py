from __future__ import annotations

import math

import pytest
import torch

from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.networks.lstm import LSTMGenerator
from textgan.sampling import draw, sample

LARGEST = 1 - 2**-24  # the largest number that torch.rand gives


def assert_distributed(counts, probabilities) -> None:
    """Pearson's chi-square is within 5 standard deviations of its mean."""
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] * counts.sum()
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    freedom = int(possible.sum()) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("vocab", [3, 7, 64, 65, 300])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_have_the_softmax_frequencies(vocab, temperature):
    torch.manual_seed(vocab)
    logits = torch.randn(vocab).mul(0.7)
    logits[vocab // 2] = -torch.inf
    tokens = draw(logits.expand(200_000, -1), temperature)
    probabilities = (logits.double() / temperature).softmax(-1)
    assert_distributed(torch.bincount(tokens, minlength=vocab).double(), probabilities)


@pytest.mark.parametrize("vocab", [3, 64, 200, 5000])
def test_draw_inverts_the_distribution_function(vocab):
    torch.manual_seed(0)
    logits, uniforms = torch.randn(2000, vocab) * 2, torch.rand(2000)
    function = logits.double().softmax(-1).cumsum(-1)
    token = torch.searchsorted(function, uniforms.double()[:, None]).squeeze(1)
    margin = (function - uniforms[:, None]).abs().amin(-1)
    clear = margin > 1e-6  # fp32 cannot tell the two tokens at a boundary apart
    assert clear.sum() > 0.9 * len(clear) or vocab == 5000
    assert torch.equal(draw(logits, uniforms=uniforms)[clear], token[clear])
    assert (draw(logits, uniforms=uniforms) - token).abs().max() <= 1


@pytest.mark.parametrize("uniform", [0.0, 1e-38, 2**-24, 0.5, LARGEST])
def test_impossible_tokens_are_never_drawn(uniform):
    torch.manual_seed(1)
    logits = torch.randn(4000, 517) * 5
    logits[torch.rand(4000, 517) < torch.rand(4000, 1)] = -torch.inf
    logits[:, 333] = 0.0
    tokens = draw(logits, uniforms=torch.full((4000,), uniform))
    assert logits.gather(1, tokens[:, None]).isfinite().all()


@pytest.mark.parametrize("place", [0, 63, 64, 199])
def test_the_only_possible_token_is_drawn_whatever_the_number(place):
    logits = torch.full((5, 200), -torch.inf)
    logits[:, place] = -3e4
    uniforms = torch.tensor([0.0, 2**-24, 0.5, 0.999, LARGEST])
    assert draw(logits, uniforms=uniforms).tolist() == [place] * 5


def test_extreme_logits_do_not_overflow():
    logits = torch.tensor([[3e38, -3e38, 0.0], [-3e38, -3e38, -3.1e38], [88.8, 90.0, -1e4]])
    uniforms = torch.tensor([0.9, 0.75, 0.99])
    assert draw(logits, uniforms=uniforms).tolist() == [0, 1, 1]


def test_draw_leaves_the_logits_alone():
    logits = torch.randn(3, 10)
    before = logits.clone()
    draw(logits, 0.5)
    assert torch.equal(logits, before)


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
