"""Tokenisers: cutting, marks, round trips, determinism."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import tokenizers
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from tests.hash_seeds import other_hash_seed
from textgan.data import segmentation
from textgan.data.corpus import open_corpus
from textgan.data.segmentation import Cutter, detokenize
from textgan.data.settings import DataConfig, make_tokenizer, resolve
from textgan.data.tokenizer import (
    EOS,
    MARKS,
    PAD,
    UNK,
    DecimalTokenizer,
    PretrainedTokenizer,
    Tokenizer,
    load_tokenizer,
)  # fmt: skip
from textgan.errors import UserError

CAPTIONS = [
    "a bicycle replica with a clock as the front wheel.",
    "a cat sits on the mat .",
    "Don't park the bicycle , please!",
    "the long-lasting 95,000 km ride ...",
]
ALPHABET = "ab Zé\u0301ß秦。，'’-.,:;<>/|_ 12\t\u3000\u200d👍🏽\x85\ufeff\x00नम्"


def random_texts(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(ALPHABET, k=rng.randrange(1, 30))) for _ in range(n)]


def test_spaces_before_punctuation_do_not_matter() -> None:
    cutter = Cutter("word", lower=False)
    assert cutter.words("the front wheel.") == cutter.words("the front wheel .") == ["the", "front", "wheel", "."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't they're O’Neil's", ["don't", "they're", "O’Neil's"]),
        ("once they ' re older", ["once", "they", "'", "re", "older"]),
        ("long-lasting -- well-known - x", ["long-lasting", "--", "well-known", "-", "x"]),
        ("$95,000 at 10:30, 3.5%.", ["$", "95,000", "at", "10:30", ",", "3.5", "%", "."]),
        ('"a" (b) dogs\' ...', ['"', "a", '"', "(", "b", ")", "dogs", "'", "..."]),
        ("e\u0301tude", ["étude"]),
        ("a\x00b\u3000c\ufeffd", ["a", "b", "c", "d"]),
        ("👍🏽ok", ["👍🏽", "ok"]),
        ("नमस्ते", ["नमस्ते"]),
        ("</s><pad>", ["<", "/", "s", ">", "<", "pad", ">"]),
    ],
)
def test_words_are_cut_as_documented(text: str, words: list[str]) -> None:
    assert Cutter("word", lower=False).words(text) == words


@pytest.mark.parametrize("lower", [False, True])
def test_cutting_words_is_idempotent(lower: bool) -> None:
    cutter = Cutter("word", lower)
    for text in random_texts(3000):
        words = cutter.words(text)
        assert cutter.words(" ".join(words)) == words


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("kind", ["word", "char"])
def test_words_are_those_of_the_library_however_many_are_remembered(
    kind: str, lower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "STRETCHES", 50)
    cutter = Cutter(kind, lower)
    for text in random_texts(3000, seed=4):
        normal = cutter.normalizer.normalize_str(text)
        assert cutter.words(text) == [word for word, _ in cutter.pre_tokenizer.pre_tokenize_str(normal)]


@pytest.mark.parametrize(("vocab_size", "min_count"), [(1000, None), (12, None), (1000, 3), (9, 2)])
@pytest.mark.parametrize("kind", ["word", "char"])
def test_vocabularies_and_ids_are_those_of_the_library(kind: str, vocab_size: int, min_count: int | None) -> None:
    texts = random_texts(300, seed=5)
    theirs = Cutter(kind, lower=True).attach(models.WordLevel({MARKS[UNK]: UNK}, unk_token=MARKS[UNK]))
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocab_size, min_frequency=min_count or 1, show_progress=False, special_tokens=list(MARKS)
    )
    theirs.train_from_iterator(texts, trainer)
    ours = Tokenizer.train(kind, texts, vocab_size, min_count, lower=True)
    found = theirs.get_vocab()
    assert [ours.strings([i])[0] for i in range(UNK, ours.size)] == sorted(found, key=found.__getitem__)[UNK:]
    more = random_texts(300, seed=6)
    assert ours.encode_batch(more) == [encoding.ids for encoding in theirs.encode_batch(more)]


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_normalising_is_idempotent(kind: str) -> None:
    cutter = Cutter(kind, lower=True)
    for text in random_texts(2000, seed=1):
        normal = cutter.normalize(text)
        assert cutter.normalize(normal) == normal


def test_white_space_beside_chinese_characters_is_dropped() -> None:
    cutter = Cutter("char", lower=False)
    assert cutter.words("秦 川 雄") == ["秦", "川", "雄"]
    assert cutter.words("秦 川 ，\u3000x  y 。 ") == ["秦", "川", "，", "x", " ", "y", "。"]


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_a_poem_or_caption_survives_the_round_trip(kind: str) -> None:
    texts = [*CAPTIONS, "秦 川 雄 帝 宅 ， 函 谷 壮 皇 居 。", "👍🏽 naïve “quotes” \\ tab"]
    tokenizer = Tokenizer.train(kind, texts)
    cutter = Cutter(kind, lower=False)
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        joined = " ".join(cutter.words(text)) if kind == "word" else cutter.normalize(text)
        assert tokenizer.decode([*ids, EOS, PAD, PAD]) == joined
        assert tokenizer.encode_batch([tokenizer.decode(ids)]) == [ids]


def test_bpe_gives_back_any_text_it_never_saw() -> None:
    tokenizer = Tokenizer.train("bpe", CAPTIONS, vocab_size=300)
    for text in random_texts(500, seed=2):
        (ids,) = tokenizer.encode_batch([text])
        assert UNK not in ids
        assert tokenizer.decode(ids) == tokenizer.normalize(text)


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_no_text_can_inject_a_mark(kind: str) -> None:
    hostile = ["<pad> </s> <s> <unk>", "<pad></s><s>", "x<pad>", "</s>"] * 50
    tokenizer = Tokenizer.train(kind, hostile, min_count=1)
    for ids in tokenizer.encode_batch(hostile):
        assert min(ids) >= len(MARKS)
    assert tokenizer.decode(tokenizer.encode_batch(["</s>x<pad>"])[0]).replace(" ", "") == "</s>x<pad>"


def test_the_vocabulary_is_the_most_frequent_words_with_ties_by_code_point() -> None:
    sentences = ["b a c", "b é z", "b a Z"]
    counts = Counter(" ".join(sentences).split())
    expected = [*MARKS, *sorted(counts, key=lambda word: (-counts[word], word))]
    tokenizer = Tokenizer.train("word", sentences)
    assert [tokenizer.strings([i]) for i in range(3, tokenizer.size)] == [[word] for word in expected[3:]]
    assert tokenizer.encode_batch(["a b nothing"]) == [[5, 4, UNK]]


def test_a_cap_and_a_least_count_make_unknown_words() -> None:
    capped = Tokenizer.train("word", ["a a a b b c"], vocab_size=6)
    assert capped.size == 6
    assert capped.encode_batch(["a b c"]) == [[4, 5, UNK]]
    assert Tokenizer.train("word", ["a a a b b c"], min_count=3).encode_batch(["a b c"]) == [[4, UNK, UNK]]
    assert capped.decode([4, UNK, EOS, 5]) == "a <unk>"


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("word", 4, "vocab_size 4 is too small for the word tokenizer: at least 5"),
        ("bpe", 259, "vocab_size 259 is too small for the bpe tokenizer: at least 260"),
    ],
)
def test_a_vocabulary_without_room_is_refused(kind: str, size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Tokenizer.train(kind, ["a"], vocab_size=size)
    with pytest.raises(UserError, match="min_count 0"):
        Tokenizer.train(kind, ["a"], min_count=0)


def test_marks_never_reach_text() -> None:
    tokenizer = Tokenizer.train("word", ["a b"])
    assert tokenizer.decode([1, 4, 0, 5, 2, 4]) == "a b"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("the front wheel .", "the front wheel."),
        ("once they ' re older , they don ' t !", "once they're older, they don't!"),
        ('he said , " go " .', 'he said, "go".'),
        ("a ( small ) dog [ x ]", "a (small) dog [x]"),
        ("the dogs ' bowl", "the dogs' bowl"),
        ("a ' quoted ' word", "a 'quoted' word"),
        ("it costs $ 5 , or 3 % ...", "it costs $5, or 3%..."),
        ("don't", "don't"),
        ("", ""),
    ],
)
def test_detokenised_words_read_as_prose(words: str, text: str) -> None:
    assert detokenize(words.split()) == text


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_a_saved_tokenizer_is_the_same(kind: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(kind, CAPTIONS, lower=True)
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.signature == tokenizer.signature
    assert loaded.encode_batch(CAPTIONS) == tokenizer.encode_batch(CAPTIONS)
    assert loaded.words("A Cat!") == tokenizer.words("A Cat!")


def test_decimal_words_are_ids(tmp_path: Path) -> None:
    tokenizer = DecimalTokenizer(100)
    assert tokenizer.encode_batch(["7 99 0"]) == [[7, 99, 0]]
    assert tokenizer.decode([7, 99, 0]) == tokenizer.detokenize([7, 99, 0]) == "7 99 0"
    tokenizer.save(tmp_path / "ids.json")
    assert load_tokenizer(tmp_path / "ids.json").signature == "ids.100"
    for word in ("100", "-1", "x", "²"):
        with pytest.raises(UserError, match="is not a token id: a whole number from 0 to 99"):
            tokenizer.encode_batch([word])
    with pytest.raises(UserError, match="is of kind 'ids'"):
        Tokenizer.load(tmp_path / "ids.json")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"kind": "poem"}', '{"kind": "word", "lower": false, "tokenizer": {}}', "\x00"],
)
def test_what_is_not_a_tokenizer_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(UserError, match="cannot be read"):
        load_tokenizer(path)
    path.write_text(text)
    with pytest.raises(UserError, match=r"is not a tokenizer file|is of kind 'poem'"):
        load_tokenizer(path)


def test_the_hash_seed_of_python_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, whose seed is not the other's, and in another."""
    program = (
        "import json; from textgan.data.tokenizer import Tokenizer\n"
        f"texts = {CAPTIONS!r} * 3\n"
        "print(json.dumps([Tokenizer.train(k, texts, vocab_size=300).signature for k in ('word', 'char', 'bpe')]))"
    )
    theirs = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": other_hash_seed(), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    exec(program, {})
    assert json.loads(capsys.readouterr().out) == json.loads(theirs)


