from __future__ import annotations

import pytest
import torch

from tests.policies import ENDING, FIXED, sentences
from textgan.networks.leaked import LeakedConfig, LeakedGenerator
from textgan.networks.text_cnn import TextCNN
from textgan.policy_gradient import rollout_rewards

K, C = 3, 2
CONFIG = LeakedConfig(embedding=5, hidden=4, goal=K, window=C, dropout=0.0)


def generator(spec) -> LeakedGenerator:
    torch.manual_seed(0)
    built = LeakedGenerator(CONFIG, spec, TextCNN(spec, widths=(1, 2), filters=(4, 3), embedding=5))
    for parameter in built.parameters():
        parameter.data.normal_()
    return built


def naive_logits(built: LeakedGenerator, words: list[int]) -> torch.Tensor:
    """Logits after these words: the equations, one at a time, with O_t written out as a matrix."""
    cnn = built.leak._network
    goals, outputs = [], None
    manager = worker = (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))
    for t in range(len(words) + 1):
        embedded = cnn.embedding(torch.tensor([words[:t] + [0] * (2 - t)]))
        f = cnn.features_embedded(embedded, torch.tensor([t]))
        h, manager = built.manager(f[None], manager)
        g = built.aim(h[0, 0])
        goals.append(g / g.norm())
        before = built.spec.bos if t == 0 else words[t - 1]
        outputs, worker = built.worker(built.embedding(torch.tensor([[before]])), worker)
    w = built.projection.weight @ torch.stack(goals[-C:]).sum(0)
    matrix = built.output.weight.view(-1, K, 5)  # a word's k rows of weights, each with its bias at the end
    o = matrix[:, :, :4] @ outputs[0, 0] + matrix[:, :, 4]  # (V, k)
    logits = o @ w
    logits[list(built.spec.never)] = -torch.inf
    return logits


@pytest.mark.parametrize("spec", [FIXED, ENDING])
def test_logits_are_the_workers_matrix_times_the_projected_sum_of_the_last_goals(spec):
    built = generator(spec)
    words = [spec.vocab_size - 1, spec.vocab_size - 2]
    state = built.start(1)
    for t in range(3):
        torch.testing.assert_close(built.logits(state)[0], naive_logits(built, words[:t]))
        if t < 2:
            state = built.advance(torch.tensor([words[t]]), state)


@pytest.mark.parametrize("spec", [FIXED, ENDING])
def test_reading_whole_rows_equals_reading_word_by_word(spec):
    built, tokens = generator(spec), sentences(spec)
    whole = built.log_probs(tokens, 0.7)
    state = built.start(len(tokens))
    for t, token in enumerate(tokens.unbind(1)):
        stepwise = (built.logits(state) / 0.7).log_softmax(1).gather(1, token.clamp(min=0)[:, None]).squeeze(1)
        written = token != spec.pad
        torch.testing.assert_close(whole[written, t], stepwise[written])
        state = built.advance(token, state)
    assert (whole[tokens == spec.pad] == 0).all()
    assert whole.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_goals_have_norm_one_and_features_are_the_discriminators():
    built, tokens = generator(ENDING), sentences(ENDING)
    reading = built.read(tokens)
    torch.testing.assert_close(reading.goals.norm(dim=2), torch.ones(len(tokens), 3))
    lengths = (tokens != ENDING.pad).sum(1)
    of_all = built.leak._network.features(tokens)
    torch.testing.assert_close(reading.features[torch.arange(len(tokens)), lengths], of_all)


def test_the_likelihood_moves_the_worker_and_not_the_manager_nor_the_discriminator():
    built = generator(ENDING)
    built.log_probs(sentences(ENDING)).sum().backward()
    moved = {name.partition(".")[0] for name, parameter in built.named_parameters() if parameter.grad is not None}
    assert moved == {"embedding", "worker", "projection", "output"}
    assert all(parameter.grad is None for parameter in built.leak._network.parameters())
    assert not any("network" in name for name, _ in built.named_parameters())


def test_roll_outs_of_forked_rows_are_draws_of_the_policy():
    """Q of the first word is the mean reward of what may follow it: here, by the sum over all sentences."""
    built, world = generator(ENDING), sentences(ENDING)
    worth = torch.rand(ENDING.vocab_size, generator=torch.Generator().manual_seed(1))
    worth[ENDING.pad] = 0

    def reward(rows, _):
        return worth[rows].sum(1)

    sentence = torch.tensor([[3, 4, 2]])
    torch.manual_seed(0)
    with torch.no_grad():
        p = built.log_probs(world).sum(1).exp()
        found = rollout_rewards(built, ENDING, sentence, reward, rollouts=20_000)
    for t in range(2):
        after = (world[:, : t + 1] == sentence[:, : t + 1]).all(1)
        exact = (p * after * reward(world, None)).sum() / p[after].sum()
        assert found[0, t].item() == pytest.approx(exact.item(), abs=0.02)


def test_the_first_weights_have_the_deviation_that_is_asked_for():
    torch.manual_seed(0)
    config = LeakedConfig(embedding=64, hidden=64, init_std=0.1)
    built = LeakedGenerator(config, ENDING, TextCNN(ENDING, (1,), (200,), 8))
    for weight in (built.projection.weight, built.manager.weight_ih_l0, built.aim.weight, built.output.weight):
        assert weight.std().item() == pytest.approx(0.1, rel=0.1)


def test_dropout_acts_in_train_mode_alone():
    torch.manual_seed(0)
    config = LeakedConfig(embedding=8, hidden=8, goal=2, dropout=0.5)
    built = LeakedGenerator(config, ENDING, TextCNN(ENDING, (1,), (4,), 8))
    tokens = sentences(ENDING)
    assert not torch.equal(built.outputs(tokens), built.outputs(tokens))
    built.eval()
    assert torch.equal(built.outputs(tokens), built.outputs(tokens))
