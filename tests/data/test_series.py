"""Series: windows that keep to their split, growth rates, gaps, standardisation, the artist's formula, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from textgan.data.series import SeriesConfig, artist_curves, open_series, table
from textgan.errors import UserError

RAW = {"standardise": False, "window": 3}


def written(folder: Path, text: str) -> str:
    path = folder / "numbers.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def counting(folder: Path, rows: int = 20, columns: int = 1) -> str:
    """0, 1, 2, ... in the first column, 100, 101, ... in the second."""
    names = ",".join(f"c{i}" for i in range(columns))
    lines = [",".join(str(100 * i + row) for i in range(columns)) for row in range(rows)]
    return written(folder, "\n".join([names, *lines]))


def windows(split: object) -> list[list[float]]:
    return split.windows()[:, :, 0].tolist()


def test_splits_follow_in_time_and_no_window_reaches_into_another(tmp_path: Path) -> None:
    corpus = open_series(counting(tmp_path), SeriesConfig(**RAW, valid=0.25, test=0.25))
    parts = {"train": range(10), "valid": range(10, 15), "test": range(15, 20)}
    for name, numbers in parts.items():
        first, *_, last = numbers
        assert windows(getattr(corpus, name)) == [[n, n + 1, n + 2] for n in range(first, last - 1)], name
    assert (corpus.spec.length, corpus.spec.channels, corpus.spec.train_size) == (3, 1, 8)
    assert corpus.signature == "series.3x1"


def test_each_column_is_split_by_itself_unless_all_are_channels_of_one_series(tmp_path: Path) -> None:
    file = counting(tmp_path, columns=2)
    apart = open_series(file, SeriesConfig(**RAW, valid=0.25, test=0.25))
    assert apart.report.series == 2
    assert windows(apart.test) == [[n, n + 1, n + 2] for n in (15, 16, 17, 115, 116, 117)]
    whole = open_series(file, SeriesConfig(**RAW, valid=0.25, test=0.25, together=True))
    assert (whole.report.series, whole.spec.channels) == (1, 2)
    assert whole.test.windows()[0].tolist() == [[15, 115], [16, 116], [17, 117]]


def test_stride_is_from_window_to_window_and_a_limit_spaces_them_evenly(tmp_path: Path) -> None:
    file = counting(tmp_path, 40)
    by_four = open_series(file, SeriesConfig(**RAW, stride=4, valid=0.2, test=0.2))
    assert [window[0] for window in windows(by_four.train)] == [0, 4, 8, 12, 16, 20]
    few = open_series(file, SeriesConfig(**RAW, limit=4, valid=0.2, test=0.2))
    assert [window[0] for window in windows(few.train)] == [0, 5, 11, 16]
    assert few.train.windows(2)[:, 0, 0].tolist() == [0, 11]
    assert few.train.take(torch.tensor([3, 0]))[:, 0, 0].tolist() == [16, 0]


def test_returns_are_differences_of_logarithms_and_columns_that_touch_zero_have_none(tmp_path: Path) -> None:
    prices = [1.0, 2.0, 1.0, 4.0, 4.0, 2.0, 3.0, 6.0, 5.0, 7.0, 1.0, 2.0, 8.0]
    rows = "\n".join(f"{p},{i}" for i, p in enumerate(prices))
    file = written(tmp_path, f"price,zero\n{rows}\n")
    corpus = open_series(file, SeriesConfig(window=2, standardise=False, returns=True, valid=0.25, test=0.25))
    expected = np.log(prices[1:]) - np.log(prices[:-1])
    assert corpus.report.series == 1
    found = [w for split in (corpus.train, corpus.valid, corpus.test) for w in windows(split)]
    pairs = [(i, i + 1) for part in (range(6), range(6, 9), range(9, 12)) for i in part if i + 1 in part]
    np.testing.assert_allclose(found, expected[pairs], rtol=1e-5)


def test_a_gap_cuts_a_series_and_no_window_has_it_inside(tmp_path: Path) -> None:
    cells = [str(i) for i in range(40)]
    cells[20] = "n/a"
    file = written(tmp_path, "a,b\n" + "\n".join(f"{cell},{100 + i}" for i, cell in enumerate(cells)))
    apart = open_series(file, SeriesConfig(**RAW, valid=0.2, test=0.2))
    assert apart.report.series == 3
    firsts = [w for split in (apart.train, apart.valid, apart.test) for w in windows(split)]
    assert all(w == [w[0], w[0] + 1, w[0] + 2] for w in firsts)
    assert not any(20 in w for w in firsts)
    assert any(120 in w for w in firsts)
    whole = open_series(file, SeriesConfig(**RAW, valid=0.2, test=0.2, together=True))
    assert whole.report.series == 2
    assert not any(120 in w for w in whole.train.windows()[:, :, 1].tolist())


def test_a_table_is_numbers_with_what_is_missing_and_no_empty_rows(tmp_path: Path) -> None:
    text = "\ufeffday,a,b,note\n1 May,1,,x\n# a remark\n2 May,,,\n\n3 May,2.5,inf,y\n4 May,nan,4\n"
    found = table(Path(written(tmp_path, text)))
    np.testing.assert_array_equal(found, [[1, np.nan], [2.5, np.nan], [np.nan, 4]])
    np.testing.assert_array_equal(table(tmp_path / "numbers.csv", ["b"]), [[np.nan], [np.nan], [4]])


def test_every_split_is_standardised_by_the_training_part_channel_by_channel(tmp_path: Path) -> None:
    """A training part of mean 4 and of mean 40; the test part has other means and keeps them."""
    rows = [(3 + 2 * (i % 2), 20 + 40 * (i % 2)) for i in range(20)] + [(9, 60)] * 20
    file = written(tmp_path, "a,b\n" + "\n".join(f"{a},{b}" for a, b in rows))
    whole = open_series(file, SeriesConfig(window=2, together=True, valid=0.25, test=0.25))
    train = whole.train.windows()
    torch.testing.assert_close(train[::2].mean((0, 1)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(train.abs(), torch.ones_like(train))
    assert whole.test.windows()[0].tolist() == [[5, 1], [5, 1]]


def test_a_channel_that_never_moves_is_left_at_zero(tmp_path: Path) -> None:
    file = written(tmp_path, "a\n" + "7\n" * 30)
    assert windows(open_series(file, SeriesConfig(window=3)).train)[0] == [0, 0, 0]


def test_curves_are_parabolas_of_the_artists_formula() -> None:
    corpus = open_series("curves", SeriesConfig(limit=200))
    train = corpus.train.windows()[:, :, 0]
    assert train.shape == (200, 15)
    a = train[:, 7] + 1  # the middle is x = 0, where y = a - 1
    assert 1 <= a.min() < 1.05
    assert 1.95 < a.max() <= 2
    for i, x in enumerate(np.linspace(-1, 1, 15)):
        torch.testing.assert_close(train[:, i], a * x**2 + a - 1, atol=1e-5, rtol=1e-5)
    assert not set(a.tolist()) & set((corpus.test.windows()[:, 7, 0] + 1).tolist())
    assert open_series("curves", SeriesConfig(window=9)).spec.length == 9
    assert not torch.equal(artist_curves(5, 0), artist_curves(5, 1))


def test_shares_are_monthly_growth_rates_in_windows_of_two_years() -> None:
    corpus = open_series("stocks", SeriesConfig())
    assert (corpus.spec.length, corpus.spec.channels, corpus.report.series) == (24, 1, 10)
    assert corpus.config.returns
    train = corpus.train.windows()
    assert train.mean().abs() < 0.05
    assert train.std().item() == pytest.approx(1, abs=0.05)
    assert "2,089 to train, 119 to validate, 443 to test" in corpus.report.lines()[2]
    assert corpus.report.as_dict()["test"] == len(corpus.test)


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        ("a,b\n1,2\n" * 9, {"window": 9}, r"no window for split 'train'.*data.window 9"),
        ("a,b\n" + "1,2\n" * 20, {"window": 5}, r"no window for split 'valid'.*larger fractions"),
        ("a,b\nx,y\n", {}, r"has no column of numbers"),
        ("a\n" + "-1\n" * 20, {"returns": True}, r"no series of numbers above 0, which data.returns needs"),
        ("a\n" + "1\n" * 20, {"valid": 0.5, "test": 0.5}, r"data.valid 0.5 and data.test 0.5 leave nothing"),
        ("# nothing\n", {}, r"has no column of numbers"),
    ],
)
def test_what_gives_no_windows_is_told(tmp_path: Path, text: str, config: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_series(written(tmp_path, text), SeriesConfig(**config))


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"numbers.csv has no column 'c'; it has: a, b"):
        table(Path(written(tmp_path, "a,b\n1,2\n")), ["c"])
    with pytest.raises(UserError, match=r"unknown corpus 'stock': did you mean 'stocks'"):
        open_series("stock", SeriesConfig())
    with pytest.raises(UserError, match=r"corpus 'digits' has no series"):
        open_series("digits", SeriesConfig())
    with pytest.raises(UserError, match=r"none.csv does not exist"):
        open_series(str(tmp_path / "none.csv"), SeriesConfig())


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [("window", 1, "at least 2"), ("stride", 0, "at least 1"), ("limit", 0, "at least 1"), ("valid", 1.0, "between")],
)
def test_options_out_of_range_are_refused(field: str, value: float, accepted: str) -> None:
    with pytest.raises(UserError, match=rf"data.{field} is {value}; it must be .*{accepted}"):
        SeriesConfig(**{field: value})
