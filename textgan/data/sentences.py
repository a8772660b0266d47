"""Where a sentence ends: rules for everyday English prose, typed by hand, well or carelessly punctuated.

A sentence ends at full stops, exclamation and question marks that white space follows, and at those of Chinese and
Japanese whatever follows, with the quotation marks that they close. It does not end there after a title or an initial
("Mr. Smith", "J. Smith"), inside a quotation, before "said Tom", or where the next word shows that it goes on.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TITLES = _words("mr mrs ms dr st prof rev gen sgt capt lt col mt gov sen hon pres messrs mme no vs fig")
"""Abbreviations that never end a sentence."""
_SHORT = _words("jr sr inc ltd co corp etc dept est approx ave blvd rd ft lb lbs oz hr hrs min mins sec")
"""Abbreviations that end one if a capital letter follows."""
_MONTHS = _words("jan feb aug sept oct nov dec mon tue tues wed thu thurs fri")
_STARTERS = _words("he she it they we i you his her their my the a an then but so and when after this that")
_SPEECH = "said|says|asked|asks|yelled|shouted|cried|screamed|replied|answered|exclaimed|whispered|called|told|thought"

_END = re.compile(r"[.!?…]+(?: [.!?…]+)*[\"'”’)\]]*(?=\s|$)|[。！？]+[」』”’）]*")
_WORD_BEFORE = re.compile(r"(?<![\w'’])[^\W\d_]+(?:\.[^\W\d_]+)*$")
_NAME_BEFORE = re.compile(r"(?:^|[A-Z][\w'’]*\.? )[A-Z]$")  # "J", "Tom J" and "J. K", but not "an A"
_SAYS = re.compile(rf"\s*(?:(?:{_SPEECH})\b|(?:\w+\s+){{1,2}}(?:{_SPEECH})\b)")
_NEXT_WORD = re.compile(r"\s*[\"'“‘(\[]*([^\W_]*)")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, with single spaces; what follows the last stop is a sentence too."""
    text = " ".join(text.split())
    lower = text == text.lower()  # then small letters say nothing
    balanced = text.count('"') % 2 == 0
    sentences = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if balanced and text.count('"', 0, end) % 2:
            if text[end : end + 2] != ' "' or text[end + 2 : end + 3] not in (" ", ""):
                continue
            end += 2  # text in tokens: the quotation is closed after a space
        if end > start and _ends(text[start : match.start()], match.group(), text[end:], lower):
            sentences.append(text[start:end].strip())
            start = end
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends(before: str, mark: str, after: str, lower: bool) -> bool:
    """Whether a sentence ends between `before` with its `mark` and `after`."""
    following = _NEXT_WORD.match(after)
    word = following.group(1) if following else ""
    if not after.strip() or mark[0] in "。！？":
        return True
    if not before.strip():
        return False
    small = word[:1].islower() and not lower
    if mark[-1] in "\"'”’" and (small or _SAYS.match(after)):
        return False
    if mark != ".":
        return not small
    found = _WORD_BEFORE.search(before)
    short = found.group().lower() if found else ""
    starts = not small and word.lower() in _STARTERS
    if short in _TITLES:
        # "no" is an answer as well as a number.
        return short == "no" and not word[:1].isdigit()
    if len(short) == 1 and short != "i" and (lower or _NAME_BEFORE.search(before)):
        return starts
    if short in _MONTHS or ("." in short and short not in ("a.m", "p.m")):
        return starts
    if "." in short or short in _SHORT:
        return not small and not word[:1].isdigit()
    return True
