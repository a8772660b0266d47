"""The page must say what the records say, for any names, and nothing a sample writes may become markup."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from textgan.errors import UserError
from textgan.figures import loss_curves
from textgan.report import build_report, final_rows, main, sweep_rows
from textgan.run_record import read_run

HOSTILE = "<script>alert('x')</script> & \"quotes\" <b>bold"


class Page(HTMLParser):
    """Tags, attributes, figures and table cells of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.captions: list[str] = []
        self.descriptions: list[str] = []
        self.cells: dict[str, list[str]] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        given = dict(attrs)
        if tag == "svg":
            self.descriptions.append(given.get("aria-label") or "")
        self._open = tag
        if tag == "td" and given.get("title"):
            self._open = "score"
            self._title = given["title"]

    def handle_data(self, data: str) -> None:
        if self._open == "figcaption" and data.strip():
            self.captions.append(data.strip())
        if self._open == "score" and data.strip():
            name, _, value = str(self._title).partition(" = ")
            self.cells.setdefault(name, []).append(value)


def _scored(**values: float) -> dict[str, Any]:
    return {k.replace("_", "-"): {"value": v, "signature": f"{k}|version:1"} for k, v in values.items()}


def _record(kind: str, stage: str, step: int, **what: Any) -> dict[str, Any]:
    return {"kind": kind, "stage": stage, "step": step, "round": 0, "seconds": 75.0, **what}


def _records() -> list[dict[str, Any]]:
    return [
        _record("event", "", 0, message="started"),
        _record("control", "", 0, name="real", scores=_scored(bleu_2=0.8, self_bleu_2=0.5)),
        _record("control", "", 0, name="random", scores=_scored(bleu_2=0.1)),
        _record("loss", "pretrain", 5, player="generator", values={"likelihood": 0.8}),
        _record("loss", "pretrain", 10, player="generator", values={"likelihood": 0.4}),
        _record("metrics", "pretrain", 10, scores=_scored(bleu_2=0.4, self_bleu_2=0.3, nll_valid=5.0)),
        _record("test", "pretrain", 10, scores=_scored(bleu_2=0.41, self_bleu_2=0.31, wonder=7.25)),
        _record("sweep", "pretrain", 10, temperature=1.0, scores=_scored(bleu_2=0.4, self_bleu_2=0.3)),
        _record("sweep", "pretrain", 10, temperature=0.5, scores=_scored(bleu_2=0.8, self_bleu_2=0.6)),
        _record("loss", "adversarial", 15, player="critic", values={"hinge": -1.5, "norm": 2}),
        _record("loss", "adversarial", 20, player="critic", values={"hinge": -2.0, "norm": 2}),
        _record("metrics", "adversarial", 20, scores=_scored(bleu_2=0.6, self_bleu_2=0.55, nll_valid=6.0)),
        _record("warning", "adversarial", 20, message="self-bleu-2 is too high"),
    ]


def _write_run(folder: Path, records: list[dict[str, Any]] | None = None, rollouts: int = 16) -> Path:
    (folder / "samples").mkdir(parents=True)
    config = {"name": "seqgan", "corpus": "captions", "seed": 0, "game": {"rollouts": rollouts, "hidden": 32}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    data = {"name": "captions", "spec": {"vocab_size": 9, "length": 5}, "report_lines": ["27,944 sentences"]}
    (folder / "data.json").write_text(json.dumps(data))
    lines = [json.dumps(record) for record in (_records() if records is None else records)]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    for step in (0, 5, 10, 20):
        (folder / f"samples/{step}.txt").write_text(f"sentence of step {step}\n{HOSTILE}\n\n")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return _write_run(tmp_path / "first")


def test_a_hostile_sample_stays_text(run: Path) -> None:
    html = build_report([run])
    assert "script" not in Page(html).tags
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;quotes&#34; &lt;b&gt;bold" in html


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    scores = {HOSTILE: {"value": 1.0, "signature": HOSTILE}}
    records = [
        _record("loss", HOSTILE, 3, player=HOSTILE, values={HOSTILE: 1.0}),
        _record("metrics", HOSTILE, 3, scores=scores),
        _record("test", HOSTILE, 3, scores=scores),
        _record("warning", HOSTILE, 3, message=HOSTILE),
    ]
    html = build_report([_write_run(tmp_path / "run", records)])
    assert "script" not in Page(html).tags
    assert "<b>bold" not in html


def test_the_page_needs_nothing_from_elsewhere(run: Path) -> None:
    page = Page(build_report([run]))
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    links = {value for name, value in page.attributes if name in ("href", "src", "xlink:href")}
    assert all(link and link.startswith("#") for link in links)


def test_identifiers_are_not_shared_between_figures(run: Path) -> None:
    identifiers = [value for name, value in Page(build_report([run])).attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))


