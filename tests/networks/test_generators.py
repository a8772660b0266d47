"""What every generator of sentences must be, whatever it is made of: a policy, and the likelihood of whole rows."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tests.policies import ENDING, FIXED, sentences
from textgan.data.spec import TextSpec
from textgan.errors import UserError
from textgan.networks.generators import KINDS, GeneratorConfig, text_generator
from textgan.networks.key_cache import KeyCache
from textgan.networks.text_generator import TextGenerator
from textgan.relaxation import RelaxedPolicy
from textgan.sampling import Policy, sample, take

CONFIG = GeneratorConfig(embedding=8, hidden=12, heads=2, slots=2, dropout=0.0)
CONDITION = 3
every_kind = pytest.mark.parametrize("kind", KINDS)
every_world = pytest.mark.parametrize("spec", [ENDING, FIXED], ids=["ending", "fixed"])


def generator(kind: str, spec: TextSpec = ENDING, condition: int = 0, dropout: float = 0.0) -> TextGenerator:
    torch.manual_seed(0)
    network = text_generator(dataclasses.replace(CONFIG, kind=kind, dropout=dropout), spec, condition).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return network


def conditions(rows: int) -> Tensor:
    return torch.randn(rows, CONDITION, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def step_by_step(network: TextGenerator, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
    """Log-probabilities of the next token, over the vocabulary, read one token at a time: ``(B, T, V)``."""
    state, found = network.start(len(tokens), condition), []
    for token in tokens.unbind(1):
        found.append(network.logits(state).log_softmax(-1))
        state = network.advance(token.clamp(min=0), state)
    return torch.stack(found, 1)


@every_kind
def test_it_is_a_policy_of_words_and_of_mixtures_of_words(kind):
    assert isinstance(generator(kind), Policy)
    assert isinstance(generator(kind), RelaxedPolicy)


@every_kind
@every_world
@pytest.mark.parametrize("condition", [0, CONDITION])
def test_reading_step_by_step_is_reading_whole_rows(kind, spec, condition):
    network, tokens = generator(kind, spec, condition), sentences(spec)
    given = conditions(len(tokens)) if condition else None
    whole = network.vocabulary(network.outputs(tokens, given)).log_softmax(-1)
    inside = tokens != spec.pad
    torch.testing.assert_close(step_by_step(network, tokens, given)[inside], whole[inside])
    with torch.no_grad():  # the logits take another way where no gradient is recorded
        torch.testing.assert_close(step_by_step(network, tokens, given)[inside], whole[inside])


@every_kind
@every_world
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_probabilities_of_all_sentences_sum_to_one(kind, spec, temperature):
    log_probs = generator(kind, spec).log_probs(sentences(spec), temperature)
    assert log_probs.sum(1).exp().sum().item() == pytest.approx(1)


@every_kind
def test_log_probs_are_those_of_the_next_tokens_and_zero_at_padding(kind):
    network, tokens = generator(kind), sentences(ENDING)
    expected = step_by_step(network, tokens).gather(2, tokens[:, :, None]).squeeze(2)
    torch.testing.assert_close(network.log_probs(tokens), expected.where(tokens != ENDING.pad, 0.0))


@every_kind
def test_forbidden_tokens_have_no_probability_and_gradients_are_finite(kind):
    network = generator(kind)
    logits = network.logits(network.start(3))
    assert logits[:, [ENDING.pad, ENDING.bos]].eq(-torch.inf).all()
    assert logits[:, 2:].isfinite().all()
    network.log_probs(sentences(ENDING)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def as_tensors(leaf):
    return (leaf.keys, leaf.values) if isinstance(leaf, KeyCache) else leaf


@every_kind
def test_a_one_hot_mixture_is_read_as_its_word(kind):
    network, words = generator(kind), torch.tensor([3, 4, 2])
    one_hot = torch.eye(5, dtype=torch.float64)[words]
    begun = network.start(3)
    for _ in range(2):
        by_word, by_mixture = network.advance(words, begun), network.advance_relaxed(one_hot, begun)
        torch.testing.assert_close(*(tree_map(as_tensors, state) for state in (by_mixture, by_word)))
        begun = by_word


@every_kind
def test_a_mixture_hands_its_gradient_on(kind):
    network = generator(kind)
    mixtures = torch.rand(2, 5, dtype=torch.float64).softmax(-1).requires_grad_()

    def logits(words: Tensor) -> Tensor:
        return network.logits(network.advance_relaxed(words, network.start(2)))[:, 2:]

    assert torch.autograd.gradcheck(logits, mixtures)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tied"])  # whose output would be shifted, too
def test_a_condition_acts_at_every_input(kind):
    """As if it were added, projected, to each embedding: so a table of shifted embeddings gives the same."""
    network, plain = generator(kind, condition=CONDITION), generator(kind)
    given, tokens = conditions(1), sentences(ENDING)
    shared = {name: value for name, value in network.state_dict().items() if not name.startswith("condition")}
    plain.load_state_dict(shared)
    with torch.no_grad():
        plain.embedding.weight += network.condition(given)
    torch.testing.assert_close(network.given(given).log_probs(tokens), plain.log_probs(tokens))
    inside = tokens != ENDING.pad
    by_steps = step_by_step(network, tokens, given.expand(len(tokens), -1))
    torch.testing.assert_close(by_steps[inside], step_by_step(plain, tokens)[inside])


@every_kind
def test_rows_are_under_their_own_conditions_in_order(kind):
    network, given, tokens = generator(kind, condition=CONDITION), conditions(2), sentences(ENDING)[:6]
    policy = network.given(given)
    assert isinstance(policy, Policy)
    alone = [network.log_probs(tokens[i : i + 1], condition=given[i // 3][None]) for i in range(6)]
    torch.testing.assert_close(policy.log_probs(tokens), torch.cat(alone))
    torch.testing.assert_close(policy.logits(policy.start(6))[::3], network.logits(network.start(2, given)))


@every_kind
@every_world
def test_samples_follow_the_probabilities(kind, spec):
    network, every = generator(kind, spec), sentences(spec)
    torch.manual_seed(2)
    drawn = sample(network, spec, 20_000)
    rates = torch.stack([(drawn == row).all(1).double().mean() for row in every])
    p = network.log_probs(every).sum(1).exp().detach()
    assert rates.sum().item() == pytest.approx(1)
    assert ((rates - p).abs() <= 5 * (p * (1 - p) / 20_000).sqrt() + 1e-9).all()


@every_kind
def test_rows_of_a_state_can_be_taken_and_doubled(kind):
    network = generator(kind)
    state = network.advance(torch.tensor([3, 4]), network.start(2))
    rows = torch.tensor([1, 1, 0])
    torch.testing.assert_close(network.logits(take(state, rows)), network.logits(state)[rows])


@every_kind
def test_every_parameter_receives_a_gradient(kind):
    network = generator(kind, condition=CONDITION)
    tokens = sentences(ENDING)
    network.log_probs(tokens, condition=conditions(len(tokens))).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@every_kind
def test_dropout_acts_in_train_mode_only(kind):
    network, tokens = generator(kind, dropout=0.5), sentences(ENDING)
    assert not torch.equal(network.log_probs(tokens), network.log_probs(tokens))
    torch.testing.assert_close(network.eval().log_probs(tokens), generator(kind).log_probs(tokens))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "gru"}, r"game.generator.kind is 'gru'; it must be lstm, tied, relational, transformer or hf:PATH"),
        ({"kind": "relational", "hidden": 13}, "game.generator.hidden is 13; it must be divisible by heads, 2"),
        ({"kind": "transformer", "embedding": 9}, "game.generator.embedding is 9; it must be divisible by heads, 2"),
        ({"dropout": 1.0}, r"game.generator.dropout is 1.0; it must be in \[0, 1\)"),
        ({"layers": 0}, "game.generator.layers is 0; it must be at least 1"),
        ({"init_std": 0.0}, "game.generator.init_std is 0.0; it must be above 0"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **changes)


def test_a_pretrained_model_takes_no_condition_and_no_sentences_without_end():
    config = GeneratorConfig(kind="hf:nowhere")
    with pytest.raises(
        UserError, match="this game's generator is under a condition: lstm, tied, relational, transformer"
    ):
        text_generator(config, ENDING, condition=2)
    with pytest.raises(UserError, match="it needs sentences that end"):
        text_generator(config, FIXED)
