"""The README.md of a run: what the model is, what it learned from, how well it does, how to use it."""

from __future__ import annotations

import json

from textgan import __version__
from textgan.domains import DOMAINS
from textgan.registry import Entry
from textgan.run import Run
from textgan.run_record import CONTROLS, score_text


def model_card(run: Run, entry: Entry) -> str:
    """Markdown, from the records of the run alone."""
    config = run.config()
    data = json.loads(run.data_file.read_text(encoding="utf-8"))
    records = run.records()
    columns = [(CONTROLS.get(r["name"], r["name"]), r["scores"]) for r in records if r["kind"] == "control"]
    columns += {r["stage"]: (f"after {r['stage']}", r["scores"]) for r in records if r["kind"] == "test"}.values()
    names = list(dict.fromkeys(name for _, scores in columns for name in scores))
    table = [
        f"| | {' | '.join(title for title, _ in columns)} |",
        f"|---{'|---:' * len(columns)}|",
        *(f"| {name} | {' | '.join(_cell(scores, name) for _, scores in columns)} |" for name in names),
    ]
    warnings = [f"- step {r['step']}: {r['message']}" for r in records if r["kind"] == "warning" or "rollbacks" in r]
    last = columns[-1][1] if columns else {}
    signatures = [f"- {name}: `{last[name]['signature']}`" for name in names if name in last]
    return "\n".join(
        [
            f"# {entry.name} on {data['name']}",
            "",
            entry.summary,
            "",
            f"Trained with textgan {__version__}, seed {config['seed']}. All options: `config.yaml`. "
            "All measurements: `metrics.jsonl`, drawn in `report.html`.",
            "",
            "## Data",
            "",
            *(f"- {line}" for line in data["report_lines"]),
            "",
            "## Scores on the test split",
            "",
            *table,
            "",
            "<details><summary>Signatures: all that may change a number</summary>",
            "",
            *signatures,
            "",
            "</details>",
            "",
            "## Collapse watch",
            "",
            *(warnings or ["No warning."]),
            "",
            "## Use",
            "",
            "```python",
            *(line.format(run=run.folder.name) for line in DOMAINS[entry.game.data].use),
            "```",
            "",
        ]
    )


def _cell(scores: dict[str, dict[str, float]], name: str) -> str:
    value = scores.get(name, {}).get("value")
    return "-" if value is None else score_text(value)
