"""The code that decides a job's result: the project's files that its stage really imports.

Found from the import statements, those inside of functions included, and hashed by file as a syntax
tree: comments, docstrings, descriptions of settings, blank lines and files that nothing imports do
not count. What runs jobs instead of deciding their results (`RUNS`) never counts; a stage that
loaded something else beside the files listed here refuses to write its manifest (`unlisted`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cdred.errors import CdredError

# Packages that run jobs. Nothing that decides a result may live there.
RUNS = tuple(
    f"cdred.{name}"
    for name in (
        "api", "cli", "config", "engines", "hub", "plan", "reference", "run", "system", "tools",
        "tracking",
    )
)  # fmt: skip
# Common ground of both sides: error messages, manifests (whose format has a number of its own),
# the way to the network, the version. Nothing that is computed depends on them.
COMMON = (
    "cdred", "cdred.__main__", "cdred.documents", "cdred.errors", "cdred.manifest",
    "cdred.hub_client", "cdred.network", "cdred.plugins",
)  # fmt: skip
# Packages of alternatives: of their folders only those count that a job names.
BRANCHES = ("cdred.methods", "cdred.suites")


def decides(module: str) -> bool:
    """Tell whether results may depend on a module of the project."""
    return module not in COMMON and not any(_within(module, package) for package in RUNS)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


class Code:
    """The modules of a checkout, each parsed at most once."""

    def __init__(self, root: Path, branches: tuple[str, ...] = BRANCHES) -> None:
        self.root, self.branches = root, branches
        self.loaded_before: frozenset[str] = frozenset()
        self.note_loaded()
        self._files: dict[str, Path | None] = {}
        self._parsed: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._tables: dict[tuple[str, ...], dict[str, str]] = {}
        self._data = _declared_data(root)

    def note_loaded(self) -> None:
        """Take what is loaded by now for planning: stages load later what they compute with."""
        self.loaded_before = frozenset(sys.modules)

    def table(self, entries: Iterable[str]) -> dict[str, str]:
        """Hash of each file that the modules `entries` import, themselves included, by path.

        Raises CdredError when an entry is missing or a file is not Python.
        """
        key = tuple(sorted(set(entries)))
        if key not in self._tables:
            self._tables[key] = self._table(key)
        return self._tables[key]

    def _table(self, entries: tuple[str, ...]) -> dict[str, str]:
        chosen = {branch for entry in entries if (branch := self._branch(entry))}
        modules: dict[str, Path] = {}
        installed: dict[str, str] = {}
        waiting = [(entry, "") for entry in entries]
        while waiting:
            name, importer = waiting.pop()
            branch = self._branch(name)
            if branch and branch not in chosen and self._is_shared(importer, branch):
                continue  # a registry may know all; the job needs those that it names
            file = self.file(name)
            if name in modules or not decides(name):
                continue
            if file is None:
                if not importer:
                    installed |= _installed(name)
                continue
            modules[name] = file
            waiting += [(parent, name) for parent in _parents(name)]
            waiting += [(imported, name) for imported in self._parse(name)[1]]
        table = {file.as_posix(): self._parse(name)[0] for name, file in modules.items()}
        table |= installed
        for package, files in self._data.items():
            if package in modules:
                table |= files
        return dict(sorted(table.items()))

    def file(self, module: str) -> Path | None:
        """The file of a module of the project, relative to the checkout; None if it is not one."""
        if module not in self._files:
            base = Path(*module.split("."))
            candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
            existing = (path for path in candidates if (self.root / path).is_file())
            self._files[module] = next(existing, None)
        return self._files[module]

    def unlisted(self, table: dict[str, str]) -> list[str]:
        """Files of the project that this process has loaded to compute with, and that are not in
        `table`: imported by a name that no import statement holds."""
        return sorted(
            file.as_posix()
            for name, module in list(sys.modules.items())
            if name not in self.loaded_before
            and decides(name)
            and (file := self.file(name)) is not None
            and file.as_posix() not in table
            and self._is_ours(name, module)
        )

    def _is_ours(self, name: str, module: Any) -> bool:
        """Tell whether a module was loaded from the project, and is no other of the same name."""
        file = getattr(module, "__file__", None)
        known = self.file(name)
        if file is None or known is None:
            return False
        return _within(name, "cdred") or Path(file).resolve() == (self.root / known).resolve()

    def _branch(self, module: str) -> str | None:
        """The alternative that a module belongs to, e.g. cdred.methods.bc."""
        for package in self.branches:
            if module.startswith(f"{package}."):
                return f"{package}.{module[len(package) + 1 :].split('.')[0]}"
        return None

    def _is_shared(self, importer: str, branch: str) -> bool:
        """Tell whether a module is of the package of `branch`, but of none of the alternatives."""
        return _within(importer, branch.split(".")[0]) and not self._branch(importer)

    def _parse(self, module: str) -> tuple[str, tuple[str, ...]]:
        """The hash of a module's syntax tree, and the names that it imports."""
        if module not in self._parsed:
            file = self.file(module)
            assert file is not None
            try:
                tree = ast.parse((self.root / file).read_bytes())
            except (SyntaxError, ValueError) as exc:
                line = f":{exc.lineno}" if isinstance(exc, SyntaxError) else ""
                raise CdredError(f"{file}{line}: not valid Python: {exc}") from None
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            self._parsed[module] = (hash_tree(tree), tuple(dict.fromkeys(imports(tree, package))))
        return self._parsed[module]