def test_the_page_is_the_same_each_time(run: Path) -> None:
    assert build_report([run]) == build_report([run])


def test_every_loss_and_metric_has_a_figure(run: Path) -> None:
    captions = Page(build_report([run])).captions
    assert {"likelihood", "hinge", "norm", "bleu-2", "self-bleu-2", "nll-valid", "wonder"} <= set(captions)
    assert captions.count("self-bleu-2 against bleu-2") == 1


def test_figures_are_described_by_their_values(run: Path) -> None:
    descriptions = Page(build_report([run])).descriptions
    assert "likelihood of the generator against step. first: 0.8 at 5 to 0.4 at 10." in descriptions
    nll = "nll-valid against step. first: 5 at 10 to 6 at 20."
    assert nll in descriptions
    plane = next(text for text in descriptions if text.startswith("self-bleu-2 against bleu-2"))
    assert "pretrain: (0.8, 0.6), (0.4, 0.3)" in plane
    assert "real data: (0.8, 0.5)" in plane


def test_terms_of_one_name_before_a_slash_share_a_figure(tmp_path: Path) -> None:
    shares = {"cut/first": 0.25, "cut/second": 0.5, "whole": 1.0}
    records = [_record("loss", "game", 5 * step, player="judge", values=shares) for step in (1, 2)]
    one, two = (_write_run(tmp_path / name, records) for name in ("one", "two"))
    page = Page(build_report([one]))
    assert page.captions == ["cut", "whole"]
    told = "one, first: 0.25 at 5 to 0.25 at 10; one, second: 0.5 at 5 to 0.5 at 10."
    assert f"cut of the judge against step. {told}" in page.descriptions
    several = loss_curves([read_run(one, "one"), read_run(two, "two")])["judge"]
    assert [figure.title for figure in several] == ["cut", "whole"]
    assert several[0].hint == "solid: first, dashed: second"
    for run in ("one", "two"):
        assert f"{run}, second: 0.5 at 5" in several[0].svg
        assert f"{run}: 1 at 5" in several[1].svg


def test_rows_are_controls_and_ends_of_stages(run: Path) -> None:
    rows = final_rows([read_run(run)])
    assert [(row.label, row.note) for row in rows] == [
        ("real, held out", ""),
        ("at random", ""),
        ("pretrain", "step 10"),
        ("adversarial", "step 20, not finished: validation split"),
    ]
    assert [row.scores["bleu-2"] for row in rows] == [0.8, 0.1, 0.41, 0.6]


def test_cells_hold_the_records_values(run: Path) -> None:
    cells = Page(build_report([run])).cells
    # The table of test scores, then that of the sweep, coldest first.
    assert cells["bleu-2"] == ["0.8", "0.1", "0.41", "0.6", "0.8", "0.4"]
    assert cells["wonder"] == ["7.25"]


def test_sweeps_are_told_coldest_first(run: Path) -> None:
    rows = sweep_rows([read_run(run)])
    assert [(row.label, row.note, row.scores["bleu-2"]) for row in rows] == [
        ("pretrain", "temperature 0.5", 0.8),
        ("pretrain", "temperature 1", 0.4),
    ]


def test_warnings_and_events_are_told(run: Path) -> None:
    html = build_report([run])
    assert "1 warning in first" in html
    assert "self-bleu-2 is too high" in html
    assert "1 min 15 s" in html
    assert "27,944 sentences" in html


def test_collapses_are_counted_told_and_marked_in_the_curves_of_metrics(run: Path, tmp_path: Path) -> None:
    records = [
        *_records(),
        _record("event", "adversarial", 14, message="rolled back to step 10", rollbacks=1),
        _record("event", "adversarial", 20, message="stopped: unique is 0.1", rollbacks=1),
    ]
    collapsed = _write_run(tmp_path / "collapsed", records)
    html = build_report([collapsed])
    assert "1 warning and 2 collapses in collapsed" in html
    assert html.index("rolled back to step 10 <small>adversarial, step 14<") < html.index("self-bleu-2 is too high")
    assert "Dotted upright lines: collapses" in html
    descriptions = Page(html).descriptions
    assert "nll-valid against step. collapsed: 5 at 10 to 6 at 20; collapsed: collapse at 14, 20." in descriptions
    assert "likelihood of the generator against step. collapsed: 0.8 at 5 to 0.4 at 10." in descriptions
    both = Page(build_report([run, collapsed])).descriptions
    assert any(text.endswith("collapsed: collapse at 14, 20.") and "first: 5 at 10" in text for text in both)
    assert "collapses" not in build_report([run])


