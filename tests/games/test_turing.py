"""What makes Turing learning itself: a classifier that is no network rewards a network."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences, _trainer
from tests.toys import assert_bitwise_equal, weights
from textgan import registry
from textgan.game import Turn
from textgan.games.turing import TINY, Turing
from textgan.parts.ngram_classifier import ClassifierConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)
KINDS = ("naive_bayes", "linear_svm", "logistic_regression", "random_forest")
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=SPEC, kind: str = "naive_bayes", **changes) -> Turing:
    seed_everything(0)
    classifier = dataclasses.replace(TINY.classifier, kind=kind, pool_size=40)
    game = Turing(dataclasses.replace(TINY, classifier=classifier, **changes), spec)
    game.classifier.meet(_sentences(spec))
    with torch.no_grad():
        game._fit(TURN)
    return game


@every_spec
@pytest.mark.parametrize("score", ["probability", "log_odds"])
def test_the_policy_gradient_is_minus_the_classifiers_judgement_times_log_probability(spec, score):
    game = _game(spec, score=score, baseline="none")
    seed_everything(5)
    loss = game._reinforce(_sentences(spec)[:6], TURN)
    seed_everything(5)
    tokens = game.sample(6)
    odds = game.classifier(tokens)
    rewards = odds if score == "log_odds" else odds.sigmoid()
    game.eval()
    by_hand = -(rewards * game.generator.log_probs(tokens).sum(1)).mean()
    torch.testing.assert_close(loss.terms["policy_gradient"], by_hand)


def test_rewards_of_prefixes_are_means_over_what_may_follow():
    game = _game(rollouts=3)
    tokens = game.sample(8)
    lengths = (tokens != SPEC.pad).sum(1)
    rewards = game._rewards(tokens)
    assert (rewards[tokens == SPEC.pad] == 0).all()
    last = rewards[torch.arange(8), lengths - 1]
    torch.testing.assert_close(last, game.classifier(tokens).sigmoid())
    assert (rewards[lengths > 1, 0] != last[lengths > 1]).any()


def test_the_classifier_is_fitted_on_the_newest_real_sentences_and_own_ones():
    game = _game()
    assert torch.equal(game.classifier.real.long(), _sentences(SPEC))
    news = _sentences(SPEC)[:10].roll(1, 0)
    game._reinforce(news, TURN)
    assert torch.equal(game.classifier.real.long(), _sentences(SPEC))  # until it is fitted again
    seed_everything(3)
    with torch.no_grad():
        game._fit(TURN)
    assert torch.equal(game.classifier.real[:10].long(), news)
    seed_everything(3)
    assert torch.equal(game.classifier.fake.long(), game.sample(40))


def test_it_meets_real_sentences_while_the_generator_learns_by_likelihood():
    game = Turing(TINY, SPEC)
    game.likelihood(_sentences(SPEC)[:32], Turn("pretrain_generator", 0, 0.0))
    assert game.classifier.met.held == 32


@pytest.mark.parametrize("kind", KINDS)
def test_a_game_with_any_classifier_resumes_to_the_same_weights(kind, tmp_path, monkeypatch):
    from textgan.checkpoint import CheckpointStore

    entry = registry.find("turing")
    classifier = ClassifierConfig(kind=kind, pool_size=32, bits=8)
    tiny = dataclasses.replace(TINY, classifier=classifier, rounds=2)
    monkeypatch.setattr(registry, "find", lambda name: dataclasses.replace(entry, tiny=tiny))
    whole = _trainer("turing", SPEC)
    whole.play()
    killed = _trainer("turing", SPEC, CheckpointStore(tmp_path))
    make = killed.make

    def until_killed(place):
        if killed.step == whole.step - 1:  # after the last fit, before the last step that uses it
            raise KeyboardInterrupt
        make(place)

    killed.make = until_killed
    with pytest.raises(KeyboardInterrupt):
        killed.play()
    resumed = _trainer("turing", SPEC, CheckpointStore(tmp_path))
    assert resumed.resume()
    resumed.play()
    assert_bitwise_equal(weights(whole.game), weights(resumed.game))


def test_a_generator_learns_what_the_classifier_takes_for_real():
    seed_everything(0)
    config = dataclasses.replace(
        TINY, pretraining=dataclasses.replace(TINY.pretraining, epochs=0), rounds=8, generator_steps=15,
        learning_rate=3e-2, classifier=ClassifierConfig(kind="logistic_regression", pool_size=40, bits=10, ngrams=1),
    )  # fmt: skip
    from textgan.data.batches import Batches
    from textgan.data.oracle import OracleSplit
    from textgan.trainer import Trainer, TrainerConfig

    real = torch.where(_sentences(SPEC) < 4, _sentences(SPEC), 4 + _sentences(SPEC) % 2)  # only two words
    game = Turing(config, SPEC)
    words = [4, 5]
    before = torch.isin(game.sample(200), torch.tensor(words)).sum() / (game.sample(200) > 2).sum()
    Trainer(game, Batches(OracleSplit(real), 0), TrainerConfig(device="cpu")).play()
    tokens = game.sample(200)
    after = torch.isin(tokens, torch.tensor(words)).sum() / (tokens > 2).sum()
    assert before < 0.5
    assert after > 0.8
