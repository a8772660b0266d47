"""How the package hangs together, read off the syntax trees: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "textgan"
FILES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file != PACKAGE / "__init__.py"  # the public face, which opens everything else when it is used
}
GAMES = [name for name in FILES if name.startswith("games.") and name != "games.__init__"]
COMMANDS = {"train", "generate", "evaluate", "export", "api", "stories"}
"""What nobody else builds on: command lines, and the library of story endings with its own."""
STEERING = {
    *COMMANDS,
    "command_line",
    "config",
    "domains",
    "experiment",
    "evaluation",
    "model",
    "text_model",
    "image_model",
    "model_card",
    "plan",
}
STEERING |= {"registry", "report", "leaderboard", "leaderboard_page", "drawing", "figures", "run", "run_record"}
STEERING |= {"transformers_folder", "trainer", "averages", "checkpoint", "collapse", "precision", "progress"}
STEERING |= {"recovery", "gradients", "processes", "signals", "jobs", "opened", "image_models", "series_model"}
STEERING |= {"crew", "profiling", "scaling"}
"""Everything that knows of runs: whatever a game is made of knows none of it."""


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


@cache
def imports(name: str) -> frozenset[str]:
    """Modules of ours that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    ours = {module.removeprefix("textgan.") for module in found if module.startswith("textgan.")}
    return frozenset(module for full in ours for module in (full, f"{full}.__init__") if module in FILES)


def top(module: str) -> str:
    return module.partition(".")[0]


def docstrings(module: ast.Module) -> set[int]:
    """Ids of the string nodes that stand alone: docstrings, and those under a field."""
    return {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}


def offences(names: list[str], forbidden: set[str]) -> dict[str, set[str]]:
    """What each of these modules imports and must not, by the top names of modules."""
    found = {name: {top(module) for module in imports(name)} & forbidden for name in names}
    return {name: modules for name, modules in found.items() if modules}


def test_imports_have_no_circle() -> None:
    modules = {name for name in FILES if not name.endswith("__init__")}  # these only name what lies below them
    TopologicalSorter({name: imports(name) & modules for name in modules}).prepare()


def test_nobody_imports_a_command() -> None:
    found = offences(list(FILES), COMMANDS)
    own = {
        name: modules - {top(name), "api", "train"} if top(name) == "stories" else modules
        for name, modules in found.items()
    }
    assert {name: modules for name, modules in own.items() if modules} == {}


def test_the_contract_imports_nothing_of_ours() -> None:
    assert imports("game") == set()


def test_the_trainer_knows_no_game_no_data_no_metric_and_no_network() -> None:
    helpers = {"averages", "checkpoint", "collapse", "errors", "game", "progress", "recovery", "reproducibility"}
    assert imports("trainer") <= helpers | {"crew", "gradients", "processes", "signals"}


def test_metrics_know_metrics_alone() -> None:
    metrics = [name for name in FILES if top(name) == "metrics"]
    assert offences(metrics, {top(name) for name in FILES} - {"metrics", "errors"}) == {}


def test_what_games_are_made_of_knows_no_game_and_no_run() -> None:
    upper = STEERING | {"game", "games", "parts"}
    assert offences([name for name in FILES if top(name) not in upper], upper) == {}


def test_no_game_imports_another_or_anything_that_knows_of_runs() -> None:
    assert offences(GAMES, STEERING | {"games"}) == {}


def test_parts_of_games_know_no_game_and_no_run_and_nobody_else_knows_them() -> None:
    assert offences([name for name in FILES if top(name) == "parts"], STEERING | {"games"}) == {}
    assert offences([name for name in FILES if top(name) not in {"games", "parts"}], {"parts"}) == {}


def test_no_game_is_named_outside_its_file() -> None:
    names = {game.removeprefix("games.") for game in GAMES}
    named = [
        f"{name}, line {node.lineno}"
        for name in FILES.keys() - set(GAMES)
        if top(name) != "stories"  # the library of one game, which it names as its default
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in docstrings(tree(name))
    ]
    assert named == []


@pytest.mark.parametrize("name", GAMES)
class TestGameFile:
    def test_says_what_it_is_and_what_it_does_otherwise(self, name: str) -> None:
        documentation = ast.get_docstring(tree(name)) or ""
        first, _, rest = documentation.partition("\n")
        assert first.endswith((".", ")")), "the first line is a sentence: the method and its paper"
        assert rest.startswith("\n")
        assert "Differs from the paper:" in rest

    def test_has_a_frozen_config_with_every_field_explained(self, name: str) -> None:
        config = next(n for n in tree(name).body if isinstance(n, ast.ClassDef) and n.name == "Config")
        assert any("frozen=True" in ast.unparse(decorator) for decorator in config.decorator_list)
        assert list(unexplained(config)) == []

    def test_has_a_tiny_config(self, name: str) -> None:
        assigned = [ast.unparse(t) for n in tree(name).body if isinstance(n, ast.Assign) for t in n.targets]
        assert "TINY" in assigned

    def test_has_one_game(self, name: str) -> None:
        classes = [n for n in tree(name).body if isinstance(n, ast.ClassDef)]
        assert sum(any(ast.unparse(base).endswith("Game") for base in n.bases) for n in classes) == 1


def unexplained(config: ast.ClassDef) -> Iterator[str]:
    """Fields without a docstring under them."""
    for field, below in zip(config.body, [*config.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and not (
            isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
        ):
            yield ast.unparse(field.target)