def hash_source(source: bytes) -> str:
    """The hash of a Python file's meaning."""
    return hash_tree(ast.parse(source))


def hash_file(file: Path) -> str:
    """The hash of a file of code as it stands in a table: by meaning if it is Python, else by
    bytes."""
    content = file.read_bytes()
    return hash_source(content) if file.suffix == ".py" else hashlib.sha256(content).hexdigest()


def is_same(root: Path, table: dict[str, str]) -> bool:
    """Tell whether the files of a table, which may be anybody's, are in a checkout as they were."""
    try:
        return all(
            (root / name).resolve().is_relative_to(root.resolve())
            and hash_file(root / name) == known
            for name, known in table.items()
        )
    except (OSError, SyntaxError, ValueError):
        return False


def hash_tree(tree: ast.Module) -> str:
    return hashlib.sha256(_text(tree).encode("utf-8", "surrogatepass")).hexdigest()


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def _text(node: Any) -> str:
    """A syntax tree as text without docstrings, settings' descriptions and positions. Empty fields
    are left out: those that newer versions of Python add are empty in older code."""
    if isinstance(node, ast.AST):
        parts = [type(node).__name__]
        for field in node._fields:
            value = getattr(node, field, None)
            if field == "body" and isinstance(node, _DOCUMENTED):
                value = list(value or [])[_is_docstring(value) :]
            if isinstance(node, ast.Call) and field == "keywords":
                value = [keyword for keyword in node.keywords if not _describes(node, keyword)]
            if isinstance(node, ast.JoinedStr):
                value = [part for part in node.values if not _is_empty_text(part)]
            if field in _IGNORED or value is None or value == []:
                continue
            parts.append(f"{field}={_text(value)}")
        return f"({' '.join(parts)})"
    if isinstance(node, list):
        return f"[{' '.join(map(_text, node))}]"
    return f"{type(node).__name__}:{node!r}"


def _is_empty_text(node: Any) -> bool:
    """Tell whether it is the empty end of a format, which only Python 3.12 has in the tree."""
    return isinstance(node, ast.Constant) and node.value == ""


def _describes(call: ast.Call, keyword: ast.keyword) -> bool:
    """Tell whether an argument is what a setting says of itself."""
    declares = getattr(call.func, "id", "") == "Field" and keyword.arg == "description"
    return declares and isinstance(keyword.value, ast.Constant)


def _is_docstring(body: Any) -> bool:
    first = body[0] if body else None
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


def imports(tree: ast.Module, package: str) -> Iterator[str]:
    """The names that may be modules in the import statements of a module of `package`. Not those
    for type checkers alone; of `import_module` those that are written out."""
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = node.module or ""
            if node.level:
                base = ".".join([*above, base] if base else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            function = node.func
            called = getattr(function, "attr", getattr(function, "id", ""))
            argument = node.args[0] if node.args else None
            if called == "import_module" and isinstance(argument, ast.Constant):
                yield str(argument.value)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _for_type_checkers(child.test):
            for other in child.orelse:
                yield other
                yield from _walk(other)
            continue
        yield child
        yield from _walk(child)


def _for_type_checkers(test: ast.expr) -> bool:
    return getattr(test, "attr", getattr(test, "id", "")) == "TYPE_CHECKING"


def _installed(module: str) -> dict[str, str]:
    """The files of a module that is no part of the checkout but installed, as of an entry point:
    of a package all. Raises CdredError when there is none."""
    top = module.split(".")[0]
    try:
        spec = None if top == "cdred" else importlib.util.find_spec(top)
    except (ImportError, ValueError):  # of `__main__`
        spec = None
    if spec is None or spec.origin is None or not spec.has_location:  # a part of Python itself
        file = f"{module.replace('.', '/')}.py"
        if top == "cdred":
            raise CdredError(f"{file}: missing; the checkout is not complete")
        raise CdredError(
            f"{file}: missing: params.yaml names {module}, which is neither here nor installed; "
            f"copy it beside params.yaml"
        )
    origin = Path(spec.origin)
    folder = origin.parent
    files = folder.rglob("*.py") if spec.submodule_search_locations else [origin]
    above = folder.parent if spec.submodule_search_locations else folder
    return {
        file.relative_to(above).as_posix(): hash_file(file) for file in files if file.name[0] != "."
    }


def _parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:k]) for k in range(1, len(parts)))


def _declared_data(root: Path) -> dict[str, dict[str, str]]:
    """The hash of each file that a package declares as its data, by package and path."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        declared = project["tool"]["setuptools"]["package-data"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return {}
    data = {}
    for package, patterns in declared.items():
        folder = root / Path(*package.split("."))
        files = {file for pattern in patterns for file in folder.glob(pattern)}
        data[package] = {
            file.relative_to(root).as_posix(): hash_file(file)
            for file in files
            if file.is_file() and not file.name.startswith(".")
        }
    return data
