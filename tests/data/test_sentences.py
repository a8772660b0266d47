"""Where sentences end."""

from __future__ import annotations

import pytest

from textgan.data.sentences import split_sentences


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith met Dr. Jones on St. Mark Street.|They talked.",
        "The rope was 3.5 feet long.|It cost $4.99.|Tom paid.",
        "What!?|He could not believe it!!!|Really?|No",
        "She waited... and waited.|Then...|He came…|They left",
        'He yelled "Stop!" and ran.|"I am sad. I must go," she said.|She left.',
        '"Where are you?" Tom asked.|"Here!"|She laughed.',
        '"Go!" his mother said.|He went.',
        "“Stop!” he cried.|They stopped.",
        "He got up at 5 a.m. on Monday.|He left at 6 p.m.|Nobody saw him.",
        "J. K. Rowling lives in the U.K. and the U.S. Army does not.|It was I.|Then they left the U.S.|They stayed.",
        "tom ran fast.|he fell!|did he cry?|he did not",
        "Tom ran fast.|he fell.|then he cried.",
        "tom ran fast .|he fell ! !|mr. smith helped .|he smiled .",
        'he said " stop . "|then he left .|we stayed .',
        "I asked for help.|He said no.|I left with vitamin C.|He stayed.",
        "Sara wanted an A.|Sara studied for three year's.|Tom J. Smith ran a 5K.|Ed won.",
        "No. 5 was taken.|(She took it.)|He wept.",
        "Tom lost the key of his house",
        "他走了。她哭了！|他们呢？「好。」|完",
        "He bought apples, pears, etc. at the market.|He worked for Acme Inc.|It paid well.",
        "It was 2005.|In 2006.|3 cats came.",
        'The end of the quote is lost: "he ran.|She sat.',
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str) -> None:
    if "。" in text:
        assert split_sentences(text.replace("|", "")) == ["他走了。", "她哭了！", "他们呢？", "「好。」", "完"]
        return
    assert split_sentences(text.replace("|", " ")) == text.split("|")
