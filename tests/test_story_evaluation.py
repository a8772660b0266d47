"""Story games are measured by the same numbers wherever they are measured, and belong to every other command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import textgan
from tests.command_lines.calls import contents, records
from textgan.data.settings import DataConfig
from textgan.data.stories import Story, StoryCorpus, encode_endings, open_stories
from textgan.errors import UserError
from textgan.evaluate import main as evaluate
from textgan.evaluation import EvaluationConfig, evaluation_of
from textgan.evaluation.stories import StoryEvaluation, endings_of_stories, training_endings, words
from textgan.game import Game
from textgan.generate import main as generate
from textgan.metrics import (
    bleu_orders,
    distinct,
    length,
    meteor,
    novelty,
    rouge_l,
    self_bleu_of_groups,
    text_scores,
    unique,
    unique_of_groups,
)
from textgan.opened import open_game
from textgan.report import build_report
from textgan.reproducibility import forked_rng
from textgan.run import Run
from textgan.train import main as train

OPTIONS = ["mle_story", "--tiny", "--data.limit", "400", "--evaluation.samples", "20", "--game.epochs", "1"]
TOKENS = "word.lower"


@pytest.fixture(scope="module")
def corpus(cache: None) -> StoryCorpus:
    return open_stories("story_world", DataConfig(limit=400))


@pytest.fixture(scope="module")
def run(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an epoch. Tests do not change it."""
    folder = tmp_path_factory.mktemp("stories") / "short"
    train([*OPTIONS, "--run", str(folder)])
    return folder


