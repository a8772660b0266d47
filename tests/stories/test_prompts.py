"""A run of prompts with answers, opened by the library of story endings: a prompt in, an answer out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.transformers_models import prompts_file
from textgan.errors import UserError
from textgan.stories import StoryEnder
from textgan.stories.__main__ import main
from textgan.train import main as train_main

PROMPT = "say red dog\n  now. Please."


@pytest.fixture(scope="module")
def run(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    prompts = prompts_file(folder / "prompts.jsonl")
    data = ["--corpus", str(prompts), "--data.max-prompt", "40", "--data.max-length", "8"]
    few = ["--evaluation.samples", "8", "--evaluation.final-samples", "8", "--evaluation.temperatures", "1.0"]
    train_main(["gad", "--tiny", *data, *few, "--run", str(folder / "run")])
    return folder / "run"


@pytest.fixture(scope="module")
def ender(run: Path) -> StoryEnder:
    return StoryEnder.from_pretrained(run)


def test_a_prompt_is_answered(ender: StoryEnder) -> None:
    assert ender.spec.sentences == 1
    several = ender([PROMPT, "42"], num_return_sequences=3, rerank="discriminator", seed=0)
    assert [len(answers) for answers in several] == [3, 3]
    for answers in several:
        assert [a.score for a in answers] == sorted((a.score for a in answers), reverse=True)
    assert "".join(ender.stream(PROMPT, seed=1))


def test_scores_are_the_sigmoid_of_the_reward_models(ender: StoryEnder) -> None:
    answers = ["red dog", "cow", "7"]
    context = ender._rows(ender._contexts(PROMPT)[0])
    expected = ender.game.discriminator.reward(context, ender._endings(answers)).sigmoid()
    found = [ender.score(PROMPT, answer) for answer in answers]
    torch.testing.assert_close(torch.tensor(found), expected)
    assert [e.score for e in ender.rank(PROMPT, answers)] == sorted(found, reverse=True)
    explained = ender.explain(PROMPT, "red dog")
    total = sum(credit.reward for credit in explained.credits)
    assert total == pytest.approx(explained.score - explained.start, abs=1e-4)


def test_what_is_too_long_says_so(ender: StoryEnder) -> None:
    with pytest.raises(UserError, match="the context has 65 tokens; at most 64 are accepted"):
        ender("a " * 65)


def test_the_command_line_answers_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["generate", str(run), PROMPT, "--num", "2", "--seed", "0", "--format", "jsonl"])
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["endings"]) == 2


def test_options_of_prompts_are_refused_where_there_are_sentences() -> None:
    with pytest.raises(UserError, match=r"data.max_prompt is 9; it is for prompts with answers"):
        train_main(["mle", "--tiny", "--data.max-prompt", "9"])
