"""Games of categories, measured: the right proportions, the right names, accuracy beside that on real sentences."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from textgan.data import DataConfig, LabelledCorpus, open_labelled
from textgan.evaluation import EvaluationConfig, evaluation_of
from textgan.evaluation.labelled import ACCURACY, LabelledEvaluation, as_many_of_each
from textgan.game import Game
from textgan.metrics.classifier import CategoryClassifier

CONFIG = EvaluationConfig(samples=40, final_samples=60, references=500, temperatures=(0.5,))
SHARES = {"cat": 200, "dog": 100, "owl": 50}


@pytest.fixture(scope="module")
def corpus(cache: None, tmp_path_factory: pytest.TempPathFactory) -> LabelledCorpus:
    """Each category has a word of its own; a seventh of the cats are called dogs."""
    path = tmp_path_factory.mktemp("labelled") / "animals.csv"
    rows = [
        f"the {'dog' if label == 'cat' and i % 7 == 0 else label} says {' '.join(f'{i:03}')} .,{label}\n"
        for label, n in SHARES.items()
        for i in range(n)
    ]
    path.write_text("text,label\n" + "".join(rows))
    return open_labelled(str(path), DataConfig(valid=0.2, test=0.2))


@pytest.fixture(scope="module")
def evaluation(corpus: LabelledCorpus) -> LabelledEvaluation:
    made = evaluation_of(corpus, CONFIG)
    assert isinstance(made, LabelledEvaluation)
    return made


class Zoo(Game):
    """Says "the cat says 0 n .": the category it is asked for, the n-th time. `deaf`: always the first category."""

    def __init__(self, corpus: LabelledCorpus, deaf: bool = False) -> None:
        super().__init__()
        self.corpus, self.deaf, self.asked = corpus, deaf, []
        self.weight = nn.Parameter(torch.zeros(()))

    def sample(self, n: int, temperature: float = 1.0, category: int | None = None) -> Tensor:
        self.asked.append((n, temperature, category))
        names = self.corpus.spec.categories
        wanted = [i % len(names) if category is None else category for i in range(n)]
        texts = [f"the {names[0 if self.deaf else k]} says 0 {i % 10} ." for i, k in enumerate(wanted)]
        rows = torch.zeros(n, self.corpus.spec.length, dtype=torch.int64)
        for row, ids in zip(rows, self.corpus.tokenizer.encode_batch(texts), strict=True):
            row[: len(ids) + 1] = torch.tensor([*ids, self.corpus.spec.eos])
        return rows


def test_a_sample_has_the_proportions_of_real_text(corpus: LabelledCorpus, evaluation: LabelledEvaluation) -> None:
    game = Zoo(corpus)
    drawn = evaluation.draw(game, 150, 0.7)
    said = [corpus.tokenizer.decode(ids).split()[1] for ids in drawn.tolist()]
    wanted = [corpus.spec.categories[k] for k in corpus.train.categories(150).tolist()]
    assert said == wanted
    assert sorted(game.asked) == [(wanted.count(name), 0.7, k) for k, name in enumerate(corpus.spec.categories)][::-1]
    assert Counter(said)["cat"] > Counter(said)["dog"] > Counter(said)["owl"] > 0


def test_more_sentences_than_there_are_to_learn_from_begin_again(
    corpus: LabelledCorpus, evaluation: LabelledEvaluation
) -> None:
    n = len(corpus.train)
    drawn = evaluation.draw(Zoo(corpus), n + 10)
    said = [corpus.tokenizer.decode(ids).split()[1] for ids in drawn.tolist()]
    assert said[n:] == said[:10]


def test_samples_are_shown_with_their_category(corpus: LabelledCorpus, evaluation: LabelledEvaluation) -> None:
    shown = evaluation.shown(evaluation.draw(Zoo(corpus), 20))
    assert len(shown) == 20
    assert all(line.startswith(f"{name}: the {name} says 0 ") for line in shown for name in [line.split(":")[0]])
    assert [line.split(":")[0] for line in shown] == [corpus.spec.categories[k] for k in corpus.train.categories(20)]


def test_accuracy_is_of_sentences_in_turn(corpus: LabelledCorpus, evaluation: LabelledEvaluation) -> None:
    scores = evaluation.test_scores(Zoo(corpus))
    assert {name: scores[name].value for name in scores if name.startswith(ACCURACY)} == {
        ACCURACY: 1.0,
        **{f"{ACCURACY}-{name}": 1.0 for name in SHARES},
    }
    assert "samples:60" in scores[ACCURACY].signature
    assert "temperature:1.0" in scores[ACCURACY].signature
    deaf = evaluation.test_scores(Zoo(corpus, deaf=True), temperature=0.5, samples=30)
    assert deaf[ACCURACY].value == pytest.approx(1 / 3)
    assert (deaf[f"{ACCURACY}-cat"].value, deaf[f"{ACCURACY}-owl"].value) == (1, 0)
    assert "temperature:0.5" in deaf[ACCURACY].signature


def test_everything_that_sentences_have_is_there(corpus: LabelledCorpus, evaluation: LabelledEvaluation) -> None:
    scores = evaluation.test_scores(Zoo(corpus))
    assert {"bleu-2", "self-bleu-2", "distinct-1", "unique", "novelty", "reverse-ppl", "forward-ppl"} <= scores.keys()


def test_a_measurement_watches_accuracy_and_ends_with_a_sweep(
    corpus: LabelledCorpus, evaluation: LabelledEvaluation
) -> None:
    measured = evaluation.measure(Zoo(corpus), ends_stage=True)
    assert measured.values[ACCURACY] == 1
    assert [record["kind"] for record in measured.records] == ["metrics", "samples", "test", "sweep"]
    assert all(ACCURACY in r["scores"] for r in measured.records if "scores" in r)
    assert evaluation.watched().keys() <= measured.values.keys()


def test_controls_are_real_sentences_and_chance(corpus: LabelledCorpus, evaluation: LabelledEvaluation) -> None:
    real, random = (evaluation.controls()[name] for name in ("real", "random"))
    category = corpus.test.categories()
    names = [corpus.spec.categories[k] for k in category.tolist()]
    learned = [corpus.spec.categories[k] for k in corpus.train.categories().tolist()]
    classifier = CategoryClassifier(list(map(" ".join, corpus.train.sentences())), learned)
    taken = classifier.predict(list(map(" ".join, corpus.test.sentences())))
    right = [name == other for name, other in zip(names, taken, strict=True)]
    for name in SHARES:
        mine = [yes for yes, wanted in zip(right, names, strict=True) if wanted == name]
        assert real[f"{ACCURACY}-{name}"].value == pytest.approx(sum(mine) / len(mine))
    equal = as_many_of_each(category).tolist()
    assert real[ACCURACY].value == pytest.approx(sum(right[i] for i in equal) / len(equal))
    assert 0.9 < real[f"{ACCURACY}-cat"].value < 1  # those that are called dogs
    assert random[ACCURACY].value < 0.7
    assert f"samples:{len(equal)}" in random[ACCURACY].signature


def test_as_many_of_each_are_the_first() -> None:
    category = torch.tensor([1, 0, 0, 2, 2, 1, 0, 2])
    assert as_many_of_each(category).tolist() == [1, 2, 0, 5, 3, 4]
    assert as_many_of_each(torch.tensor([0, 1, 0])).tolist() == [0, 1]
