from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from textgan.data.oracle import Oracle, open_oracle
from textgan.data.spec import NONE
from textgan.data.splits import sentence_hashes
from textgan.errors import UserError


def small_oracle() -> Oracle:
    return Oracle.seeded(4, vocab_size=5, hidden=3, length=4)


def test_density_sums_to_one_over_every_sentence():
    every = torch.tensor(list(product(range(5), repeat=4)))
    assert small_oracle().log_prob(every).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_density_equals_a_hand_written_lstm():
    oracle = small_oracle()
    weights = {name: value.double().numpy() for name, value in oracle.state_dict().items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def log_density(row):
        h, c, total, last = np.zeros(3), np.zeros(3), 0.0, 0
        for token in row:
            x = weights["embedding.weight"][last]
            gates = weights["lstm.weight_ih_l0"] @ x + weights["lstm.weight_hh_l0"] @ h + weights["lstm.bias_ih_l0"]
            i, f, g, o = np.split(gates, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            logits = weights["output.weight"] @ h + weights["output.bias"]
            total += logits[token] - np.log(np.exp(logits).sum())
            last = token
        return total

    rows = torch.randint(5, (30, 4), generator=torch.Generator().manual_seed(0))
    expected = [log_density(row) for row in rows.tolist()]
    assert oracle.log_prob(rows).tolist() == pytest.approx(expected, rel=1e-5)
    assert oracle.nll(rows) == pytest.approx(-sum(expected) / 120, rel=1e-5)


def test_samples_have_the_density():
    oracle = small_oracle()
    drawn = oracle.sample(20_000, seed=1)
    every = torch.tensor(list(product(range(5), repeat=4)))
    entropy = -(oracle.log_prob(every).exp() * oracle.log_prob(every)).sum().item()
    found = -oracle.log_prob(drawn)
    assert abs(found.mean().item() - entropy) < 4 * found.std().item() / 20_000**0.5


def test_samples_depend_on_their_seed_only():
    oracle = small_oracle()
    first = oracle.sample(50, seed=1)
    state = torch.get_rng_state()
    assert torch.equal(first, oracle.sample(50, seed=1))
    assert torch.equal(first[:20], oracle.sample(20, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, oracle.sample(50, seed=2))


def test_seeded_parameters_are_standard_normal_with_one_bias_a_gate():
    oracle = Oracle.seeded(0)
    assert torch.equal(oracle.output.bias, Oracle.seeded(0).output.bias)
    assert oracle.lstm.bias_hh_l0.eq(0).all()
    for name in ("embedding.weight", "output.weight", "lstm.weight_hh_l0"):
        values = oracle.state_dict()[name]
        assert values.std().item() == pytest.approx(1, abs=0.05)
        assert abs(values.mean().item()) < 0.05
    assert not any(parameter.requires_grad for parameter in oracle.parameters())
    assert not oracle.training


def test_a_file_gives_back_the_oracle(tmp_path):
    oracle, file = small_oracle(), tmp_path / "oracle.safetensors"
    save_file(oracle.state_dict(), file)
    rows = oracle.sample(10, seed=0)
    assert torch.equal(Oracle.load(file, length=4).log_prob(rows), oracle.log_prob(rows))
    assert Oracle.load(file, length=7).sample(2, seed=0).shape == (2, 7)


def changed(**changes):
    weights = {**small_oracle().state_dict(), **changes}
    return {name: value for name, value in weights.items() if value is not None}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (changed(**{"lstm.bias_hh_l0": None}), r"lacks 'lstm\.bias_hh_l0'"),
        (changed(extra=torch.zeros(1)), "holds 'extra'"),
        (changed(**{"output.bias": torch.zeros(6)}), r"'output\.bias' has shape \[6\], must be \[5\]"),
        (changed(**{"embedding.weight": torch.zeros(5)}), r"'embedding\.weight' has shape \[5\], must have 2 axes"),
    ],
)
def test_unusable_parameters_are_named(tmp_path, weights, message):
    save_file(weights, tmp_path / "oracle.safetensors")
    with pytest.raises(UserError, match=message):
        Oracle.load(tmp_path / "oracle.safetensors", length=4)


def test_unusable_files_and_names_are_said(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        open_oracle(f"oracle:{tmp_path / 'none'}")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(UserError, match="not in safetensors format"):
        open_oracle(f"oracle:{tmp_path / 'text'}")
    for name in ("oracles", "oracle:"):
        with pytest.raises(UserError, match="accepted are 'oracle' and 'oracle:FILE'"):
            open_oracle(name)
    for number in ("length", "train_size", "held_out"):
        with pytest.raises(UserError, match=rf"{number} \(=0\) must be at least 1"):
            open_oracle("oracle", **{number: 0})


def test_the_corpus_has_three_splits_drawn_apart(tmp_path):
    save_file(small_oracle().state_dict(), tmp_path / "oracle.safetensors")
    corpus = open_oracle(f"oracle:{tmp_path / 'oracle.safetensors'}", length=6, train_size=30, held_out=20)
    assert [len(split) for split in (corpus.train, corpus.valid, corpus.test)] == [30, 20, 20]
    assert not torch.equal(corpus.valid.tokens(), corpus.test.tokens())
    spec = corpus.spec
    assert (spec.vocab_size, spec.length, spec.train_size) == (5, 6, 30)
    assert (spec.bos, spec.eos, spec.pad, spec.unk) == (0, NONE, NONE, NONE)
    assert spec.never == ()
    rows = corpus.train.tokens(4)
    assert torch.equal(corpus.train.take(torch.tensor([3, 0])), rows[[3, 0]])
    assert corpus.train.sentences(4) == [[str(token) for token in row] for row in rows.tolist()]
    assert corpus.tokenizer.decode(rows[0].tolist()) == " ".join(corpus.train.sentences(1)[0])
    assert corpus.train.hashes().tolist() == sorted(set(sentence_hashes(corpus.train.tokens(), NONE).tolist()))


def test_a_split_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGAN_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "oracle.safetensors"
    save_file(small_oracle().state_dict(), file)

    def rows(length=6, train_size=30, seed=0):
        return open_oracle(f"oracle:{file}", length, train_size, 20, seed).train.tokens()

    drawn = rows()
    assert torch.equal(drawn, Oracle.load(file, 6).sample(30, 0))
    with monkeypatch.context() as none_is_drawn:
        none_is_drawn.setattr(Oracle, "sample", None)
        assert torch.equal(rows(), drawn)
    assert rows(length=7).shape == (30, 7)
    assert rows(train_size=31).shape == (31, 6)
    assert not torch.equal(rows(seed=1), drawn)
    other = {name: -weight for name, weight in small_oracle().state_dict().items()}
    save_file(other, file)
    assert not torch.equal(rows(), drawn)


def test_the_report_says_how_much_was_drawn():
    report = open_oracle("oracle", length=3, train_size=5, held_out=40).report
    assert json.loads(json.dumps(report.as_dict()))["train"] == 5
    assert any("5 train, 40 valid, 40 test" in line for line in report.lines())
