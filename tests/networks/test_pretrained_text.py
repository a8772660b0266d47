"""A transformers model as a generator of sentences: against its own forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from textgan.data.spec import TextSpec
from textgan.errors import UserError
from textgan.networks.generators import GeneratorConfig, text_generator
from textgan.networks.pretrained_text import PretrainedTextGenerator
from textgan.policy_gradient import rollout_rewards
from textgan.relaxation import relaxed_sample
from textgan.sampling import Policy, sample

SPEC = TextSpec(vocab_size=7, length=3, train_size=10)


@pytest.fixture
def generator(tmp_path: Path) -> PretrainedTextGenerator:
    config = transformers.AutoConfig.for_model("gpt2", n_embd=16, n_layer=2, n_head=2, n_positions=20)
    config.save_pretrained(tmp_path)
    torch.manual_seed(0)
    made = text_generator(GeneratorConfig(kind=f"hf:{tmp_path}"), SPEC).eval()
    assert isinstance(made, PretrainedTextGenerator)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return made


def every_sentence() -> Tensor:
    words = (3, 4, 5, 6)
    rows = [[2, 0, 0]]
    rows += [[a, 2, 0] for a in words]
    rows += [[a, b, c] for a in words for b in words for c in (2, *words)]
    return torch.tensor(rows)


def test_the_probabilities_of_all_sentences_sum_to_one(generator):
    assert generator.log_probs(every_sentence()).sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_it_is_the_models_own_distribution(generator):
    tokens, inner = every_sentence(), generator.network
    log_probs = generator.log_probs(tokens)
    begin = inner.ids.end if inner.ids.begin is None else inner.ids.begin
    for row, found in list(zip(tokens.tolist(), log_probs, strict=True))[::7]:
        words = [token for token in row if token != SPEC.pad]
        ids = [begin, *inner.model_ids[torch.tensor(words)].tolist()]
        logits = inner.model(input_ids=torch.tensor([ids])).logits[0][:, inner.model_ids]
        logits[:, list(SPEC.never)] = -torch.inf
        expected = [logits[t].log_softmax(0)[word].item() for t, word in enumerate(words)]
        assert found.tolist() == pytest.approx(expected + [0.0] * (3 - len(words)), abs=1e-5)


def test_reading_step_by_step_is_reading_whole_rows(generator):
    tokens = every_sentence()
    whole = generator.vocabulary(generator.outputs(tokens))
    state = generator.start(len(tokens))
    for t, token in enumerate(tokens.unbind(1)):
        written = token != SPEC.pad
        torch.testing.assert_close(generator.logits(state)[written], whole[written, t], rtol=1e-5, atol=1e-5)
        state = generator.advance(token, state)


def test_it_is_a_policy_whose_samples_follow_its_probabilities(generator):
    assert isinstance(generator, Policy)
    torch.manual_seed(1)
    drawn, every = sample(generator, SPEC, 4000), every_sentence()
    rates = torch.stack([(drawn == row).all(1).float().mean() for row in every])
    p = generator.log_probs(every).sum(1).exp().detach()
    assert ((rates - p).abs() <= 5 * (p * (1 - p) / 4000).sqrt() + 1e-6).all()


def test_its_prefixes_can_be_rolled_out(generator):
    tokens = sample(generator, SPEC, 5)
    ends = rollout_rewards(generator, SPEC, tokens, lambda rows, _: (rows == SPEC.eos).any(1).float(), 3)
    assert ((ends >= 0) & (ends <= 1)).all()
    last = (tokens != SPEC.pad).sum(1) - 1
    assert torch.equal(ends[torch.arange(5), last], (tokens == SPEC.eos).any(1).float())


def test_its_likelihood_reaches_every_weight_that_it_reads(generator):
    generator.log_probs(every_sentence()).sum().backward()
    unread = {name for name, p in generator.named_parameters() if p.grad is None or p.grad.abs().sum() == 0}
    assert unread == set()


def test_it_does_not_read_mixtures_and_says_so(generator):
    with pytest.raises(UserError, match="hf:PATH, which reads words, not mixtures of them"):
        relaxed_sample(generator, SPEC, 2, 1.0, feedback="soft")


def test_it_writes_what_its_network_is_made_of(generator, tmp_path):
    generator.describe(tmp_path / "copy")
    assert (tmp_path / "copy" / "config.json").is_file()
    again = PretrainedTextGenerator(SPEC, tmp_path / "copy").eval()
    again.load_state_dict(generator.state_dict())
    torch.testing.assert_close(again.log_probs(every_sentence()), generator.log_probs(every_sentence()))
