from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.small_stories import SPEC, contexts, endings
from tests.transformers_models import model_folder
from textgan.data.spec import StorySpec
from textgan.errors import UserError
from textgan.networks.answer_scorer import AnswerScorer, PretrainedScorer, ScorerConfig, answer_scorer

MODEL = StorySpec(vocab_size=307, length=5, train_size=10, sentences=1, sentence_length=6)


@pytest.fixture(params=["hierarchical", "hf", "lora"])
def scorer(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[AnswerScorer, StorySpec]:
    torch.manual_seed(0)
    if request.param == "hierarchical":
        return answer_scorer(ScorerConfig(embedding=8, hidden=8), SPEC).eval(), SPEC
    kind, lora = f"hf:{model_folder(tmp_path)}", 2 * (request.param == "lora")
    return answer_scorer(ScorerConfig(kind=kind, lora=lora), MODEL).eval(), MODEL


def test_each_answer_is_scored_after_its_own_prompt(scorer: tuple[AnswerScorer, StorySpec]) -> None:
    network, spec = scorer
    context, answers = contexts(3, spec=spec), endings(6, spec=spec)
    found = network(context, answers)
    expected = [network(context[i // 2][None], answers[i][None])[0] for i in range(6)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)
    other = network(context.flip(0), answers)
    assert (other[:2] - found[:2]).abs().max() > 1e-4


def test_padding_does_not_matter(scorer: tuple[AnswerScorer, StorySpec]) -> None:
    network, spec = scorer
    answers = endings(3, spec=spec)
    answers[:, 3:] = spec.pad
    context = contexts(3, spec=spec)
    torch.testing.assert_close(network(context, answers), network(context, answers[:, :3]), rtol=1e-4, atol=1e-5)


def test_gradients_reach_all_that_is_learned(scorer: tuple[AnswerScorer, StorySpec]) -> None:
    network, spec = scorer
    network.requires_grad_(False)
    for parameter in network.learned():
        parameter.requires_grad_(True)
        if not parameter.any():
            torch.nn.init.normal_(parameter)  # an adapter begins with a zero, which its other half sees nothing through
    (network(contexts(4, spec=spec), endings(4, spec=spec)) * torch.arange(4)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.learned())


def test_a_transformers_model_is_scored_by_its_output_after_the_last_token(tmp_path: Path) -> None:
    network = answer_scorer(ScorerConfig(kind=f"hf:{model_folder(tmp_path)}"), MODEL).eval()
    assert isinstance(network, PretrainedScorer)
    context, answer = torch.tensor([[[9, 40, 0, 0, 0, 0]]]), torch.tensor([[50, 60, 2, 0, 0]])
    read = torch.tensor([[0, 5, 36, 46, 56, 1]])  # begin, prompt, answer, end, as the model counts
    states = network.network.model.model(input_ids=read).last_hidden_state
    torch.testing.assert_close(network(context, answer), network.score(states[:, -1]).squeeze(1), rtol=0, atol=1e-5)


def test_an_output_layer_of_its_own_is_not_learned(tmp_path: Path) -> None:
    untied = answer_scorer(ScorerConfig(kind=f"hf:{model_folder(tmp_path, tie_word_embeddings=False)}"), MODEL)
    assert isinstance(untied, PretrainedScorer)
    assert len(untied.learned()) == len(list(untied.parameters())) - 1


def test_senseless_options_are_refused() -> None:
    with pytest.raises(UserError, match=r"discriminator.kind is 'cnn'; it must be hierarchical or hf:PATH"):
        ScorerConfig(kind="cnn")
    with pytest.raises(UserError, match=r"discriminator.lora is 4; it must be 0 where kind is hierarchical"):
        ScorerConfig(lora=4)
