from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from tests.small_stories import SPEC, contexts, endings
from textgan.categorical import draw
from textgan.errors import UserError
from textgan.networks.endings import EndingPolicy
from textgan.networks.modes import evaluating
from textgan.networks.seq2seq import Seq2Seq
from textgan.policy_gradient import rollout_rewards
from textgan.sampling import sample

KINDS = {
    "copying": {"attention": True, "copy": True},
    "attention": {"attention": True, "copy": False},
    "two layers": {"attention": True, "copy": True, "layers": 2},
    "no attention": {"attention": False, "copy": False},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def network(request) -> Seq2Seq:
    torch.manual_seed(0)
    network = Seq2Seq(SPEC, embedding=5, hidden=8, dropout=0.5, **request.param)
    for parameter in network.parameters():
        parameter.data.normal_(std=0.7)
    return network.eval()


def step_by_step(policy, tokens, temperature=1.0):
    """log p of each token, read off the logits that the steps give."""
    state, found = policy.start(len(tokens)), []
    for position in range(tokens.shape[1]):
        log_p = (policy.logits(state) / temperature).log_softmax(1)
        found.append(log_p.gather(1, tokens[:, position, None]).squeeze(1))
        state = policy.advance(tokens[:, position], state)
    return torch.stack(found, 1).where(tokens != SPEC.pad, 0.0)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_steps_give_the_probabilities_of_teacher_forcing(network, times, gradient, temperature):
    policy, tokens = network.given(contexts(5)), endings(5 * times)
    with torch.set_grad_enabled(gradient):
        expected = policy.log_probs(tokens, temperature)
        found = step_by_step(policy, tokens, temperature)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_it_is_a_policy_of_endings(network):
    assert isinstance(network.given(contexts(2)), EndingPolicy)


def test_row_r_continues_its_own_context(network):
    context, tokens = contexts(4), endings(8)
    together = network.given(context).log_probs(tokens)
    for row in range(8):
        alone = network.given(context[row // 2 : row // 2 + 1]).log_probs(tokens[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_rows_in_any_order_find_their_own_encoder_states(network):
    context = contexts(4)
    policy = network.given(context)
    state = policy.start(4)
    rows = torch.tensor([3, 0, 3, 3, 1])
    mixed = policy.logits({name: tensor[rows] for name, tensor in state.items()})
    torch.testing.assert_close(mixed, policy.logits(state)[rows])


def test_all_endings_of_a_context_have_probability_one(network):
    """A language of two words and at most three tokens, summed over."""
    spec = dataclasses.replace(SPEC, vocab_size=6, length=3)
    torch.manual_seed(1)
    small = Seq2Seq(spec, 4, 6).eval()
    words, rows = (2, 3, 4, 5), []
    for sentence in itertools.product(words, repeat=3):
        end = sentence.index(2) if 2 in sentence else 2
        rows.append([*sentence[: end + 1], *[0] * (2 - end)])
    every = torch.tensor(sorted({tuple(row) for row in rows}))
    policy = small.given(contexts(1, spec=spec))
    assert policy.log_probs(every).sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_the_context_matters(network):
    tokens = endings(1).expand(6, -1)
    found = network.given(contexts(6)).log_probs(tokens)
    assert len({round(x, 4) for x in found[:, 0].tolist()}) == 6


def test_padding_does_not_matter(network):
    context = contexts(5)
    wider = torch.nn.functional.pad(context, (0, 3))
    tokens = endings(5)
    torch.testing.assert_close(network.given(context).log_probs(tokens), network.given(wider).log_probs(tokens))


def reward(rows, origins):
    places = torch.arange(1, rows.shape[1] + 1)
    return torch.sin(rows.float() * places + places).sum(1) + origins


@pytest.mark.parametrize("limits", [{}, {"max_rows": 30, "max_rewarded": 7}])
def test_rollout_rewards_equal_a_loop_that_reads_context_and_prefix_anew(network, limits):
    context, rollouts, length = contexts(4), 3, SPEC.length
    tokens = sample(network.given(context), SPEC, 4)
    uniforms = torch.rand(length - 1, rollouts, 4, length)
    found = rollout_rewards(network.given(context), SPEC, tokens, reward, rollouts, 0.9, uniforms, **limits)
    expected = torch.zeros_like(found)
    with torch.no_grad():
        for b in range(4):
            end = int((tokens[b] != SPEC.pad).sum())
            expected[b, end - 1] = reward(tokens[b : b + 1], torch.tensor([b]))
            for prefix, n in itertools.product(range(1, end), range(rollouts)):
                policy = network.given(context[b : b + 1])
                row = tokens[b : b + 1].clone()
                row[:, prefix:] = SPEC.pad
                for position in range(prefix, length):
                    state = policy.start(1)
                    for read in range(position):
                        state = policy.advance(row[:, read], state)
                    row[:, position] = draw(policy.logits(state), 0.9, uniforms[prefix - 1, n, b, position][None])
                    if row[0, position] == SPEC.eos:
                        break
                expected[b, prefix - 1] += reward(row, torch.tensor([b])).item() / rollouts
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_state_holds_nothing_of_the_context_but_its_number(network):
    """The encoder states are held once, whatever the number of roll-outs."""
    of_long = network.given(torch.nn.functional.pad(contexts(2), (0, 9), value=5)).start(6)
    of_short = network.given(contexts(2)).start(6)
    assert {name: x.shape for name, x in of_long.items()} == {name: x.shape for name, x in of_short.items()}


def test_copying_is_a_mixture_of_the_vocabulary_and_of_the_context_that_is_attended_to():
    """The formula, written out for one context and its first word."""
    torch.manual_seed(0)
    network = Seq2Seq(SPEC, embedding=5, hidden=8).eval()
    context = torch.tensor([[[5, 6, 0, 0], [5, 9, 7, 0], [8, 0, 0, 0]]])
    policy = network.given(context)
    state = policy.start(1)
    h = state["h"][:, -1]
    attention = (network.query(h) @ policy._memory[0].t()).softmax(1)
    features = torch.tanh(network.readout(torch.cat([h, attention @ policy._memory[0]], 1)))
    gate = network.gate(features).sigmoid()
    expected = gate * (features @ network.embedding.weight.t() + network.bias + network.never).softmax(1)
    for place, word in enumerate([5, 6, 5, 9, 7, 8]):
        expected[0, word] += (1 - gate[0, 0]) * attention[0, place]
    torch.testing.assert_close(policy.logits(state).exp(), expected)
    assert policy.logits(state)[0, SPEC.pad] == -torch.inf


def test_copying_needs_attention():
    with pytest.raises(UserError, match="copy is True and attention is False"):
        Seq2Seq(SPEC, 4, 6, attention=False)


def test_gradients_reach_every_parameter(network):
    network.train()
    with evaluating(network):
        network.given(contexts(8)).log_probs(endings(8)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_dropout_acts_in_train_mode_only(network):
    context, tokens = contexts(3), endings(3)
    assert torch.equal(network.given(context).log_probs(tokens), network.given(context).log_probs(tokens))
    network.train()
    assert not torch.equal(network.given(context).log_probs(tokens), network.given(context).log_probs(tokens))