def model_folder(folder: Path, kind: str) -> Path:
    """The tokenizer of a model: GPT-2's byte-level pieces, or pieces after T5's and Llama's mark of a word's start."""
    marks = ["<|start|>", "<|end|>"]
    if kind == "bytes":
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer: trainers.Trainer = trainers.BpeTrainer(
            vocab_size=320, special_tokens=marks, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
        )
    else:
        inner = tokenizers.Tokenizer(models.Unigram())
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        inner.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=[*marks, "<unk>"], unk_token="<unk>")
    trainer.show_progress = False
    inner.train_from_iterator(CAPTIONS * 5, trainer)
    inner.enable_truncation(3)
    inner.enable_padding(length=9, pad_id=1, pad_token="<|end|>")
    inner.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 0), ("<|end|>", 1)]
    )
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=marks[0], eos_token=marks[1])
    theirs.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
class TestPretrained:
    def test_ids_are_the_models_plus_four(self, kind: str, tmp_path: Path) -> None:
        folder = model_folder(tmp_path, kind)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        ours = PretrainedTokenizer.of_folder(folder)
        assert ours.size == len(theirs) + 4
        assert ours.kind == "hf"
        before = " " if kind == "bytes" else ""
        for text, ids in zip(CAPTIONS, ours.encode_batch(CAPTIONS), strict=True):
            plain = theirs(before + text, add_special_tokens=False, truncation=False, padding=False)["input_ids"]
            assert ids == [i + 4 for i in plain]
            assert ours.words(text) == ours.strings([*ids, EOS, PAD]) == theirs.convert_ids_to_tokens(plain)

    def test_sentences_in_a_row_are_cut_like_one_text(self, kind: str, tmp_path: Path) -> None:
        ours = PretrainedTokenizer.of_folder(model_folder(tmp_path, kind))
        first, second, both = ours.encode_batch(["a cat sits.", "the front wheel", "a cat sits. the front wheel"])
        assert first + second == both
        assert ours.decode([1, *first, *second, EOS, 7]) == "a cat sits. the front wheel"
        assert ours.decode(second) == ours.detokenize(second) == "the front wheel"
        assert ours.encode_batch([""]) == [[]]

    def test_text_never_is_a_special_token(self, kind: str, tmp_path: Path) -> None:
        ours = PretrainedTokenizer.of_folder(model_folder(tmp_path, kind))
        assert ours.specials == ({0, 1} if kind == "bytes" else {0, 1, 2})
        for ids in ours.encode_batch(["<|end|>", "a<|start|> <|end|> b", "</s> <unk> <pad>", "秦"]):
            assert not {0, 1, 2, *(special + 4 for special in ours.specials)}.intersection(ids)
        assert ours.names == {"begin": 0, "end": 1, "unknown": None if kind == "bytes" else 2}
        assert (UNK in ours.encode_batch(["秦"])[0]) == (kind == "pieces")

    def test_a_file_of_it_needs_no_folder(self, kind: str, tmp_path: Path) -> None:
        folder = model_folder(tmp_path / "model", kind)
        ours = PretrainedTokenizer.of_folder(folder, lower=True)
        ours.save(tmp_path / "tokenizer.json")
        for file in folder.iterdir():
            file.unlink()
        again = Tokenizer.load(tmp_path / "tokenizer.json")
        assert again.signature == ours.signature
        assert ours.signature.startswith(f"hf.lower.{ours.size}.")
        texts = [*CAPTIONS, *random_texts(200, seed=3)]
        rows = again.encode_batch(texts)
        assert rows == ours.encode_batch(texts)
        assert list(map(again.decode, rows)) == list(map(ours.decode, rows))
        assert again.decode(again.encode_batch(["A CAT  sits"])[0]) == "a cat sits"

    def test_the_settings_name_it(self, kind: str, tmp_path: Path) -> None:
        settings = resolve(DataConfig(tokenizer=f"hf:{model_folder(tmp_path, kind)}", vocab_size=10), {"lower": True})
        assert settings.cut == "bpe"
        found = make_tokenizer(settings, [])
        assert isinstance(found, PretrainedTokenizer)
        assert found.signature == PretrainedTokenizer.of_folder(tmp_path, lower=True).signature


