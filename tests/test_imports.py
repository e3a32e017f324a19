"""The house: who imports whom, and how large its parts are."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

SRC = Path(__file__).parents[1] / "src"

ROOMS = (
    ("errors", "files", "runtime", "spelling", "progress", "seeds", "table", "model_header"),
    ("ratings",),
    ("model_items",),
    ("config", "recipes"),
    ("optim", "kernels"),
    ("models",),
    ("baselines",),
    ("factory",),
    ("model_folder",),
    ("trained_model",),
    ("training",),
    ("evaluation",),
    ("inference",),
    ("lite", "export", "plots", "doctor", "api"),
    ("paper",),
    ("cli", "serve", "refeed", "__main__"),
)
"""From left to right: a room imports from those on its left, from itself, and nothing else of refeed."""

_ERRORS = "pure functions of errors; what imports models is evaluation.evaluate alone"

ALLOWED = {
    ("refeed.models.blend.weight", "refeed.evaluation.metrics"): _ERRORS,
    ("refeed.models.ridge.auto", "refeed.evaluation.metrics"): _ERRORS,
    ("refeed.models.ridge.held_out", "refeed.evaluation.metrics"): _ERRORS,
    ("refeed.models.ridge.temper", "refeed.evaluation.significance"): _ERRORS,
    ("refeed.training.too_fast", "refeed.evaluation.metrics"): _ERRORS,
    ("refeed.models.ridge.levels", "refeed.evaluation.significance"): _ERRORS,
    ("refeed.models.ridge.drift", "refeed.evaluation.significance"): _ERRORS,
}
"""Arrows that go to the right nevertheless, and why."""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((SRC / "refeed").rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of refeed that a module imports: at its top, in functions, for types alone."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                if whole in known or base in known:
                    yield whole if whole in known else base


def arrows() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imported(name, path, known)) - {name} for name, path in known.items()}


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """Modules that import each other in a circle, in their order; None if there are none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for other in sorted(graph[name]):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return None

    return next((found for name in sorted(graph) if (found := visit(name, []))), None)


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else name


def drawn(graph: dict[str, set[str]]) -> str:
    """The arrows between the rooms, a line a room."""
    rooms: dict[str, set[str]] = {}
    for name, others in graph.items():
        rooms.setdefault(room(name), set()).update(room(other) for other in others)
    return "\n".join(f"{name:14} → {', '.join(sorted(to - {name})) or '–'}" for name, to in rooms.items())


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = arrows()
    found = circle(graph)
    assert found is None, f"{' → '.join(found)}\n\n{drawn(graph)}"


def test_rooms_import_from_rooms_on_their_left_alone() -> None:
    graph = arrows()
    place = {name: number for number, rooms in enumerate(ROOMS) for name in rooms}
    homeless = sorted({room(name) for name in graph} - place.keys())
    assert not homeless, f"no place in the order of ROOMS yet: {', '.join(homeless)}\n\n{drawn(graph)}"
    wrong = sorted(
        f"{name} → {other}"
        for name, others in graph.items()
        for other in others
        if place[room(other)] > place[room(name)] and (name, other) not in ALLOWED
    )
    assert not wrong, "\n".join([*wrong, "", drawn(graph)])


def test_what_is_allowed_is_needed() -> None:
    graph = arrows()
    assert all(other in graph.get(name, ()) for name, other in ALLOWED)


def bodies(tree: ast.AST) -> Iterator[int]:
    """The lines of each function's body, its docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            yield (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_files_and_functions_are_small() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name: length for name, length in lengths.items() if length > 400}
    functions = [n for path in modules().values() for n in bodies(ast.parse(path.read_text()))]
    assert median(functions) <= 8
    assert np.quantile(functions, 0.9) <= 30
