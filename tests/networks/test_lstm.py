from __future__ import annotations

import copy
from itertools import product

import pytest
import torch

from textgan.data.spec import NONE, TextSpec
from textgan.networks import text_generator
from textgan.networks.lstm import LSTMGenerator
from textgan.sampling import sample

TEXT = TextSpec(23, 7, train_size=0)
ORACLE = TextSpec(23, 7, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)


def generator(spec: TextSpec, dropout: float = 0.0) -> LSTMGenerator:
    torch.manual_seed(0)
    network = LSTMGenerator(spec, 5, 6, dropout).double()
    for parameter in network.parameters():
        parameter.data.normal_()
    return network


def recursion(network: LSTMGenerator, row: list[int]) -> list[float]:
    """log p of each token, from the equations of the LSTM."""
    weights = dict(network.named_parameters())
    h = c = torch.zeros(6, dtype=torch.float64)
    found, last = [], network.spec.bos
    for token in row:
        gates = weights["lstm.weight_ih_l0"] @ weights["embedding.weight"][last] + weights["lstm.bias_ih_l0"]
        gates = gates + weights["lstm.weight_hh_l0"] @ h + weights["lstm.bias_hh_l0"]
        i, f, g, o = gates.split(6)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        logits = weights["output.weight"] @ h + weights["output.bias"]
        allowed = [v for v in range(network.spec.vocab_size) if v not in network.spec.never]
        found.append((logits[token] - logits[allowed].logsumexp(0)).item())
        last = token
    return found


@pytest.mark.parametrize("spec", [TEXT, ORACLE])
def test_log_probs_equal_the_recursion(spec):
    network = generator(spec)
    tokens = sample(network, spec, 12)
    found = network.log_probs(tokens)
    for row, values in zip(tokens.tolist(), found.tolist(), strict=True):
        words = [token for token in row if token != spec.pad]
        assert values == pytest.approx(recursion(network, words) + [0.0] * (7 - len(words)))


def test_log_probs_equal_the_logits_step_by_step():
    network = generator(TEXT)
    tokens = sample(network, TEXT, 12)
    state, found = network.start(12), []
    for token in tokens.unbind(1):
        found.append(network.logits(state).div(0.7).log_softmax(-1).gather(1, token[:, None]).squeeze(1))
        state = network.advance(token, state)
    stepwise = torch.where(tokens != 0, torch.stack(found, 1), 0.0)
    torch.testing.assert_close(network.log_probs(tokens, 0.7), stepwise)


def test_log_probs_without_gradients_in_parts_are_the_same(monkeypatch):
    network = generator(TEXT)
    tokens = sample(network, TEXT, 12)
    expected = network.log_probs(tokens)
    monkeypatch.setattr(text_generator, "rows_at_once", lambda vocab, device: 5)
    with torch.no_grad():
        torch.testing.assert_close(network.log_probs(tokens), expected.detach())


def test_probabilities_of_all_sentences_sum_to_one():
    spec = TextSpec(4, 4, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
    every = torch.tensor(list(product(range(4), repeat=4)))
    assert generator(spec).log_probs(every).sum(1).exp().sum().item() == pytest.approx(1)


def test_forbidden_tokens_have_no_probability_and_give_finite_gradients():
    network = generator(TEXT)
    assert network.logits(network.start(3))[:, [0, 1]].eq(-torch.inf).all()
    assert network.logits(network.start(3))[:, 2:].isfinite().all()
    network.log_probs(sample(network, TEXT, 12)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert network.output.bias.grad[:2].eq(0).all()


def test_vocabulary_of_outputs_are_the_teacher_forced_logits():
    network = generator(ORACLE)
    tokens = sample(network, ORACLE, 12)
    log_p = network.vocabulary(network.outputs(tokens)).log_softmax(-1)
    torch.testing.assert_close(log_p.gather(2, tokens[:, :, None]).squeeze(2), network.log_probs(tokens))


def test_advancing_by_a_one_hot_word_equals_advancing_by_its_token():
    network = generator(TEXT)
    tokens, state = torch.tensor([3, 9, 4]), network.start(3)
    one_hot = torch.eye(23, dtype=torch.float64)[tokens]
    mixed = network.advance_relaxed(one_hot, state)
    torch.testing.assert_close(mixed, network.advance(tokens, state))


def test_dropout_acts_in_train_mode_only():
    network = generator(TEXT, dropout=0.5)
    tokens = sample(copy.deepcopy(network).eval(), TEXT, 12)
    assert not torch.equal(network.log_probs(tokens), network.log_probs(tokens))
    torch.testing.assert_close(network.eval().log_probs(tokens), generator(TEXT).log_probs(tokens))


def test_parameters_have_the_names_of_the_public_oracle():
    assert set(generator(TEXT).state_dict()) == {
        "embedding.weight",
        *(f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        "output.weight",
        "output.bias",
    }


def test_the_first_weights_have_the_standard_deviation_that_is_asked_for():
    torch.manual_seed(0)
    network = LSTMGenerator(TextSpec(500, 8, train_size=1), 32, 32, init_std=0.1)
    for parameter in network.parameters():  # within four standard errors
        n = parameter.numel()
        assert abs(parameter.mean().item()) < 4 * 0.1 / n**0.5
        assert parameter.std().item() == pytest.approx(0.1, abs=4 * 0.1 / (2 * n) ** 0.5)