CHAT = "{% for m in messages %}<|start|>{{ m.role }}: {{ m.content }}{% endfor %}{% if add_generation_prompt %}!<|end|>"
CHAT += "{% endif %}"


class TestChatTemplate:
    def folder(self, path: Path, template: str = CHAT) -> Path:
        folder = model_folder(path, "bytes")
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        theirs.chat_template = template
        theirs.save_pretrained(folder)
        return folder

    def test_a_prompt_is_what_transformers_makes_of_it(self, tmp_path: Path) -> None:
        """But for the begin mark, which a generator reads by itself; and what looks like a mark in it is text."""
        ours = PretrainedTokenizer.of_folder(self.folder(tmp_path), chat=True)
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
        for text in ["a cat sits.", "two\n  lines", "x"]:
            said = [{"role": "user", "content": text}]
            expected = theirs.apply_chat_template(said, add_generation_prompt=True, return_dict=True)["input_ids"]
            assert expected[0] == 0
            assert ours.encode_prompts([text]) == [[i + 4 for i in expected[1:]]]
            plain = theirs(text, add_special_tokens=False, truncation=False, padding=False)["input_ids"]
            assert ours.encode_batch([text]) == [[i + 4 for i in plain]]
        (row,) = ours.encode_prompts(["a <|end|> b"])
        assert row.count(1 + 4) == 1
        assert ours.encode_prompts([""]) == [[]]

    def test_a_long_prompt_is_cut_and_not_its_template(self, tmp_path: Path) -> None:
        ours = PretrainedTokenizer.of_folder(self.folder(tmp_path), chat=True)
        (row,) = ours.encode_prompts(["a cat sits."])
        before, after = len(ours.template.before), len(ours.template.after)
        short = ours.shortened(row, len(row) - 2)
        assert short == [*row[: -after - 2], *row[-after:]]
        assert ours.shortened(row, len(row)) == row
        assert ours.shortened(short, len(short)) == short
        with pytest.raises(UserError, match=rf"max_prompt 3: more are needed, .* template has {before + after} tokens"):
            ours.shortened(row, 3)

    def test_it_is_kept_in_the_file(self, tmp_path: Path) -> None:
        ours = PretrainedTokenizer.of_folder(self.folder(tmp_path / "model"), chat=True)
        ours.save(tmp_path / "tokenizer.json")
        again = Tokenizer.load(tmp_path / "tokenizer.json")
        assert again.encode_prompts(["a cat"]) == ours.encode_prompts(["a cat"])
        assert again.encode_batch(["a cat"]) == ours.encode_batch(["a cat"])

    def test_a_tokenizer_without_one_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="has no chat template, and chat_template is on: leave it out"):
            PretrainedTokenizer.of_folder(model_folder(tmp_path, "bytes"), chat=True)
        with pytest.raises(UserError, match="chat_template is on, and tokenizer 'word' has none: hf:PATH may have"):
            resolve(DataConfig(chat_template=True), {})
        twice = self.folder(tmp_path, CHAT.replace("{{ m.content }}", "{{ m.content * 2 }}"))
        with pytest.raises(UserError, match="has what the user says 2 times; once is accepted"):
            PretrainedTokenizer.of_folder(twice, chat=True)


