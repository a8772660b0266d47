"""Opening a corpus: splits that share nothing, honest counts, settings in the right order, errors with numbers."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.hash_seeds import other_hash_seed
from textgan.data import DataConfig, TextCorpus, cards, corpus, open_corpus, resolve, splits
from textgan.data.batches import Batches
from textgan.data.grammar import Grammar
from textgan.data.preparation import Count, HeldOut, split_of
from textgan.data.settings import Settings
from textgan.data.tokenizer import UNK
from textgan.errors import UserError

NAMES = ("train", "valid", "test")
ANIMALS = ["dog", "cat", "horse", "bird", "goat", "fox", "wolf"]


def number(i: int) -> str:
    """Different sentences of a few words that all splits share."""
    return "No " + " ".join(f"{i:03}")


def write(path: Path, sentences: list[str]) -> str:
    path.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def numbered(tmp_path: Path) -> str:
    """600 sentences, 100 of them twice, with and without spaces before the full stop, and 3 blank lines."""
    distinct = [f"{number(i)} ." for i in range(500)]
    again = [sentence.replace(" .", ".") for sentence in distinct[:100]]
    return write(tmp_path / "numbered.txt", [*distinct, "", *again, "  ", "\t"])


def sentences(opened: TextCorpus, name: str) -> list[str]:
    return [" ".join(words) for words in getattr(opened, name).sentences()]


def test_splits_are_disjoint_and_complete(numbered: str) -> None:
    opened = open_corpus(numbered)
    found = {name: sentences(opened, name) for name in NAMES}
    sets = {name: set(found[name]) for name in NAMES}
    assert not sets["train"] & sets["valid"]
    assert not sets["train"] & sets["test"]
    assert not sets["valid"] & sets["test"]
    assert set.union(*sets.values()) == {f"{number(i)} ." for i in range(500)}
    assert len(found["valid"]) == len(sets["valid"])
    assert len(found["test"]) == len(sets["test"])
    assert 20 < len(found["valid"]) < 80
    assert 20 < len(found["test"]) < 80


def test_the_report_counts_what_happened(numbered: str) -> None:
    opened = open_corpus(numbered)
    report, train = opened.report, sentences(opened, "train")
    assert (report.sentences, report.empty, report.too_long) == (603, 3, 0)
    assert (report.train, report.valid, report.test) == tuple(len(getattr(opened, name)) for name in NAMES)
    assert report.train_duplicates == len(train) - len(set(train)) > 0
    assert report.train + report.valid + report.test + report.held_out_duplicates + report.leaks == 600
    assert report.mean_length == pytest.approx(sum(len(s.split()) for s in train) / len(train))
    assert report.longest == 5
    held_out = opened.valid.tokens().tolist() + opened.test.tokens().tolist()
    assert report.held_out_unknown == pytest.approx(sum(r.count(UNK) for r in held_out) / (5 * len(held_out)))
    assert report.train_unknown == 0
    assert json.loads(json.dumps(report.as_dict())) == asdict(report)
    assert report.lines()[1] == "603 sentences read; 3 empty; 0 longer than 32 tokens, shortened"


def test_the_spec_fits_the_rows(numbered: str) -> None:
    opened = open_corpus(numbered)
    assert opened.spec.length == 6
    assert opened.spec.vocab_size == opened.tokenizer.size == opened.report.vocabulary
    assert opened.spec.train_size == len(opened.train)
    assert opened.train.tokens().max() < opened.spec.vocab_size
    assert (opened.train.tokens()[:, -1] == opened.spec.eos).all()


def test_a_sentence_keeps_its_split_when_the_corpus_grows(tmp_path: Path) -> None:
    all_of_it = [number(i) for i in range(400)]
    some = open_corpus(write(tmp_path / "some.txt", all_of_it[:250]))
    more = open_corpus(write(tmp_path / "more.txt", all_of_it))
    assert set(sentences(some, "train")) <= set(sentences(more, "train"))
    assert some.report.train < more.report.train


def test_the_hash_of_a_sentence_is_uniform_and_fixed() -> None:
    settings = Settings(valid=0.2, test=0.1)
    counts = Counter(split_of(str(i), settings, held_out=False) for i in range(20_000))
    for name, share in {"train": 0.7, "valid": 0.2, "test": 0.1}.items():
        assert counts[name] == pytest.approx(20_000 * share, rel=0.06)
    counts = Counter(split_of(str(i), settings, held_out=True) for i in range(20_000))
    assert counts["valid"] == pytest.approx(2 * counts["test"], rel=0.08)
    assert counts["train"] == 0
    assert [split_of(str(i), settings, held_out=False)[0] for i in range(8)] == list("ttvtttvt")


def test_equal_files_in_processes_of_any_hash_seed_give_equal_corpora(
    numbered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, whose seed is not the other's, and in another."""
    program = (
        "import sys; from textgan.data import open_corpus, DataConfig\n"
        "for kind in ('word', 'bpe'):\n"
        "    c = open_corpus(sys.argv[1], DataConfig(tokenizer=kind, vocab_size=400))\n"
        "    print(c.tokenizer.signature, c.train.tokens().tolist(), c.test.tokens().tolist())"
    )
    env = {
        **os.environ,
        "PYTHONHASHSEED": other_hash_seed(),
        "TEXTGAN_CACHE": str(tmp_path / "theirs"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", program, numbered]
    theirs = subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout
    monkeypatch.setenv("TEXTGAN_CACHE", str(tmp_path / "ours"))
    monkeypatch.setattr(sys, "argv", ["-c", numbered])
    exec(program, {})
    assert capsys.readouterr().out == theirs != ""


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_long_sentences_are_shortened_or_dropped(tmp_path: Path, kind: str) -> None:
    letters = "abcdefghij"
    texts = [f"{letters[i % 10]} {letters[i // 10 % 10]} {letters[i // 100]} x y" for i in range(300)]
    long = [text + " and very much more of it" for text in texts[:60]]
    path = write(tmp_path / "a.txt", texts + long)
    longest = max(len(text) if kind == "char" else len(text.split()) for text in texts)
    config = {"tokenizer": kind, "vocab_size": 300, "max_length": longest}
    shortened = open_corpus(path, DataConfig(**config))
    assert shortened.report.too_long == 60
    assert shortened.report.longest == longest
    dropped = open_corpus(path, DataConfig(**config, too_long="drop"))
    assert dropped.report.too_long == 60
    assert dropped.report.train + dropped.report.valid + dropped.report.test == 300
    if kind == "word":
        assert "much" not in {word for row in dropped.train.sentences() for word in row}


def test_held_out_data_is_split_and_freed_of_leaks(tmp_path: Path) -> None:
    train = [f"train {number(i)} ." for i in range(50)]
    held_out = [f"{number(i)}." for i in range(200)] + ["train No 0 0 7.", "train No 0 0 8 ."] + ["No 0 0 3 ."]
    config = DataConfig(held_out=write(tmp_path / "b.txt", held_out), vocab_size=1000)
    opened = open_corpus(write(tmp_path / "a.txt", train + [number(i) for i in range(200)]), config)
    assert opened.report.train == 250
    assert (opened.report.leaks, opened.report.held_out_duplicates) == (2, 1)
    assert opened.report.valid + opened.report.test == 200
    assert abs(opened.report.valid - opened.report.test) < 50
    assert not set(sentences(opened, "train")) & set(sentences(opened, "valid") + sentences(opened, "test"))


def test_sentences_that_unknown_words_make_equal_do_not_leak(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", [f"the colour {i} it is" for i in range(200)] + ["go on"] * 3)
    with pytest.raises(UserError, match=r"no sentence for split 'valid'.*[1-9]\d training sentences\)"):
        open_corpus(path, DataConfig(min_count=2))


@pytest.mark.parametrize("seed", range(10))
def test_held_out_sentences_are_admitted_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    training = np.sort(rng.integers(-20, 20, 12))
    rule, admitted = HeldOut(training), set()
    for size in (30, 0, 25):
        hashes, count, expected = rng.integers(-30, 30, size), Count(), Count()
        for key, is_admitted in zip(hashes.tolist(), rule.admits(hashes, count), strict=True):
            expected.leaks += key in training
            expected.duplicates += key in admitted and key not in training
            assert is_admitted == (key not in training and key not in admitted)
            admitted |= set() if key in training else {key}
        assert count == expected


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """But by the hash of each sentence; of a batch there is more, so that batches are small here."""
    monkeypatch.setattr(splits, "CHUNK", 50)
    rng = random.Random(0)
    peaks = []
    for size in (200, 300, 1_800):
        path = write(tmp_path / f"{size}.txt", [" ".join(rng.choices(ANIMALS, k=8)) for _ in range(size)])
        if size > 200:  # the first one imports
            tracemalloc.start()
        opened = open_corpus(path, DataConfig(tokenizer=kind, vocab_size=300))
        len(opened.train.hashes())
        Batches(opened.train, 0).next(64)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 1_500 * 16


def test_labels_stay_with_their_sentences(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"{number(i)},{i % 3}\n" for i in range(200)))
    opened = open_corpus(str(path))
    for name in NAMES:
        split = getattr(opened, name)
        for words, label in zip(split.sentences(), split.labels(), strict=True):
            assert int("".join(words[1:])) % 3 == int(label)


def test_only_the_first_sentences_are_read_if_asked(numbered: str) -> None:
    assert open_corpus(numbered, DataConfig(limit=120)).report.sentences == 120


def test_chinese_poems_become_characters(tmp_path: Path) -> None:
    poems = [
        f"秦 川 {a} {b} 宅 ， 函 谷 {c} 皇 居 。 " for a in "雄帝月花山" for b in "春夏秋冬日" for c in "壮大小高明"
    ]
    opened = open_corpus(f"poems:{write(tmp_path / 'poems.txt', poems)}")
    assert opened.config.tokenizer == "char"
    assert opened.spec.length == 13
    decoded = opened.tokenizer.detokenize(opened.train.tokens(1)[0].tolist())
    assert decoded.startswith("秦川")
    assert decoded.endswith("皇居。")


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(
    numbered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_corpus(numbered)
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "prepare", lambda *_: pytest.fail("prepared again"))
        assert open_corpus(numbered).report == first.report
    with Path(numbered).open("a") as file:
        file.write("one more .\n")
    assert open_corpus(numbered).report.sentences == 604


@pytest.mark.parametrize(
    ("texts", "config", "message"),
    [
        (["only one"], {}, r"no sentence for split '\w+': of 1 read there are"),
        (["", " "], {}, "of 2 read there are 0 to train, 0 to validate, 0 to test"),
        (["a b c", "d e f"], {"max_length": 2, "too_long": "drop"}, "nothing is left of 2 sentences: 2 are longer"),
        (["a"], {"max_length": 0}, "max_length 0: at least 1 is accepted"),
        (["a"], {"limit": -1}, "limit -1: at least 1 is accepted"),
        (["a"], {"valid": 0.0}, "valid 0.0: a fraction between 0 and 1"),
        (["a"], {"test": 1.5}, "test 1.5: a fraction between 0 and 1"),
        (["a"], {"valid": 0.5, "test": 0.5}, "leave nothing to train on"),
        (["a"], {"held_out": "nowhere.txt"}, "nowhere.txt does not exist"),
    ],
)
def test_what_cannot_be_split_is_refused_with_numbers(
    tmp_path: Path, texts: list[str], config: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_corpus(write(tmp_path / "a.txt", texts), DataConfig(**config))
    assert "\n" not in str(caught.value)


def test_the_user_comes_before_the_card_and_the_card_before_the_default() -> None:
    card = {"lower": True, "max_length": 20}
    assert resolve(DataConfig(), {}) == Settings()
    assert resolve(DataConfig(max_length=5), card) == Settings(lower=True, max_length=5)
    assert resolve(DataConfig(lower=False), card).lower is False
    assert resolve(DataConfig(tokenizer="bpe"), {}) == Settings("bpe", vocab_size=8000, min_count=2)
    assert resolve(Settings(max_length=7), {"max_length": 9}).max_length == 7


def test_a_corpus_that_is_not_what_its_card_says_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    card = cards.load_card("grammar")
    prepared = dict(card.prepared)
    corpus.check_prepared(card, prepared)
    assert not caplog.messages
    corpus.check_prepared(card, {**prepared, "sha256": "0" * 64})
    assert "corpus 'grammar' is not what its card describes" in caplog.messages[0]


def test_the_card_is_held_against_its_own_sentences_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card is the grammar's, of 500 sentences; the real one's are in `test_cards`."""
    card = yaml.safe_load((cards.card_folder() / "grammar.yaml").read_text(encoding="utf-8"))
    grammar = Grammar(card["read"]["rules"])
    texts = grammar.sample(500, seed=0)
    (tmp_path / "cards").mkdir()
    monkeypatch.setattr(cards, "card_folder", lambda: tmp_path / "cards")

    def write_card(said: list[str]) -> None:
        digest = hashlib.sha256("".join(f"{text}\n" for text in said).encode()).hexdigest()
        card.update(name="small", prepared={"sentences": len(said), "sha256": digest})
        card["read"].update(size=500, seed=0)
        (tmp_path / "cards" / "small.yaml").write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")

    write_card(texts)
    held_out = write(tmp_path / "a.txt", grammar.sample(100, seed=1))
    open_corpus("small", DataConfig(held_out=held_out))
    assert not caplog.messages
    write_card(texts[1:])
    open_corpus("small", DataConfig(held_out=held_out))
    assert "corpus 'small' is not what its card describes: 500 sentences" in caplog.messages[0]


def test_the_default_corpus_opens() -> None:
    opened = open_corpus("bbe", DataConfig(limit=2000))
    assert opened.report.longest == 20
    assert opened.config.lower is True
    assert opened.tokenizer.detokenize(opened.train.tokens(1)[0].tolist()).startswith("at the first god made")
