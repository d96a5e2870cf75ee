"""The rules of the code as a whole: which file imports what, how long it is, what is documented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytensor
import pytest

import bayou as by

ROOT = Path(by.__file__).parents[2]
PACKAGE = ROOT / "src" / "bayou"
FILES = sorted(PACKAGE.rglob("*.py"))
# The rooms in the order in which a row passes them: each imports from those before it alone.
ROOMS = (
    "arguments",
    "errors",
    "text",
    "progress",
    "storage",
    "datasets",
    "cluster",
    "sources",
    "sampling",
    "feeding",
    "preparation",
    "containers",
    "models",
    "density",
    "batching",
    "compression",
    "provenance",
    "fitting",
    "nuts",
    "ladder",
    "many",
    "prediction",
)
# The folders in a room, in order too; the files of the room itself come after them.
INNER_ROOMS = {
    "containers": ("products", "variables", "sparse", "reading"),
    "fitting": ("guides", "rows", "fixed_draws", "checks", "passes", "stochastic", "result"),
    "many": ("results", "data_sets", "vectorised"),
    "nuts": ("code_cache", "operations", "compiled", "convergence", "disk"),
    "prediction": ("graph", "output"),
    "sources": ("base", "in_memory", "streams", "files", "derived"),
}
# These stand on the public list.
ON_TOP = {"__main__", "cli", "dims", "moved_modules", "pymc3", "testing"}
# Modules and functions of the standard library that Windows lacks.
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_FUNCTIONS = {"fork", "geteuid", "getuid", "sched_getaffinity", "statvfs", "sysconf"}
OPTIONAL = {"blackjax", "duckdb", "matplotlib", "polars", "ray", "torch", "zarr"}
MAX_FILES = 12
MAX_LINES = 400

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))


@dataclass(frozen=True)
class Import:
    """A module that a file imports: `late` in a function, `typing` for the type checker alone."""

    module: str
    late: bool
    typing: bool

    @property
    def package(self) -> str:
        """The top of the module's name."""
        return self.module.partition(".")[0]


@cache
def imports_of(file: Path) -> list[Import]:
    return list(_imports(ast.parse(file.read_text(encoding="utf-8")), late=False, typing=False))


def _imports(node: ast.AST, *, late: bool, typing: bool) -> Iterator[Import]:
    match node:
        case ast.Import():
            yield from (Import(alias.name, late, typing) for alias in node.names)
        case ast.ImportFrom(module=str(module), level=0):
            # A name may be that of a module: `from bayou.nuts import sample`.
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield Import(name if name in MODULES else module, late, typing)
        case ast.ImportFrom():
            raise AssertionError(f"line {node.lineno}: import by the full name, not a relative one")
    late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, late=late, typing=typing)


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


def place_of(module: str) -> tuple[int, int]:
    """Where a module stands: the number of its room, and of the folder in it."""
    _, room, inner, *_ = [*module.split("."), "", ""]
    if not room:
        return len(ROOMS) + 1, 0
    if room in ON_TOP:
        return len(ROOMS), 0
    inner_rooms = INNER_ROOMS.get(room, ())
    return ROOMS.index(room), (
        inner_rooms.index(inner) if inner in inner_rooms else len(inner_rooms)
    )


@each_file
def test_imports_go_one_way(file: Path) -> None:
    place = place_of(module_of(file))
    imported = {found.module for found in imports_of(file) if found.package == "bayou"}
    on_top = {"bayou"} if place == (len(ROOMS), 0) else set()
    assert [name for name in sorted(imported - on_top) if place_of(name) > place] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    imports = {
        module: {found.module for found in imports_of(file) if found.package == "bayou"} - {module}
        for module, file in MODULES.items()
        if place_of(module)[0] < len(ROOMS)
    }
    while free := [module for module, found in imports.items() if not found & imports.keys()]:
        for module in free:
            del imports[module]
    assert sorted(imports) == []


def test_folders_are_small() -> None:
    folders = Counter(file.parent for file in FILES)
    assert {str(folder): number for folder, number in folders.items() if number > MAX_FILES} == {}


def test_no_file_name_stands_twice() -> None:
    names = Counter(file.name for file in FILES if file.name != "__init__.py")
    assert [name for name, number in names.items() if number > 1] == []


@each_file
def test_optional_modules_are_imported_late(file: Path) -> None:
    early = [found for found in imports_of(file) if not (found.late or found.typing)]
    assert {found.package for found in early} & OPTIONAL == set()


def test_optional_module_is_imported_in_one_file() -> None:
    imported = [
        package
        for file in FILES
        for package in {found.package for found in imports_of(file) if not found.typing} & OPTIONAL
    ]
    assert sorted(imported) == sorted(set(imported))


def printed_by(command: str) -> list[str]:
    """Return the words that a new process prints."""
    result = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_importing_bayou_imports_no_optional_module() -> None:
    command = (
        "import sys, arviz, nutpie, pymc; before = set(sys.modules)\n"
        f"from bayou import *; print(*{OPTIONAL} & (set(sys.modules) - before))"
    )
    assert printed_by(command) == []