def test_a_run_that_rolled_back_from_a_loss_without_a_warning_is_told(tmp_path: Path) -> None:
    records = [*_records()[:-1], _record("event", "adversarial", 14, message="rolled back", rollbacks=1)]
    assert "<h2>1 collapse in mine</h2>" in build_report([_write_run(tmp_path / "mine", records)])


def test_samples_are_the_first_and_last_of_each_stage(run: Path) -> None:
    html = build_report([run])
    shown = [step for step in (0, 5, 10, 20) if f"sentence of step {step}<" in html]
    assert shown == [0, 10, 20]
    assert "(empty)" in html


def test_a_cut_off_line_is_left_out_and_told(run: Path) -> None:
    whole = final_rows([read_run(run)])
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "metrics", "st')
    assert final_rows([read_run(run)]) == whole
    number = len(_records()) + 1
    assert f"first: metrics.jsonl has lines that are cut off and left out: {number}." in build_report([run])


def test_several_runs_share_controls_and_tell_their_differences(run: Path, tmp_path: Path) -> None:
    other = _write_run(tmp_path / "second", rollouts=4)
    rows = final_rows([read_run(run), read_run(other)])
    assert [row.label for row in rows] == [
        "real, held out",
        "at random",
        "first: pretrain",
        "first: adversarial",
        "second: pretrain",
        "second: adversarial",
    ]
    html = build_report([run, other])
    assert "<code>game.rollouts</code></th><td><code>16</code></td><td><code>4</code></td>" in html
    assert "<code>game.hidden</code>" not in html
    assert "likelihood of the generator against step. first: 0.8 at 5 to 0.4 at 10; second: 0.8" in html


def test_controls_that_differ_are_all_told_with_their_runs(run: Path, tmp_path: Path) -> None:
    records = _records()
    records[1]["scores"]["bleu-2"]["value"] = 0.7
    other = _write_run(tmp_path / "second", records)
    controls = final_rows([read_run(run), read_run(other)])[:3]
    assert [(row.label, row.note) for row in controls] == [
        ("real, held out", "first"),
        ("real, held out", "second"),
        ("at random", ""),
    ]


def test_runs_of_one_name_are_told_apart_by_their_paths(run: Path, tmp_path: Path) -> None:
    other = _write_run(tmp_path / "elsewhere" / "first")
    assert f"{other}: pretrain" in build_report([run, other])


def test_unlike_settings_of_a_metric_are_told(run: Path, tmp_path: Path) -> None:
    records = _records()
    for record in records:
        if record["kind"] == "test":
            record["scores"]["bleu-2"]["signature"] = "bleu|samples:7|version:1"
    other = _write_run(tmp_path / "second", records)
    note = "so not comparable (see signatures): bleu-2."
    assert note in build_report([run, other])
    assert note not in build_report([run])


def test_a_run_without_measurements_has_a_page(tmp_path: Path) -> None:
    html = build_report([_write_run(tmp_path / "new", records=[])])
    assert "new: nothing has been measured yet." in html
    assert "No losses yet." in html


def test_values_that_are_not_finite_are_told(tmp_path: Path) -> None:
    values = (1.0, float("nan"), float("inf"), 2.0)
    records = [_record("loss", "play", s, player="generator", values={"loss": x}) for s, x in enumerate(values)]
    assert "2 values not finite" in build_report([_write_run(tmp_path / "run", records)])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: (run / "config.yaml").unlink(), "is not a run folder: it has no config.yaml"),
        (lambda run: (run / "config.yaml").write_text("a: [1"), "cannot be read: while parsing"),
        (lambda run: (run / "config.yaml").write_text("- 1"), "must each hold a mapping"),
        (lambda run: (run / "data.json").write_text("{"), "cannot be read: Expecting"),
    ],
)
def test_a_folder_that_is_not_a_run_is_refused(run: Path, break_it: Any, message: str) -> None:
    break_it(run)
    with pytest.raises(UserError, match=message) as caught:
        build_report([run])
    assert "\n" not in str(caught.value)


def test_no_run_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no run folder is given"):
        build_report([])


def test_the_page_is_written_where_asked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run)])
    main([str(run), "--out", str(tmp_path / "page.html")])
    assert capsys.readouterr().out.split() == [str(run / "report.html"), str(tmp_path / "page.html")]
    assert (run / "report.html").read_text() == (tmp_path / "page.html").read_text() == build_report([run])
    with pytest.raises(UserError, match="cannot be written"):
        main([str(run), "--out", str(tmp_path / "nowhere" / "page.html")])


def test_the_command_fails_in_one_line_and_without_torch(tmp_path: Path) -> None:
    code = "import sys, textgan.report as r; assert 'torch' not in sys.modules; r.command_line.run(r.main)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "no")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("textgan: error: '")
    assert done.stderr.count("\n") == 1
