"""The leaderboard: gains over the tempered baseline, intervals, and what the tables and the page say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from scipy import stats

from textgan.errors import UserError
from textgan.leaderboard import Row, as_json, as_text, beside, collect, curve_at, from_json, interval
from textgan.leaderboard_page import Published, columns, markdown, outside, page, planes

NOTHING = Published({})


def write_run(folder: Path, sweep: dict[float, dict[str, float]], seconds: float = 60.0, rollbacks: int = 0) -> None:
    """A finished run: its test scores are those of temperature 1."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": "x", "corpus": "oracle", "seed": 0}))
    (folder / "model.safetensors").write_bytes(b"")
    where = {"step": 9, "stage": "adversarial", "round": 0, "seconds": seconds}
    records = [{"kind": "control", "name": "random", "scores": scored({"nll-oracle": 11.0}), **where}]
    records += [{"kind": "event", "message": "collapse", "rollbacks": k, **where} for k in range(1, rollbacks + 1)]
    records.append({"kind": "test", "scores": scored({"nll-test": 99.0}), **where, "stage": "before"})
    records.append({"kind": "test", "scores": scored(sweep[1.0]), **where})
    records += [{"kind": "sweep", "temperature": t, "scores": scored(v), **where} for t, v in sweep.items()]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def scored(values: dict[str, float]) -> dict[str, dict[str, object]]:
    return {name: {"value": value, "signature": f"{name}|version:1"} for name, value in values.items()}


def kl(forward: float, backward: float) -> dict[str, float]:
    return {"kl-oracle-model": forward, "kl-model-oracle": backward}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed, shift in enumerate((0.0, 0.01, 0.02)):
        curve = {0.8: kl(2.2 + shift, 2.6), 1.0: kl(2.0 + shift, 2.4), 1.2: kl(1.9 + shift, 2.9)}
        write_run(tmp_path / "oracle" / f"mle-{seed}", curve)
        write_run(tmp_path / "oracle" / f"good-{seed}", {1.0: kl(2.0 + shift, 2.3)}, 120.0)
        write_run(tmp_path / "oracle" / f"bad-{seed}", {1.0: kl(2.1 + shift, 2.9)}, rollbacks=seed)
    return tmp_path


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (2.0, 2.4),  # a point of the curve
        (2.1, 2.4),  # what costs less x is to be had as well
        (1.95, 2.65),  # between two points
        (1.8, 2.9),  # beyond the curve: its end
        (9.0, 2.4),
    ],
)
def test_the_curve_offers_the_lowest_y_for_at_most_x(x, y):
    assert curve_at([(1.9, 2.9), (2.0, 2.4), (2.2, 2.6)], x) == pytest.approx(y)


def test_gains_are_taken_seed_by_seed(results):
    rows = {row.label: row for row in collect(results, "mle")}
    assert rows["good"].values["gain in kl-model-oracle"] == pytest.approx([0.1] * 3)
    assert rows["bad"].values["gain in kl-model-oracle"] == pytest.approx([-0.5] * 3)
    assert "gain in kl-model-oracle" not in rows["mle"].values


def test_a_system_is_outside_where_its_gain_is_above_nothing_over_the_whole_interval(results):
    assert [row.label for row in outside(collect(results, "mle"))] == ["good"]


def test_two_seeds_are_too_few_to_be_outside(results):
    for file in (results / "oracle" / "good-2").iterdir():
        file.unlink()
    assert outside(collect(results, "mle")) == []


def test_rows_hold_the_last_stage_by_temperature_and_what_it_cost(results):
    rows = {row.label: row for row in collect(results, "mle")}
    assert list(rows) == ["random", "mle, temperature 1.2", "mle", "mle, temperature 0.8", "bad", "good"]
    assert rows["mle"].values["kl-oracle-model"] == [2.0, 2.01, 2.02]
    assert "nll-test" not in rows["mle"].values
    assert rows["good"].seconds == [120.0] * 3
    assert rows["bad"].rollbacks == [0, 1, 2]
    assert rows["random"].seeds == [0, 1, 2]


def test_why_a_run_stopped_is_told_unless_it_went_on(results):
    where = {"kind": "event", "step": 9, "stage": "adversarial", "seconds": 1}
    stop, end = (json.dumps({**where, "message": text}) + "\n" for text in ("stopped by signal 15", "finished"))
    for seed, events in ((0, stop + end), (1, stop)):
        file = results / "oracle" / f"bad-{seed}" / "metrics.jsonl"
        file.write_text(file.read_text() + events)
    assert next(row for row in collect(results, "mle") if row.label == "bad").stopped == ["stopped by signal 15"]