def test_importing_bayou_waits_for_the_first_use_of_a_name() -> None:
    command = (
        "import sys, bayou\n"
        "print(*{'jax', 'numpy', 'pyarrow', 'pymc', 'pytensor'} & set(sys.modules))\n"
        "assert dir(bayou) == sorted(bayou.__all__)\n"
        "assert hasattr(bayou, 'Data') and not hasattr(bayou, 'data')\n"
    )
    assert printed_by(command) == []


def test_all_public_names_leave_out_what_few_use() -> None:
    command = (
        "import sys, bayou.dims\n"
        "from bayou import *\n"
        "late = {'scipy.stats', 'scipy.optimize', 'nutpie', 'arviz_plots', 'numba'}\n"
        "print(*late & set(sys.modules))\n"
        "print(*{'pytensor.xtensor', 'pymc.dims'} & set(sys.modules))"
    )
    assert printed_by(command) == []


@each_file
def test_no_module_of_posix_is_imported(file: Path) -> None:
    assert {found.package for found in imports_of(file)} & POSIX_MODULES == set()


def test_importing_bayou_needs_no_posix() -> None:
    # What bayou depends on may need such modules on this system: it is imported before.
    early = {
        found.module
        for file in FILES
        for found in imports_of(file)
        if not (found.late or found.typing)
    }
    dependencies = sorted(name for name in early if not name.startswith("bayou"))
    command = f"""
import builtins, os
import {", ".join(dependencies)}
for name in {POSIX_FUNCTIONS}:
    delattr(os, name)

original = builtins.__import__

def without_posix(name, globals=None, locals=None, fromlist=(), level=0):
    importer = str((globals or {{}}).get("__name__"))
    if importer.partition(".")[0] == "bayou" and name in {POSIX_MODULES}:
        raise ImportError(f"{{importer}} imports {{name}}")
    return original(name, globals, locals, fromlist, level)

builtins.__import__ = without_posix
import bayou as by
from bayou import *
from bayou.cluster.cores import usable_cores
assert usable_cores() > 0
print(by.source({{"x": [1, 2, 3]}}).num_rows)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, check=False
    )
    assert (result.stdout.split(), result.stderr) == (["3"], "")


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    users = [project["dependencies"], *(extras[extra] for extra in extras if extra != "dev")]
    declared = {re.split(r"[^\w-]", requirement)[0] for requirement in chain(*users)}
    imported = {found.package for file in FILES for found in imports_of(file)}
    distributions = packages_distributions()
    undeclared = {
        module
        for module in imported - sys.stdlib_module_names - {"bayou"}
        if declared.isdisjoint(name.replace("_", "-") for name in distributions[module])
    }
    assert undeclared == set()


@each_file
def test_file_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_public_list_is_sorted_and_complete() -> None:
    public = {
        name
        for name, value in vars(by).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert list(by.__all__) == sorted(public)


def public_callables() -> Iterator[tuple[str, Any]]:
    """Every public function and class, and the public methods that a class of bayou defines."""
    for name in by.__all__:
        value = getattr(by, name)
        if callable(value):
            yield name, value
        if inspect.isclass(value):
            yield from (
                (f"{name}.{method}", function)
                for method, function in vars(value).items()
                if not method.startswith("_") and inspect.isfunction(function)
            )


@pytest.mark.parametrize(("name", "value"), list(public_callables()))
def test_public_callable_is_documented(name: str, value: Any) -> None:
    doc = inspect.getdoc(value)
    assert doc, f"{name} has no docstring"
    if inspect.isclass(value) and issubclass(value, Exception):
        return  # Raised by bayou alone, and built with a message.
    if getattr(value, "_is_protocol", False):
        return  # Never built: users write classes with its methods.
    signature = inspect.signature(value)
    described = _names(_section(doc, "Parameters")) | _names(_section(doc, "Attributes"))
    missing = signature.parameters.keys() - {"self"} - described
    assert missing == set(), f"{name} does not describe all of its parameters"
    if inspect.isfunction(value) and signature.return_annotation not in {"None", None}:
        assert _section(doc, "Returns") or _section(doc, "Yields"), f"{name} has no Returns"


def _section(doc: str, title: str) -> str:
    """The text below a numpydoc title, "" without one."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", doc, re.DOTALL | re.MULTILINE)
    return found.group(1) if found else ""


def _names(section: str) -> set[str]:
    """The names that a section describes: each at a line's start, several with commas between."""
    lines = [line for line in section.splitlines() if line and not line.startswith(" ")]
    return {name.strip(" *") for line in lines for name in line.split(" :")[0].split(",")}


def test_the_tests_compile_cheaply() -> None:
    assert pytensor.config.mode == "FAST_COMPILE"
    assert pytensor.config.linker == "py"
