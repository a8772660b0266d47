"""What is measured of sentences, when, and of which controls."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.small_encoder import save_encoder
from textgan.data.corpus import TextCorpus, open_corpus
from textgan.data.oracle import Oracle, OracleCorpus
from textgan.data.settings import DataConfig
from textgan.data.stories import StoryCorpus
from textgan.errors import UserError
from textgan.evaluation import EvaluationConfig, evaluation_of
from textgan.evaluation.embedded import Embedded, spread
from textgan.game import Game
from textgan.metrics import KneserNey, embedding_scores, forward_perplexity, reverse_perplexity
from textgan.networks.sentence_encoder import SentenceEncoder

EMBEDDING = {
    "frechet-distance", "mmd-rbf", "mmd-cubic", "1nn-accuracy", "1nn-accuracy-real", "1nn-accuracy-fake",
    "precision", "recall", "density", "coverage", "mauve",
}  # fmt: skip
PERPLEXITIES = {"reverse-ppl", "forward-ppl"}


class Parrot(Game):
    """Says real sentences in order, and finds a token of id i to have log-probability -i / 100 / temperature."""

    data = "text"

    def __init__(self, sentences: Tensor) -> None:
        super().__init__()
        self.device = nn.Parameter(torch.zeros(()))
        self.sentences = sentences

    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        return self.sentences[:n]

    def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
        return tokens / -100 / temperature


@pytest.fixture(scope="module")
def corpus(cache: None, corpus_file: Path) -> TextCorpus:
    return open_corpus(str(corpus_file), DataConfig(valid=0.2, test=0.2))


@pytest.fixture(scope="module")
def encoder(corpus: TextCorpus, tmp_path_factory: pytest.TempPathFactory) -> str:
    words = sorted({word for sentence in corpus.train.sentences() for word in sentence})
    return f"hf:{save_encoder(tmp_path_factory.mktemp('encoder') / 'bert', words)}"


def config(**options: object) -> EvaluationConfig:
    sizes = {"samples": 12, "final_samples": 20, "references": 24, "temperatures": (0.5, 1.0), "embedded": 10}
    return EvaluationConfig(**{**sizes, **options})  # type: ignore[arg-type]


def ids(tokens: Tensor) -> list[list[int]]:
    return [[i for i in row if i > 2] for row in tokens.tolist()]


def test_signatures_say_how_a_sample_was_measured_not_what_it_says(corpus: TextCorpus) -> None:
    """Or scores of two models that were measured alike would not be comparable."""
    evaluation, long = evaluation_of(corpus, config()), corpus.train.tokens()
    short = long.clone()
    short[:10, 2:] = corpus.spec.pad
    short[:10, 2] = corpus.spec.eos
    found = [evaluation.test_scores(Parrot(tokens)) for tokens in (long, short)]
    assert found[0]["forward-ppl"].value != found[1]["forward-ppl"].value
    signatures = [{name: score.signature for name, score in scores.items()} for scores in found]
    assert signatures[0] == signatures[1]


def test_perplexity_is_the_exponential_of_the_likelihood(corpus: TextCorpus) -> None:
    evaluation = evaluation_of(corpus, config())
    game = Parrot(corpus.train.tokens())
    values, _ = evaluation.measure(game, False)
    assert values["ppl-valid"] == pytest.approx(math.exp(values["nll-valid"]))
    scores = evaluation.test_scores(game, 0.5)
    assert scores["ppl-test"].value == pytest.approx(math.exp(scores["nll-test"].value))
    assert "temperature:0.5" in scores["ppl-test"].signature


def test_ngram_models_judge_sample_and_test_split_by_one_another(corpus: TextCorpus) -> None:
    drawn = corpus.train.tokens()[::3]
    found = evaluation_of(corpus, config()).test_scores(Parrot(drawn))
    vocab = corpus.spec.vocab_size
    test, train = (ids(split.tokens(24)) for split in (corpus.test, corpus.train))
    assert found["reverse-ppl"].value == reverse_perplexity(ids(drawn[:20]), test, vocab).value
    assert found["forward-ppl"].value == forward_perplexity(KneserNey(train, vocab), ids(drawn[:20])).value
    assert f"tokenizer:{corpus.tokenizer.signature}|" in found["reverse-ppl"].signature


def test_an_encoder_sees_what_people_would_read(corpus: TextCorpus, encoder: str) -> None:
    drawn = corpus.train.tokens()[::3]
    found = evaluation_of(corpus, config(encoder=encoder)).test_scores(Parrot(drawn))
    reader = SentenceEncoder(encoder)
    test = [corpus.tokenizer.detokenize(row) for row in corpus.test.tokens(24).tolist()]
    fake = [corpus.tokenizer.detokenize(row) for row in drawn[:10].tolist()]
    real = [test[i * 24 // 10] for i in range(10)]
    expected = embedding_scores(reader.encode(real), reader.encode(fake), reader.signature)
    assert {name: found[name] for name in EMBEDDING} == {
        name: score.stamped(temperature=1.0) for name, score in expected.items()
    }


def test_controls_have_every_metric_of_a_sample(corpus: TextCorpus, encoder: str) -> None:
    evaluation = evaluation_of(corpus, config(encoder=encoder))
    controls, sample = evaluation.controls(), evaluation.test_scores(Parrot(corpus.train.tokens()))
    for scores in controls.values():
        assert scores.keys() == sample.keys() - {"novelty", "nll-test", "ppl-test"}
    assert controls["real"]["forward-ppl"].value < controls["random"]["forward-ppl"].value / 2
    assert controls["real"]["reverse-ppl"].value < controls["random"]["reverse-ppl"].value / 2
    assert "samples:10|references:10|" in controls["real"]["mauve"].signature


def test_without_an_encoder_its_metrics_are_absent(corpus: TextCorpus) -> None:
    evaluation = evaluation_of(corpus, config())
    found = [*evaluation.controls().values(), evaluation.test_scores(Parrot(corpus.train.tokens()))]
    assert all(scores.keys() >= PERPLEXITIES and not scores.keys() & EMBEDDING for scores in found)


def test_in_training_nothing_is_encoded_before_the_end_of_a_stage(
    corpus: TextCorpus, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    scores = Embedded.scores
    monkeypatch.setattr(Embedded, "scores", lambda self, some: encoded.append(len(some)) or scores(self, some))
    evaluation = evaluation_of(corpus, config(encoder=encoder))
    game = Parrot(corpus.train.tokens())
    values, _ = evaluation.measure(game, False)
    assert not values.keys() & (EMBEDDING | PERPLEXITIES)
    assert encoded == []
    end = evaluation.measure(game, True)
    assert end.values == values
    test, *sweep = end.records[2:]
    assert test["kind"] == "test"
    assert test["scores"].keys() >= EMBEDDING | PERPLEXITIES
    cold = next(record for record in sweep if record["temperature"] == 0.5)
    assert cold["scores"].keys() >= PERPLEXITIES
    assert not cold["scores"].keys() & EMBEDDING
    assert len(encoded) == 1


class TestOracle:
    """Where the true density is known."""

    @pytest.fixture
    def oracle_corpus(self) -> OracleCorpus:
        return OracleCorpus(Oracle.seeded(0, vocab_size=20, hidden=4, length=5), "seeded with 0", 30, 30, seed=0)

    def test_nll_oracle_needs_no_density_of_the_game(self, oracle_corpus: OracleCorpus) -> None:
        class Mute(Game):
            def sample(self, n: int, temperature: float = 1.0) -> Tensor:
                return oracle_corpus.train.tokens(n)

        scores = evaluation_of(oracle_corpus, config()).test_scores(Mute())
        assert scores["nll-oracle"].value == pytest.approx(oracle_corpus.oracle.nll(oracle_corpus.train.tokens(20)))
        assert not scores.keys() & {"nll-test", "kl-oracle-model", "kl-model-oracle"}

    def test_both_divergences_of_a_game_that_is_the_oracle_at_another_temperature(
        self, oracle_corpus: OracleCorpus
    ) -> None:
        oracle = oracle_corpus.oracle

        class Warm(Game):
            def __init__(self) -> None:
                super().__init__()
                self.network = oracle

            def sample(self, n: int, temperature: float = 1.0) -> Tensor:
                return oracle_corpus.train.tokens(n)

            def log_probs(self, tokens: Tensor, temperature: float = 1.0) -> Tensor:
                return oracle.log_probs(tokens, 2.0 * temperature)

        scores = evaluation_of(oracle_corpus, config()).test_scores(Warm())
        real, drawn = oracle_corpus.test.tokens(24), oracle_corpus.train.tokens(20)
        on_real, on_drawn = ((oracle.log_probs(x) - oracle.log_probs(x, 2.0)).mean().item() for x in (real, drawn))
        assert scores["kl-oracle-model"].value == pytest.approx(on_real, abs=1e-6)
        assert scores["kl-model-oracle"].value == pytest.approx(-on_drawn, abs=1e-6)

    def test_the_controls_have_it_too(self, oracle_corpus: OracleCorpus) -> None:
        controls = evaluation_of(oracle_corpus, config()).controls()
        real = torch.tensor(spread(oracle_corpus.valid.tokens(24).tolist(), 20))
        assert controls["real"]["nll-oracle"].value == pytest.approx(oracle_corpus.oracle.nll(real))
        assert controls["real"]["nll-oracle"].value < controls["random"]["nll-oracle"].value


class TestRefusals:
    def test_an_encoder_cannot_read_numbers(self, encoder: str) -> None:
        oracle = Oracle.seeded(0, vocab_size=20, hidden=4, length=5)
        corpus = OracleCorpus(oracle, "seeded with 0", train_size=30, held_out=30, seed=0)
        with pytest.raises(UserError, match=r"evaluation.encoder is 'hf:.*', but the sentences of oracle are numbers"):
            evaluation_of(corpus, config(encoder=encoder))

    def test_endings_are_not_encoded(self, encoder: str) -> None:
        corpus = StoryCorpus.__new__(StoryCorpus)  # nothing of it is looked at
        with pytest.raises(UserError, match=r"evaluation.encoder is 'hf:.*'; it must be None for story endings"):
            evaluation_of(corpus, config(encoder=encoder))

    def test_names_and_numbers_that_cannot_be(self) -> None:
        with pytest.raises(UserError, match=r"evaluation.encoder is 'bert'; it must be minilm or hf:PATH"):
            config(encoder="bert")
        with pytest.raises(UserError, match=r"evaluation.embedded is 5; it must be at least 6"):
            config(embedded=5)