def test_a_run_that_has_not_ended_is_left_out(results):
    (results / "oracle" / "good-1" / "model.safetensors").unlink()
    assert next(row for row in collect(results, "mle") if row.label == "good").seeds == [0, 2]


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no finished run"):
        collect(tmp_path, "mle")


def test_values_stay_with_their_seeds_where_one_has_no_such_metric():
    row = Row("c", "s")
    row.put(3, {"a": 1.0})
    row.put(1, {"a": 2.0, "b": 5.0})
    old = Row("c", "s", seeds=[1, 7], values={"a": [9.0, 4.0], "c": [8.0]})
    (joined,) = beside([row], [old], "mle")
    assert joined.seeds == [3, 1, 7]
    assert joined.values["a"] == [1.0, 2.0, 4.0]
    assert [math.isnan(value) for value in joined.values["b"]] == [True, False, True]
    assert "c" not in joined.values  # it was of the seed that `row` has itself


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0]
    mean, half = interval(values)
    low, high = stats.t.interval(0.95, 2, loc=mean, scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert interval([3.0, math.nan]) == (3.0, None)
    assert math.isnan(interval([])[0])
    assert (as_text(values), as_text([3.0]), as_text([])) == ("2.333 ± 3.795", "3.000", "–")


def test_the_results_file_holds_every_row(results):
    rows = collect(results, "mle")
    assert [vars(row) for row in from_json(as_json(rows))] == [vars(row) for row in rows]


def test_the_table_names_published_figures_beside_ours(results):
    published = Published({"oracle": {"good": {"kl-model-oracle": 2.25}}})
    lines = markdown(collect(results, "mle"), published).splitlines()
    good = next(line for line in lines if line.startswith("| good |"))
    assert "2.300 ± 0.000" in good
    assert "| 2.25 |" in good
    assert good.endswith("| 2.0 ± 0.0 | 0 | 3 |")


def test_columns_are_those_that_were_measured(results):
    assert columns(collect(results, "mle")) == [
        "nll-oracle", "kl-oracle-model", "kl-model-oracle", "gain in kl-oracle-model", "gain in kl-model-oracle"
    ]  # fmt: skip


def test_the_page_marks_what_is_outside_and_draws_the_plane(results):
    html = page(collect(results, "mle"), NOTHING, "mle", "Text <GANs>", "command --x")
    assert "Text &lt;GANs&gt;" in html
    good = html[html.index("outside") :]
    assert '<th scope="row">good' in html
    assert html.count('class=" outside"') == 1
    assert "<svg" in good
    assert "mle by temperature" in html


def test_the_neighbourhood_of_the_baseline_is_drawn_once_more(results: Path) -> None:
    rows = collect(results, "mle")
    both, near = planes(rows, "mle")
    assert (both.title, near.title) == (
        "kl-oracle-model against kl-model-oracle", "kl-oracle-model against kl-model-oracle, near mle",
    )  # fmt: skip
    assert "bad" in both.svg
    assert "good: (2.3, 2.01)" in near.svg
    assert "bad" not in near.svg  # 0.5 away, where temperature 0.8 is 0.2 away
    assert len(planes([row for row in rows if row.system != "bad"], "mle")) == 1


def test_earlier_results_add_their_systems_and_seeds(results: Path) -> None:
    rows = collect(results, "mle")
    before = as_json(rows)
    earlier = [
        Row("oracle", "good", seeds=[0, 7], values={"nll-oracle": [1.0, 2.0]}, seconds=[3.0, 4.0], rollbacks=[0, 1]),
        Row("news", "good", seeds=[7], values={"bleu-2": [0.5]}, signatures={"bleu-2": "s"}, stopped=["stopped"]),
    ]
    both = {(row.corpus, row.system, row.temperature): row for row in beside(from_json(before), earlier, "mle")}
    assert vars(both["news", "good", 1.0]) == vars(earlier[1])
    good, alone = both["oracle", "good", 1.0], next(row for row in rows if row.label == "good")
    assert good.seeds == [0, 1, 2, 7]
    assert good.values["kl-oracle-model"] == pytest.approx([*alone.values["kl-oracle-model"], math.nan], nan_ok=True)
    assert good.values["nll-oracle"] == pytest.approx([math.nan] * 3 + [2.0], nan_ok=True)  # seed 0 is the folder's own
    assert (good.seconds, good.rollbacks) == ([*alone.seconds, 4.0], [*alone.rollbacks, 1])
    assert as_json(both["oracle", row.system, row.temperature] for row in rows if row is not alone) == as_json(
        row for row in rows if row is not alone
    )
