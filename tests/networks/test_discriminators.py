"""What every discriminator of sentences must be, whatever it is made of."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from textgan.data.spec import NONE, TextSpec
from textgan.errors import UserError
from textgan.networks.discriminators import DiscriminatorConfig, text_discriminator
from textgan.networks.text_discriminator import TextDiscriminator
from textgan.relaxation import one_hot

TEXT = TextSpec(30, 9, train_size=0)
ORACLE = TextSpec(30, 9, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
KINDS = ("cnn", "rnn", "multi", "transformer")
CONFIG = DiscriminatorConfig(
    embedding=8, representations=4, widths=(1, 2, 3, 9), filters=(3, 4, 5, 6), hidden=5, heads=2, dropout=0.0
)  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS)
every_world = pytest.mark.parametrize("spec", [TEXT, ORACLE], ids=["text", "oracle"])


def discriminator(kind: str, spec: TextSpec = TEXT, outputs: int = 1, dropout: float = 0.0) -> TextDiscriminator:
    torch.manual_seed(0)
    network = text_discriminator(dataclasses.replace(CONFIG, kind=kind, dropout=dropout), spec, outputs).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def batch(spec: TextSpec) -> Tensor:
    """Sentences of every length."""
    torch.manual_seed(1)
    tokens = torch.randint(4, 30, (20, 9))
    if spec.pad != NONE:
        for row in range(20):
            tokens[row, 1 + row % 9 :] = spec.pad
    return tokens


@every_kind
def test_the_score_does_not_depend_on_the_padding_or_its_embedding(kind):
    network, tokens = discriminator(kind), batch(TEXT)
    scores = network(tokens)
    if kind == "transformer":  # it has no positions beyond the longest sentence
        short = (tokens != TEXT.pad).sum(1) <= 5
        torch.testing.assert_close(network(tokens[short][:, :5]), scores[short])
    else:
        more_padding = torch.cat([tokens, tokens.new_full((20, 4), TEXT.pad)], 1)
        torch.testing.assert_close(network(more_padding), scores)
    network.embedding.weight.data[TEXT.pad] = 1e3
    torch.testing.assert_close(network(tokens), scores)


@every_kind
def test_the_score_does_not_depend_on_the_other_rows(kind):
    network, tokens = discriminator(kind), batch(TEXT)
    torch.testing.assert_close(torch.cat([network(row[None]) for row in tokens]), network(tokens))


@every_kind
@every_world
def test_relaxed_features_of_words_are_those_of_the_words(kind, spec):
    network, tokens = discriminator(kind, spec), batch(spec)
    words = one_hot(tokens, spec).double()
    torch.testing.assert_close(network.features_relaxed(words, network.lengths(tokens)), network.features(tokens))


@every_kind
def test_relaxed_words_hand_their_gradient_on(kind):
    network, tokens = discriminator(kind), batch(TEXT)[4:7]
    words = torch.rand(3, 9, 30, dtype=torch.float64).softmax(-1).requires_grad_()
    lengths = network.lengths(tokens)
    network.score(network.features_relaxed(words, lengths)).sum().backward()
    assert words.grad is not None
    inside = tokens != TEXT.pad
    assert (words.grad[~inside] == 0).all()
    assert words.grad[inside].abs().sum() > 0
    # Along one direction, against finite differences.
    direction, step = torch.randn_like(words), 1e-6
    with torch.no_grad():
        ahead, behind = (
            network.score(network.features_relaxed(words + sign * step * direction, lengths)).sum() for sign in (1, -1)
        )
    torch.testing.assert_close((words.grad * direction).sum(), (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-8)


@every_kind
def test_votes_average_to_the_score(kind):
    network, tokens = discriminator(kind), batch(TEXT)
    votes = network.votes(network.features(tokens))
    assert votes.shape == (20, 4 if kind == "multi" else 1)
    torch.testing.assert_close(votes.mean(1), network(tokens))
    if kind == "multi":
        assert (votes.std(1) > 0).any()


@every_kind
def test_there_is_a_logit_for_each_class(kind):
    network, tokens = discriminator(kind, outputs=3), batch(TEXT)
    scores = network(tokens)
    assert scores.shape == (20, 3)
    one = discriminator(kind)
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("output")}
    kept |= {"output.weight": network.output.weight[1:2], "output.bias": network.output.bias[1:2]}
    one.load_state_dict(kept)
    torch.testing.assert_close(scores[:, 1], one(tokens))


@every_kind
def test_every_parameter_receives_a_gradient(kind):
    network = discriminator(kind)
    network(batch(TEXT)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@every_kind
def test_roll_outs_of_a_prefix_have_the_same_scores_when_that_is_known(kind):
    network, tokens = discriminator(kind), torch.randint(4, 30, (12, 9))
    tokens[:, :4] = tokens[::3, :4].repeat_interleave(3, 0)
    torch.testing.assert_close(network(tokens, 4, 3), network(tokens))


@every_kind
def test_dropout_acts_in_train_mode_only(kind):
    network, tokens = discriminator(kind, dropout=0.5), batch(TEXT)
    assert not torch.equal(network(tokens), network(tokens))
    torch.testing.assert_close(network.eval()(tokens), discriminator(kind)(tokens))


def test_the_representations_of_multi_read_parts_of_the_embedding_by_the_same_filters():
    multi, tokens = discriminator("multi"), batch(TEXT)
    narrow = text_discriminator(dataclasses.replace(CONFIG, kind="cnn", embedding=2), TEXT).double()
    weights = multi.state_dict()
    for r in range(4):
        part = weights["embedding.weight"][:, 2 * r : 2 * r + 2]
        narrow.load_state_dict({**weights, "embedding.weight": part})
        torch.testing.assert_close(multi.features(tokens)[:, r], narrow.features(tokens))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "multi", "representations": 3}, "embedding is 8; it must be divisible by representations, 3"),
        ({"kind": "transformer", "heads": 3}, "embedding is 8; it must be divisible by heads, 3"),
        ({"filters": (3, 4)}, r"filters is \(3, 4\); it must be one for each of game.discriminator.widths"),
        ({"widths": (), "filters": ()}, r"widths is \(\); it must be numbers of at least 1"),
        ({"dropout": 1.5}, r"game.discriminator.dropout is 1.5; it must be in \[0, 1\)"),
        ({"hidden": 0}, "game.discriminator.hidden is 0; it must be at least 1"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **changes)