def test_a_models_tokens_keep_lines_and_indents(tmp_path: Path) -> None:
    ours = PretrainedTokenizer.of_folder(model_folder(tmp_path, "bytes"))
    text = "def  f(x):\n    return  x\n\n\tdone  "
    kept = "def f(x):\n    return x\n\n\tdone"
    assert ours.normalize(text) == ours.normalize(kept) == kept
    assert ours.decode(ours.encode_batch([text])[0]) == kept


def test_bytes_of_any_text_come_back(tmp_path: Path) -> None:
    ours = PretrainedTokenizer.of_folder(model_folder(tmp_path, "bytes"))
    for text in random_texts(300, seed=4):
        assert ours.decode(ours.encode_batch([text])[0]) == ours.normalize(text)


def test_a_corpus_is_prepared_with_a_models_tokens(tmp_path: Path, corpus_file: Path) -> None:
    folder = model_folder(tmp_path / "model", "bytes")
    corpus = open_corpus(str(corpus_file), DataConfig(tokenizer=f"hf:{folder}", lower=True))
    ours = PretrainedTokenizer.of_folder(folder, lower=True)
    assert corpus.spec.vocab_size == ours.size
    sentences = set(corpus_file.read_text().splitlines())
    assert {ours.decode(row) for row in corpus.train.tokens().tolist()} <= sentences


def test_our_own_kinds_are_made_as_the_settings_say() -> None:
    found = make_tokenizer(resolve(DataConfig(tokenizer="char", vocab_size=9), {}), CAPTIONS)
    assert found.signature == Tokenizer.train("char", CAPTIONS, vocab_size=9).signature


@pytest.mark.parametrize("kind", ["words", "hf", "Word", ""])
def test_a_tokenizer_of_no_kind_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match=rf"^tokenizer '{kind}': word, char, bpe or hf:PATH is accepted$"):
        resolve(DataConfig(tokenizer=kind), {})


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        PretrainedTokenizer.of_folder(tmp_path / "nothing")
    with pytest.raises(UserError, match=f"^tokenizer hf:{tmp_path} "):
        PretrainedTokenizer.of_folder(tmp_path)
