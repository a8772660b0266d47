"""Where a token begins and ends, before there is a vocabulary; and how words are written as prose again.

Text is brought to Unicode NFC; control characters and runs of white space become one space. A word is a run of
letters, marks and digits, joined by inner apostrophes and hyphens (``don't``, ``long-lasting``) or, between digits, by
``.`` ``,`` ``:`` (``95,000``); dots and dashes in a row are one word, any other character is one. White space does not
matter otherwise: "front wheel." and "front wheel ." are the same words, and cutting is idempotent. Text that was split
harder stays so: the news corpus's "they ' re" is three words, as in the published results on it; `detokenize` writes
"they're". Characters are code points; the white space beside Chinese and Japanese ones is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers

Kind = Literal["word", "char", "bpe"]

_LETTER = r"[\p{L}\p{M}\p{N}_]"
_WORD = (
    rf"{_LETTER}+(?:(?:['’\-]|(?<=\p{{N}})[.,:](?=\p{{N}})){_LETTER}+)*"
    r"|\.{2,}|-{2,}"
    r"|\S(?:[\p{M}\x{1F3FB}-\x{1F3FF}]|\x{200D}\S)*"  # an emoji keeps its modifiers
)
_BLANK = r"[\s\p{Cc}\x{FEFF}]+"
STRETCHES = 2**16
"""Stretches of text without white space whose words are remembered at once."""
_CJK = r"[\p{Han}\p{Hiragana}\p{Katakana}\x{3001}-\x{303F}\x{FF01}-\x{FFEF}]"


class Cutter:
    """The rules of one kind of token. For BPE they give the stretches that no piece may cross."""

    def __init__(self, kind: Kind, lower: bool) -> None:
        steps: list[normalizers.Normalizer] = [normalizers.Lowercase()] if lower else []
        steps += [normalizers.NFC(), normalizers.Replace(Regex(_BLANK), " "), normalizers.Strip()]
        if kind == "char":
            steps.append(normalizers.Replace(Regex(rf"(?<={_CJK}) | (?={_CJK})"), ""))
        self.normalizer = normalizers.Sequence(steps)
        self.pre_tokenizer: pre_tokenizers.PreTokenizer
        if kind == "word":
            self.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True)
        elif kind == "char":
            self.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
        else:
            # With "<" alone no piece can be "</s>".
            pieces = [pre_tokenizers.Split("<", "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            self.pre_tokenizer = pre_tokenizers.Sequence(pieces)
        self._kind = kind
        self._words: dict[str, list[str]] = {}  # of stretches: as no word goes beyond white space, each by itself

    def normalize(self, text: str) -> str:
        """The text that is cut: NFC, single spaces, lower case if asked."""
        return self.normalizer.normalize_str(text)

    def words(self, text: str) -> list[str]:
        """The strings that a text is cut into. Stretches between white space are cut once and then remembered."""
        if self._kind != "word":
            return self.cut(self.normalize(text))
        words = []
        for stretch in text.split():
            known = self._words.get(stretch)
            if known is None:
                if len(self._words) == STRETCHES:
                    self._words.clear()
                known = self._words[stretch] = self.cut(self.normalize(stretch))
            words += known
        return words

    def cut(self, normal: str) -> list[str]:
        """The same for a text in normal form."""
        if self._kind == "char":
            return list(normal)
        return [word for word, _ in self.pre_tokenizer.pre_tokenize_str(normal)]

    def attach(self, model: models.Model) -> tokenizers.Tokenizer:
        """A tokenizer of the library that follows these rules."""
        inner = tokenizers.Tokenizer(model)
        inner.normalizer = self.normalizer
        inner.pre_tokenizer = self.pre_tokenizer
        return inner


_NO_SPACE_BEFORE = frozenset({*",.;:!?%)]}…”»", "..."})
_NO_SPACE_AFTER = frozenset("([{“«$£€#¿¡")
_CONTRACTIONS = frozenset({*"stdm", "re", "ve", "ll"})


def detokenize(words: Sequence[str]) -> str:
    """Words as a person would write them: no space before a full stop, quotes closed up, "don ' t" joined."""
    text = ""
    joined = True  # the next word follows without a space
    quoted = dict.fromkeys("\"'", False)
    for i, word in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else ""
        opens = False
        if word == "'" and not joined and after.lower() in _CONTRACTIONS and words[i - 1][-1].isalpha():
            opens, joined = True, True
        elif word in quoted:
            # A single quote that nothing closes is an apostrophe: the dogs' bowl.
            opens = not quoted[word] and (word == '"' or "'" in words[i + 1 :])
            joined = joined or not opens
            quoted[word] = opens
        text += word if joined or word in _NO_SPACE_BEFORE else " " + word
        joined = opens or word in _NO_SPACE_AFTER
    return text
