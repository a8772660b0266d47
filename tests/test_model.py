from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import textgan
from textgan.errors import UserError
from textgan.text_model import TextModel
from textgan.train import main


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> TextModel:
    return textgan.load(tiny_run)


@pytest.fixture
def copied(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "copied"))


@pytest.fixture(scope="module")
def oracle_model(cache: None, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    """Trained on sentences of five token ids."""
    folder = tmp_path_factory.mktemp("oracle") / "run"
    sizes = ["--data.limit", "40", "--data.max-length", "5", "--game.epochs", "1"]
    main(["mle", "--tiny", "--corpus", "oracle", *sizes, "--evaluation.references", "100", "--run", str(folder)])
    return textgan.load(folder)


def test_the_weights_are_those_saved_at_the_end(model: TextModel, tiny_run: Path) -> None:
    saved = load_file(tiny_run / "model.safetensors")
    assert saved.keys() == model.game.state_dict().keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in model.game.state_dict().items())
    assert not model.game.training


def test_a_run_that_has_not_ended_gives_its_newest_checkpoint(model: TextModel, copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    assert textgan.load(copied).sample(5, seed=1) == model.sample(5, seed=1)


def test_sampling_leaves_the_random_numbers_of_others_alone(model: TextModel) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    model.sample(2)
    assert torch.equal(torch.rand(2), expected)


def test_samples_are_as_many_as_asked_over_several_draws(model: TextModel) -> None:
    assert len(model.sample(1001, seed=0)) == 1001


def test_a_cold_generator_repeats_itself(model: TextModel) -> None:
    assert len(set(model.sample(50, temperature=1e-6, seed=0))) == 1
    assert len(set(model.sample(50, temperature=1.0, seed=0))) > 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "number asked for is 0; it must be at least 1"),
        ({"n": 1, "temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"n": 1, "temperature": float("nan")}, "temperature is nan"),
        ({"n": 1, "seed": 2**63}, r"seed is 9223372036854775808; it must be in \[0, 2\*\*63\)"),
    ],
)
def test_what_nothing_can_be_drawn_with_is_said(model: TextModel, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model.sample(**options)


def test_a_game_without_categories_has_none_to_ask_for(model: TextModel) -> None:
    assert (model.categories, model.categories_of(3), model.has_density) == ((), [], True)
    with pytest.raises(UserError, match=r"category is 'cat', but seqgan is played on sentences without categories$"):
        model.sample(1, category="cat")


def test_log_probability_is_the_sum_over_words_and_end_mark(model: TextModel) -> None:
    sentence = "the cat sits in the house"
    (ids,) = model.tokenizer.encode_batch([sentence])
    row = [*ids, model.spec.eos]
    tokens = torch.tensor([row + [model.spec.pad] * (model.spec.length - len(row))])
    with torch.no_grad():
        expected = model.game.log_probs(tokens)[0, : len(row)].sum().item()
    assert model.log_prob([sentence]) == pytest.approx([expected])


def test_log_probabilities_do_not_depend_on_the_company(model: TextModel) -> None:
    sentences = ["the cat sits in the house", "the dog runs under the big tree"]
    many = model.log_prob(sentences * 200)
    assert many[:2] == pytest.approx(model.log_prob(sentences[:1]) + model.log_prob(sentences[1:]), abs=1e-4)
    assert many == pytest.approx(many[:2] * 200, abs=1e-4)
    assert model.log_prob([]) == []


def test_probabilities_of_all_sentences_of_one_word_add_up_to_less_than_1(model: TextModel) -> None:
    words = model.tokenizer.strings(range(4, model.spec.vocab_size))
    assert 0 < sum(torch.tensor(model.log_prob(words)).exp()) < 1


@pytest.mark.parametrize(("sentence", "tokens"), [("", 0), ("the " * 40, 40)])
def test_a_sentence_the_model_cannot_write_has_no_probability(model: TextModel, sentence: str, tokens: int) -> None:
    with pytest.raises(UserError, match=f"has {tokens} tokens; it must have 1 to {model.spec.length - 1}"):
        model.log_prob([sentence])


def test_where_all_sentences_have_one_length_others_have_no_probability(oracle_model: TextModel) -> None:
    sentences = oracle_model.sample(4, seed=0)
    rows = torch.tensor([[int(word) for word in sentence.split()] for sentence in sentences])
    assert rows.shape == (4, 5)
    assert oracle_model.log_prob(sentences) == pytest.approx(oracle_model.token_log_prob(rows))
    for sentence in ("1 2 3 4", "1 2 3 4 5 6"):
        with pytest.raises(UserError, match="it must have 5 to 5"):
            oracle_model.log_prob([sentence])
    with pytest.raises(UserError, match="'cat' is not a token id"):
        oracle_model.log_prob(["1 2 3 4 cat"])


def test_detokenizing_writes_as_people_do(model: TextModel) -> None:
    (ids,) = model.tokenizer.encode_batch(["the cat sits"])
    assert model.write(torch.tensor([[*ids, model.spec.eos]]), detokenize=True) == ["the cat sits"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "config.yaml",
            b"name: seqgan\ngame: {hiden: 3}\n",
            r"config\.yaml: there is no option --game\.hiden; did you",
        ),
        ("config.yaml", b"name: gone\n", "there is no game 'gone'"),
        ("config.yaml", b"name: seqgan\n", "the weights in .* do not fit its config"),
        ("data.json", b"{}", r"data\.json is not the description of a run's data"),
        ("data.json", b"[", r"data\.json is not the description of a run's data"),
        ("tokenizer.json", b"{}", r"tokenizer\.json is not a tokenizer"),
        ("model.safetensors", b"torn", r"model\.safetensors cannot be read"),
    ],
)
def test_a_spoiled_file_is_named(copied: Path, file: str, content: bytes, message: str) -> None:
    (copied / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        textgan.load(copied)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "data.json").unlink()
    with pytest.raises(UserError, match=r"data\.json cannot be read: No such file"):
        textgan.load(copied)


def test_a_run_without_weights_says_so(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    shutil.rmtree(copied / "checkpoints")
    with pytest.raises(UserError, match=r"neither model\.safetensors nor a checkpoint"):
        textgan.load(copied)
