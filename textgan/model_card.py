"""The README.md of a run: what the model is, what it learned from, how well it does, how to use it."""

from __future__ import annotations

import json

from textgan import __version__
from textgan.domains import DOMAINS
from textgan.registry import Entry
from textgan.run import Run

SHOWN = (
    "consistency",
    "category-accuracy",
    "corpus-bleu-2",
    "bleu-4",
    "self-bleu-4",
    "nll-test",
    "nll-oracle",
    "kl-oracle-model",
    "kl-model-oracle",
    "distinct-2",
    "unique",
)

CONTROLS = {"real": "real, held out", "random": "random words"}
"""Rows that are not the model's."""


def model_card(run: Run, entry: Entry) -> str:
    """Markdown, from the records of the run alone."""
    config = run.config()
    data = json.loads(run.data_file.read_text(encoding="utf-8"))
    records = run.records()
    rows = [(CONTROLS.get(r["name"], r["name"]), r["scores"]) for r in records if r["kind"] == "control"]
    rows += {r["stage"]: (f"after {r['stage']}", r["scores"]) for r in records if r["kind"] == "test"}.values()
    names = [name for name in SHOWN if any(name in scores for _, scores in rows)]
    table = [
        f"| | {' | '.join(names)} |",
        f"|---{'|---:' * len(names)}|",
        *(f"| {title} | {' | '.join(_cell(scores, name) for name in names)} |" for title, scores in rows),
    ]
    warnings = [f"- step {r['step']}: {r['message']}" for r in records if r["kind"] == "warning" or "rollbacks" in r]
    last = rows[-1][1] if rows else {}
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
            *signatures,
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
    return f"{scores[name]['value']:.3f}" if name in scores else "-"