class Parrot(Game):
    """Says what it is told, in order, and finds a token of id i to have log-probability -i / 100 / temperature."""

    data = "stories"

    def __init__(self, endings: Tensor) -> None:
        super().__init__()
        self.device = nn.Parameter(torch.zeros(()))
        self.endings, self.asked = endings, list[float]()

    def sample(self, n: int, context: Tensor, temperature: float = 1.0) -> Tensor:
        return self.endings[:n]

    def log_probs(self, context: Tensor, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        assert len(context) == len(tokens)
        self.asked.append(temperature)
        return tokens / -100 / temperature


def parrot(corpus: StoryCorpus, endings: list[str]) -> Parrot:
    return Parrot(encode_endings(corpus.tokenizer, corpus.spec, endings))


@pytest.fixture
def evaluation(corpus: StoryCorpus) -> StoryEvaluation:
    return StoryEvaluation(
        corpus, EvaluationConfig(samples=8, final_samples=10, references=12, temperatures=(0.5, 1.0))
    )


CONTEXT = ("A b.", "C d.", "E f.", "G h.")


class TestWords:
    def test_are_lower_case_with_punctuation_apart_whatever_the_spacing(self) -> None:
        expected = ["tom", "didn't", "pay", "$", "3.50", ",", "he", "said", "."]
        assert words("Tom didn't pay $3.50, he said.") == expected
        assert words("tom didn't pay $ 3.50 , he said .") == expected

    def test_an_unknown_word_is_one_word_that_no_text_has(self) -> None:
        assert words("He saw <unk>.") == ["he", "saw", "\ufffd", "."]
        found = endings_of_stories(["He saw the <unk>."], [Story(CONTEXT, "He saw the unk >.")], frozenset())
        assert found["corpus-bleu-1"].value == pytest.approx(100 * 4 / 5 * 2.718281828 ** (1 - 6 / 5))
        assert endings_of_stories(["<unk>"], [Story(CONTEXT, "< unk >")], frozenset())["rouge-l"].value == 0


def test_scores_of_endings_are_the_metrics_own() -> None:
    stories = [Story(CONTEXT, "Tom went home."), Story(CONTEXT, "Anna was very happy."), Story(CONTEXT, "It rained.")]
    endings = ["tom ran home .", "Anna was sad.", "It rained."]
    groups = [[ending, story.ending] for ending, story in zip(endings, stories, strict=True)]
    ours = [["tom", "ran", "home", "."], ["anna", "was", "sad", "."], ["it", "rained", "."]]
    theirs = [["tom", "went", "home", "."], ["anna", "was", "very", "happy", "."], ["it", "rained", "."]]
    sets = [list(pair) for pair in zip(ours, theirs, strict=True)]
    known = frozenset({("it", "rained", ".")})

    expected = {
        **bleu_orders(ours, theirs, tokenizer=TOKENS),
        "rouge-l": rouge_l(ours, theirs, TOKENS),
        "meteor": meteor(ours, theirs, TOKENS),
        **{f"distinct-{n}": distinct(ours, n, TOKENS) for n in (1, 2, 3, 4)},
        "unique": unique(ours, TOKENS),
        "novelty": novelty(ours, known, TOKENS),
        "length": length(ours, TOKENS),
        **self_bleu_of_groups(sets, tokenizer=TOKENS),
        "group-unique": unique_of_groups(sets, TOKENS),
        **text_scores(ours, tokenizer=TOKENS),
    }
    assert endings_of_stories(endings, stories, known, groups=groups) == expected
    assert expected["novelty"].value == pytest.approx(2 / 3)
    assert expected["length"].value == pytest.approx(11 / 3)
    assert expected["group-unique"].value == pytest.approx((1 + 1 + 0.5) / 3)
    alone = {name: score for name, score in expected.items() if not name.startswith("group")}
    assert endings_of_stories(endings, stories, known) == alone


def test_consistency_is_the_share_that_the_program_finds_true(corpus: StoryCorpus) -> None:
    stories, wrong = corpus.test.stories(8), corpus.test.wrong_endings()
    endings = [wrong[0], wrong[1], *(story.ending for story in stories[2:])]
    found = endings_of_stories(endings, stories, frozenset(), corpus.check)
    assert found["consistency"].value == 6 / 8


def test_what_was_learned_from_is_not_new(corpus: StoryCorpus) -> None:
    train = training_endings(corpus)
    stories = corpus.train.stories(5)
    found = endings_of_stories([s.ending.upper() for s in stories[:4]] + ["A new one."], stories, train)
    assert found["novelty"].value == pytest.approx(1 / 5)


class TestControls:
    def test_are_scores_of_human_copied_and_shuffled_endings(
        self, corpus: StoryCorpus, evaluation: StoryEvaluation
    ) -> None:
        stories, learned = corpus.test.stories(10), training_endings(corpus)
        found = evaluation.controls()
        assert list(found) == ["real", "copied last sentence", "random ending"]
        copied = [story.sentences[3] for story in stories]
        assert found["copied last sentence"] == endings_of_stories(copied, stories, learned, corpus.check)
        human = endings_of_stories([story.ending for story in stories], stories, learned, corpus.check)
        pairs = {*(f"corpus-bleu-{n}" for n in (1, 2, 3, 4)), "rouge-l", "meteor"}
        assert found["real"] == {name: score for name, score in human.items() if name not in pairs}
        assert found["real"]["consistency"].value == 1
        assert found["random ending"].keys() == human.keys()
        for name in ("distinct-1", "distinct-2", "unique", "novelty", "length"):  # the same endings in another order
            assert found["random ending"][name] == found["real"][name]
        assert found["random ending"]["corpus-bleu-2"].value < 60

    def test_what_is_watched_is_the_human_scale_at_the_size_of_a_sample(
        self, corpus: StoryCorpus, evaluation: StoryEvaluation
    ) -> None:
        endings = [words(story.ending) for story in corpus.valid.stories(8)]
        assert evaluation.watched() == {name: score.value for name, score in text_scores(endings).items()}


def mean_id(ending: Tensor) -> float:
    """The mean id of the tokens, the end mark's included."""
    ids = [i for row in ending.tolist() for i in row if i != 0]
    return sum(ids) / len(ids)


class TestMeasure:
    def test_is_the_scores_of_the_drawn_endings_and_the_likelihood_of_the_human_ones(
        self, corpus: StoryCorpus, evaluation: StoryEvaluation
    ) -> None:
        stories = corpus.valid.stories(8)
        copied = [story.sentences[0] for story in stories]
        game = parrot(corpus, copied)
        values, logged = evaluation.measure(game, False)
        written = [corpus.tokenizer.detokenize(row) for row in game.endings.tolist()]
        expected = endings_of_stories(written, stories, training_endings(corpus), corpus.check)
        likelihood = mean_id(corpus.valid.batch().ending) / 100
        assert values.pop("nll-valid") == pytest.approx(likelihood, rel=1e-6)
        assert values == {name: score.value for name, score in expected.items()}
        metrics, samples = logged
        scores = metrics["scores"]
        assert re.search(r"^nll-valid\|.*sentences:32\|tokens:\d+\|", scores.pop("nll-valid")["signature"])
        assert scores == {name: score.as_dict() for name, score in expected.items()}
        lines = [f"{' '.join(story.sentences)} >>> {text}" for story, text in zip(stories, written, strict=True)]
        assert (metrics["kind"], samples) == ("metrics", {"kind": "samples", "sentences": lines})

    def test_the_same_sample_is_not_measured_again_and_another_one_is(
        self, corpus: StoryCorpus, evaluation: StoryEvaluation
    ) -> None:
        stories = corpus.valid.stories(8)
        game = parrot(corpus, [story.sentences[0] for story in stories])
        first = evaluation.measure(game, False)
        assert game.asked == [1.0]
        assert evaluation.measure(game, False) == first
        assert game.asked == [1.0]
        game.endings = encode_endings(corpus.tokenizer, corpus.spec, [story.sentences[1] for story in stories])
        other = evaluation.measure(game, False)
        assert game.asked == [1.0, 1.0]
        assert other.values["length"] != first.values["length"]

    def test_the_end_of_a_stage_adds_the_test_scores_and_the_sweep_once(
        self, corpus: StoryCorpus, evaluation: StoryEvaluation
    ) -> None:
        stories = corpus.valid.stories(10)
        game = parrot(corpus, [story.ending for story in stories])
        before = evaluation.measure(game, False)
        end = evaluation.measure(game, True)
        assert end.values == before.values
        assert [(r["kind"], r.get("temperature")) for r in end.records[2:]] == [
            ("test", None), ("sweep", 0.5), ("sweep", 1.0)
        ]  # fmt: skip
        human = mean_id(corpus.test.batch(12).ending) / 100
        cold, plain = (r["scores"]["nll-test"] for r in end.records[3:])
        assert cold["value"] == pytest.approx(2 * human, rel=1e-6)
        assert plain["value"] == pytest.approx(human, rel=1e-6)
        assert "sentences:12|" in plain["signature"]
        assert end.records[2]["scores"] == end.records[4]["scores"]
        assert [r["scores"]["length"]["signature"].split("temperature:")[1] for r in end.records[3:]] == [
            "0.5|version:1", "1.0|version:1"
        ]  # fmt: skip
        asked = len(game.asked)
        assert evaluation.measure(game, True) == end
        assert len(game.asked) == asked

    def test_a_game_of_sentences_is_no_writer_of_endings(self, evaluation: StoryEvaluation) -> None:
        with pytest.raises(AssertionError):
            evaluation.measure(Game(), False)


class TestCommands:
    def test_evaluate_prints_the_likelihood_and_the_consistency_of_a_run(
        self, run: Path, corpus: StoryCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "scores.json"
        evaluate([str(run), "--num", "30", "--seed", "4", "--temperature", "0.5", "--json", str(file)])
        lines = capsys.readouterr().out.splitlines()
        game = open_game(Run.open(run)).game
        with forked_rng(4):
            expected = evaluation_of(corpus, EvaluationConfig()).test_scores(game, 0.5, 30)
        assert {"nll-test", "consistency", "corpus-bleu-2"} <= expected.keys()
        assert [line.split() for line in lines] == [[n, f"{s.value:.4f}", s.signature] for n, s in expected.items()]
        assert json.loads(file.read_text()) == {name: score.as_dict() for name, score in expected.items()}

    def test_the_likelihood_of_a_run_is_that_of_its_game(self, run: Path, corpus: StoryCorpus) -> None:
        game: Any = open_game(Run.open(run)).game
        batch = corpus.test.batch()
        with torch.no_grad():
            log_probs = game.log_probs(*batch)
        total, tokens = 0.0, 0
        for row, ids in zip(log_probs.tolist(), batch.ending.tolist(), strict=True):
            n = ids.index(corpus.spec.eos) + 1
            total, tokens = total - sum(row[:n]), tokens + n
        found = evaluation_of(corpus, EvaluationConfig()).test_scores(game, samples=5)["nll-test"]
        assert found.value == pytest.approx(total / tokens, rel=1e-5)

    def test_sentences_are_not_drawn_from_a_run_of_stories(self, run: Path) -> None:
        said = r"run of mle_story, which is played on stories; open it with python -m textgan\.stories"
        with pytest.raises(UserError, match=said):
            generate([str(run)])
        with pytest.raises(UserError, match=said):
            textgan.load(run)

    def test_the_log_has_every_kind_of_record_and_the_controls(self, run: Path) -> None:
        written = records(run)
        assert {r["kind"] for r in written} >= {"loss", "metrics", "test", "sweep", "control", "event"}
        assert [r["name"] for r in written if r["kind"] == "control"] == [
            "real",
            "copied last sentence",
            "random ending",
        ]
        assert all(" >>> " in line for file in (run / "samples").iterdir() for line in file.read_text().splitlines())

    def test_the_report_has_the_metrics_of_endings(self, run: Path) -> None:
        page = build_report([run])
        for name in ("corpus-bleu-2", "rouge-l", "meteor", "novelty", "consistency", "nll-valid", "nll-test", "copied"):
            assert name in page

    @pytest.mark.parametrize(
        "options", [["--corpus", "told.jsonl"], ["--corpus", "told.jsonl", "--data.lower", "False"]]
    )
    def test_another_corpus_is_no_resuming(
        self, options: list[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        told = [[f"w{n} x{n} y{n} z{n} {i}." for i in range(5)] for n in range(100)]
        Path("told.jsonl").write_text("".join(json.dumps({"sentences": sentences}) + "\n" for sentences in told))
        before = contents(run)
        with pytest.raises(UserError, match=r"resume.*corpus|corpus.*resume"):
            train([*OPTIONS, "--run", str(run), "--resume", *options])
        assert contents(run) == before
