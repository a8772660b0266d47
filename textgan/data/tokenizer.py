"""Text to token ids and back: words, characters, byte-level BPE pieces, or the tokens of a `transformers` model.

Ids 0 to 3 are the marks ``<pad> <s> </s> <unk>``. No text can produce one by containing its name: in the first three
kinds ``<`` is a token of its own, so that ``</s>`` in a corpus is harmless; of the last one the special tokens are not
looked for. How text is cut is told in `textgan.data.segmentation`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from textgan.data.chat import ChatTemplate, chat_template
from textgan.data.segmentation import Cutter, Kind, detokenize
from textgan.errors import UserError

MARKS = ("<pad>", "<s>", "</s>", "<unk>")
PAD, BOS, EOS, UNK = range(4)
DEFAULT_VOCAB_SIZE: dict[Kind, int] = {"word": 20_000, "char": 20_000, "bpe": 8_000}
PRETRAINED = "hf:"
"""What comes before the folder of a tokenizer that is not ours."""
BYTES = 256


class Tokenizer:
    """A vocabulary and the rules that cut text into it. Made by `train` or `load`."""

    def __init__(self, kind: Kind, lower: bool, inner: tokenizers.Tokenizer) -> None:
        vocabulary = inner.get_vocab(with_added_tokens=False)
        self.kind: str = kind
        self.lower = lower
        self._inner = inner
        self._cutter = Cutter(kind, lower)
        self._strings = sorted(vocabulary, key=vocabulary.__getitem__)
        self._id_of = vocabulary
        if tuple(self._strings[: len(MARKS)]) != MARKS:
            raise ValueError(f"the first tokens are {self._strings[: len(MARKS)]}, not {MARKS}")

    @staticmethod
    def train(
        kind: Kind,
        sentences: Iterable[str],
        vocab_size: int | None = None,
        min_count: int | None = None,
        lower: bool = False,
    ) -> Tokenizer:
        """The tokenizer of a corpus: its most frequent tokens, ties in the order of code points.

        `vocab_size` counts the four marks (None: 20,000; BPE 8,000). Tokens seen fewer than `min_count` times become
        ``<unk>`` (None: 1; for BPE it is the count that a merge needs, 2). BPE starts from the 256 bytes and so has
        no unknowns. Memory grows with the different words alone. Raises UserError when `vocab_size` leaves no room for
        tokens or `min_count` is below 1.
        """
        vocab_size = DEFAULT_VOCAB_SIZE[kind] if vocab_size is None else vocab_size
        least = len(MARKS) + (BYTES if kind == "bpe" else 1)
        if vocab_size < least:
            raise UserError(f"vocab_size {vocab_size} is too small for the {kind} tokenizer: at least {least}")
        if min_count is not None and min_count < 1:
            raise UserError(f"min_count {min_count}: at least 1 is accepted")
        cutter = Cutter(kind, lower)
        if kind != "bpe":
            counts = Counter(chain.from_iterable(map(cutter.words, sentences)))
            found = [word for word, count in counts.items() if count >= (min_count or 1)]
            kept = sorted(found, key=lambda word: (-counts[word], word))[: vocab_size - len(MARKS)]
            ids = {word: i for i, word in enumerate([*MARKS, *kept])}
            return Tokenizer(kind, lower, cutter.attach(models.WordLevel(ids, unk_token=MARKS[UNK])))
        inner = cutter.attach(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_count or 2,
            special_tokens=list(MARKS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator(sentences, trainer)
        # The trainer also registers the marks as strings to look for in text. Without that no text can be a mark.
        state = json.loads(inner.to_str())
        state["added_tokens"] = []
        return Tokenizer(kind, lower, tokenizers.Tokenizer.from_str(json.dumps(state)))

    @property
    def size(self) -> int:
        """V: number of token ids, marks included."""
        return len(self._strings)

    @property
    def signature(self) -> str:
        """Kind, case, size and eight hexadecimal digits of the vocabulary: ``"word.lower.4744.0c1d2e3f"``."""
        digest = hashlib.sha256("\n".join(self._strings).encode()).hexdigest()[:8]
        return f"{self.kind}.{'lower' if self.lower else 'cased'}.{self.size}.{digest}"

    def normalize(self, text: str) -> str:
        """The text that is cut: NFC, single spaces, lower case if asked."""
        return self._cutter.normalize(text)

    def words(self, text: str) -> list[str]:
        """The token strings of a text; words and characters before the vocabulary is applied, so never ``<unk>``."""
        return self._inner.encode(text).tokens if self.kind == "bpe" else self._cutter.words(text)

    def strings(self, ids: Iterable[int]) -> list[str]:
        """The token strings of ids up to the end mark, without padding and begin marks, with ``<unk>``."""
        strings = []
        for i in ids:
            if i == EOS:
                break
            if i not in (PAD, BOS):
                strings.append(self._strings[i])
        return strings

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """The token ids of each text. No marks are added."""
        if self.kind == "bpe":
            return [encoding.ids for encoding in self._inner.encode_batch_fast(texts)]
        find = self._id_of.get  # the same as the library's, which would cut every text anew
        return [[find(word, UNK) for word in self._cutter.words(text)] for text in texts]

    def encode_prompts(self, texts: list[str]) -> list[list[int]]:
        """The same of texts that are continued, with what belongs around them."""
        return self.encode_batch(texts)

    def shortened(self, prompt: list[int], most: int) -> list[int]:
        """A row of `encode_prompts` with at most so many tokens: the end of its text is cut off."""
        return prompt[:most]

    def as_transformers(self) -> Any:
        """A tokenizer of transformers with the same ids, which writes the end mark nowhere."""
        from transformers import PreTrainedTokenizerFast  # takes seconds

        inner = tokenizers.Tokenizer.from_str(self._inner.to_str())
        inner.decoder = {"bpe": decoders.ByteLevel(), "char": decoders.Fuse()}.get(self.kind)
        pad, bos, eos, unk = MARKS
        return PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token=pad, bos_token=bos, eos_token=eos, unk_token=unk
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Text up to the end mark: words joined by single spaces, characters and pieces by nothing."""
        strings = self.strings(ids)
        if self.kind == "bpe":
            return str(decoders.ByteLevel().decode(strings))
        return (" " if self.kind == "word" else "").join(strings)

    def detokenize(self, ids: Iterable[int]) -> str:
        """Text for people: words get the spaces of prose, "wheel." and not "wheel .". Else the same as `decode`."""
        return detokenize(self.strings(ids)) if self.kind == "word" else self.decode(ids)

    def save(self, path: Path) -> None:
        """Writes one JSON file, which `load` and `load_tokenizer` read."""
        state = {"kind": self.kind, "lower": self.lower, "tokenizer": json.loads(self._inner.to_str())}
        path.write_text(json.dumps(state, ensure_ascii=False) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Tokenizer:
        """Reads what `save` wrote. Raises UserError for anything else."""
        tokenizer = load_tokenizer(path)
        if not isinstance(tokenizer, Tokenizer):
            raise UserError(f"tokenizer {path} is of kind {tokenizer.kind!r}: word, char, bpe or hf is accepted")
        return tokenizer


class PretrainedTokenizer(Tokenizer):
    """The tokenizer of a `transformers` model: the model's id m is our id m + 4, our four marks come first.

    Text never becomes one of the model's special tokens: one that the model's rules make of it is ``<unk>``, and left
    out where the model has no unknown token. In tokenizers for which a word is another token after a space, every text
    is cut as if a space came before it, so that the tokens of sentences in a row are those of the text; but not where
    prompts are put into a chat template. Lines stay lines, and keep their indents.
    """

    def __init__(
        self,
        lower: bool,
        inner: tokenizers.Tokenizer,
        specials: Iterable[int],
        names: Mapping[str, int | None],
        template: ChatTemplate | None = None,
    ) -> None:
        vocabulary = inner.get_vocab(with_added_tokens=True)
        self.kind = "hf"
        self.lower = lower
        self.specials = frozenset(specials)
        """The model's ids of its special tokens."""
        self.names = dict(names)
        """The model's ids of ``begin``, ``end`` and ``unknown``; None where it has no such token."""
        self._inner = inner
        inner.no_truncation()
        inner.no_padding()
        inner.encode_special_tokens = True  # a special token's name in a text is text
        self._cutter = Cutter("bpe", lower)
        self._strings = [*MARKS, *[MARKS[UNK]] * (max(vocabulary.values()) + 1)]
        for string, i in vocabulary.items():
            self._strings[i + len(MARKS)] = string
        self.template = template
        self._before = ""
        first, second, both = (self._encode([text], "")[0].ids for text in ("a", "b", "a b"))
        if both != first + second and template is None:
            self._before = " "

    @staticmethod
    def of_folder(folder: Path, lower: bool = False, chat: bool = False) -> PretrainedTokenizer:
        """The tokenizer of a local model folder; with `chat`, prompts are put into its chat template.

        Raises UserError if there is none that `tokenizers` can run, or no chat template where one is asked for.
        """
        if not folder.is_dir():
            raise UserError(f"tokenizer {PRETRAINED}{folder}: there is no such folder; a local one is accepted")
        from transformers import AutoTokenizer  # takes seconds

        try:
            theirs = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:  # whatever the files make it raise
            reason = " ".join(str(error).split())
            raise UserError(f"tokenizer {PRETRAINED}{folder} cannot be read: {reason}") from error
        inner = getattr(theirs, "backend_tokenizer", None)
        if inner is None or not inner.get_vocab_size():
            raise UserError(f"tokenizer {PRETRAINED}{folder} has no tokenizer.json, which is what is accepted")
        rules = json.loads(inner.to_str())
        # What the rules really write for an unknown word: byte-level ones have none, whatever their settings name.
        unknown = rules["model"].get("unk_id", inner.token_to_id(rules["model"].get("unk_token") or ""))
        names = {"begin": theirs.bos_token_id, "end": theirs.eos_token_id, "unknown": unknown}
        specials = {*theirs.all_special_ids, *(token["id"] for token in rules["added_tokens"] if token["special"])}
        template = chat_template(theirs, f"{PRETRAINED}{folder}") if chat else None
        return PretrainedTokenizer(lower, tokenizers.Tokenizer.from_str(json.dumps(rules)), specials, names, template)

    @property
    def cuts_after_a_space(self) -> bool:
        """Whether a text is cut as if a space came before it."""
        return bool(self._before)

    def normalize(self, text: str) -> str:
        """The text that is cut: NFC, single spaces in a line but for its indent, lower case if asked."""
        lines = text.split("\n")
        indents = (line[: len(line) - len(line.lstrip(" \t"))] for line in lines)
        return "\n".join(map(str.__add__, indents, map(self._cutter.normalize, lines))).strip()

    def words(self, text: str) -> list[str]:
        """The token strings of a text, as the model has them."""
        return [self._strings[m + len(MARKS)] for m in self._encode([text], self._before)[0].ids]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """The token ids of each text. No marks are added."""
        return self._ids(texts, self._before)

    def encode_prompts(self, texts: list[str]) -> list[list[int]]:
        """The token ids of each text, in the chat template if there is one; nothing around an empty text."""
        if self.template is None:
            return self.encode_batch(texts)
        before, after = ([m + len(MARKS) for m in part] for part in self.template[:2])
        return [row and [*before, *row, *after] for row in self._ids(texts, self.template.space)]

    def shortened(self, prompt: list[int], most: int) -> list[int]:
        """A row of `encode_prompts` with at most so many tokens: the end of its text is cut off, not the template.

        Raises UserError where the template alone has as many.
        """
        if self.template is None or len(prompt) <= most:
            return prompt[:most]
        after = len(self.template.after)
        if len(self.template.before) + after >= most:
            raise UserError(
                f"max_prompt {most}: more are needed, the chat template has {len(self.template.before) + after} tokens"
            )
        return [*prompt[: most - after], *prompt[-after:]] if after else prompt[:most]

    def decode(self, ids: Iterable[int]) -> str:
        """Text up to the end mark, without white space around it."""
        theirs = []
        for i in ids:
            if i == EOS:
                break
            if i >= len(MARKS):
                theirs.append(i - len(MARKS))
            elif i == UNK and self.names["unknown"] is not None:
                theirs.append(self.names["unknown"])
        return str(self._inner.decode(theirs, skip_special_tokens=False)).strip()

    detokenize = decode

    def save(self, path: Path) -> None:
        """Writes one JSON file, which `load_tokenizer` reads; the model's folder is not needed any more."""
        state = {
            "kind": self.kind, "lower": self.lower, "specials": sorted(self.specials), "names": self.names,
            "template": self.template, "tokenizer": json.loads(self._inner.to_str()),
        }  # fmt: skip
        path.write_text(json.dumps(state, ensure_ascii=False) + "\n", encoding="utf-8")

    def _ids(self, texts: list[str], before: str) -> list[list[int]]:
        encodings = self._encode(texts, before)
        return [[i for m in encoding.ids if (i := self._id(m)) is not None] for encoding in encodings]

    def _encode(self, texts: list[str], before: str) -> list[tokenizers.Encoding]:
        whole = [text and before + text for text in map(self.normalize, texts)]
        return self._inner.encode_batch_fast(whole, add_special_tokens=False)

    def _id(self, theirs: int) -> int | None:
        if theirs not in self.specials:
            return theirs + len(MARKS)
        return None if self.names["unknown"] is None else UNK


class DecimalTokenizer:
    """Token ids written as decimal words ("17 4 801"), for data that never was text (the oracle)."""

    kind = "ids"

    def __init__(self, vocab_size: int) -> None:
        self.size = vocab_size

    @property
    def signature(self) -> str:
        """Kind and size: ``"ids.5000"``."""
        return f"{self.kind}.{self.size}"

    def words(self, text: str) -> list[str]:
        """The words of a text, whether they are ids or not."""
        return text.split()

    def strings(self, ids: Iterable[int]) -> list[str]:
        """Each id as a decimal string."""
        return [str(int(i)) for i in ids]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """The ids in each text. Raises UserError for a word that is not an id below `size`."""
        return [[self._id(word) for word in self.words(text)] for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The ids, joined by spaces."""
        return " ".join(self.strings(ids))

    detokenize = decode

    def save(self, path: Path) -> None:
        """Writes one JSON file, which `load_tokenizer` reads."""
        path.write_text(json.dumps({"kind": self.kind, "size": self.size}) + "\n", encoding="utf-8")

    def _id(self, word: str) -> int:
        if not (word.isascii() and word.isdigit() and int(word) < self.size):
            raise UserError(f"{word!r} is not a token id: a whole number from 0 to {self.size - 1} is accepted")
        return int(word)


class Tokenized:
    """A corpus of tokens."""

    tokenizer: Tokenizer | DecimalTokenizer

    @property
    def signature(self) -> str:
        """What the numbers of an example stand for: networks of corpora with the same one can be exchanged."""
        return self.tokenizer.signature

    def save(self, folder: Path) -> None:
        """Write what a model must have beside its weights: ``tokenizer.json``."""
        self.tokenizer.save(folder / "tokenizer.json")


def load_tokenizer(path: Path) -> Tokenizer | DecimalTokenizer:
    """Reads a tokenizer of any kind. Raises UserError when the file is missing or not a tokenizer."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        kind = state["kind"]
        if kind == DecimalTokenizer.kind:
            return DecimalTokenizer(int(state["size"]))
        if kind not in (*DEFAULT_VOCAB_SIZE, "hf"):
            raise UserError(f"tokenizer {path} is of kind {kind!r}: word, char, bpe, hf or ids is accepted")
        inner = tokenizers.Tokenizer.from_str(json.dumps(state["tokenizer"]))
        if kind == "hf":
            template = ChatTemplate(*state["template"]) if state.get("template") else None
            return PretrainedTokenizer(state["lower"], inner, state["specials"], state["names"], template)
        return Tokenizer(kind, state["lower"], inner)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"tokenizer {path} cannot be read: {error.strerror}") from error
    except Exception as error:  # the library raises plain Exception for a broken description
        raise UserError(f"{path} is not a tokenizer file: {type(error).__name__}: {error}") from error
