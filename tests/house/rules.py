"""The house rules for Python source as pure functions: a module's text in, complaints out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

MODULE_LINES = 400
FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path inside the repository, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def docstrings(self) -> frozenset[int]:
        """The ids of the string nodes that are docstrings."""
        owners = (node for node in self.nodes if isinstance(node, ast.Module | ast.ClassDef | Function))
        return frozenset(id(doc) for owner in owners if (doc := docstring_node(owner)) is not None)


def docstring_node(owner: ast.Module | ast.ClassDef | Function) -> ast.Constant | None:
    first = owner.body[0] if owner.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.value
    return None


def says_what_it_is_for(module: Module) -> Iterator[str]:
    opening = (ast.get_docstring(module.tree) or "").split("\n\n")[0].strip()
    if not opening:
        yield f"{module.path}: opens without a sentence that says what it is for"
    elif opening[-1] not in ".!?":
        yield f"{module.path}: its opening sentence does not end: {opening!r}"


def package_file_is_only_a_docstring(module: Module) -> Iterator[str]:
    if module.path.endswith("__init__.py") and len(module.tree.body) > 1:
        yield f"{module.path}:{module.tree.body[1].lineno}: a package file holds its docstring and nothing else"


def fits_on_a_few_screens(module: Module) -> Iterator[str]:
    lines = module.text.count("\n")
    if lines > MODULE_LINES:
        yield f"{module.path}: {lines} lines are more than {MODULE_LINES}"


def functions_are_short(module: Module) -> Iterator[str]:
    """Lines from `def` to the end, without the docstring: what is written about a function costs it nothing."""
    for node in module.nodes:
        if isinstance(node, Function):
            doc = docstring_node(node)
            lines = span(node) - (span(doc) if doc else 0)
            if lines > FUNCTION_LINES:
                yield f"{module.path}:{node.lineno} {node.name}: {lines} lines are more than {FUNCTION_LINES}"


def reads_no_environment(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Attribute):
            read = {node.attr}
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            read = {alias.name for alias in node.names}
        else:
            continue
        if read & {"environ", "environb", "getenv", "getenvb", "putenv"}:
            yield f"{module.path}:{node.lineno}: reads the environment"


def does_not_print(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Name) and node.id in {"print", "pprint"}:
            yield f"{module.path}:{node.lineno}: prints"


SQL = re.compile(
    r"\s*(select\b.+\bfrom\b|insert\s+into\b|update\b.+\bset\b|delete\s+from\b|truncate\b|with\b.+\bas\s+(not\s+)?(materialized\s+)?\("
    r"|(create|alter|drop)\s+(or\s+replace\s+)?(unlogged\s+)?(table|index|function|trigger|role|schema|view|database|type)\b)",
    re.IGNORECASE | re.DOTALL,
)


def keeps_sql_in_files(module: Module) -> Iterator[str]:
    """A statement of more than one line stands in a .sql file of its own, where it can be read, run and explained."""
    inside_templates = {id(part) for node in module.nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in module.nodes:
        if not isinstance(node, ast.Constant | ast.JoinedStr) or id(node) in module.docstrings | inside_templates:
            continue
        text = literal_text(node)
        if (span(node) > 1 or "\n" in text.strip()) and SQL.match(text):
            yield f"{module.path}:{node.lineno}: SQL of more than one line"


def literal_text(node: ast.Constant | ast.JoinedStr) -> str:
    """What a string literal says, with each placeholder of an f-string as `?`."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)


SILENCED = re.compile(r"#\s*(type:\s*ignore|noqa|mypy:|ruff:\s*noqa|pragma:)(?P<rest>.*)")
CODE_AND_REASON = re.compile(r"(\[[a-z][\w, -]*\]|:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)\W+\w+\W+\w+")


def silences_with_a_reason(module: Module) -> Iterator[str]:
    """A checker is overruled for one named rule, with the reason on the same line, or not at all."""
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        found = SILENCED.search(token.string) if token.type == tokenize.COMMENT else None
        if found and not CODE_AND_REASON.match(found["rest"]):
            yield f"{module.path}:{token.start[0]}: {token.string!r} needs a code and a reason"


def span(node: ast.stmt | ast.expr) -> int:
    """How many lines a node takes."""
    return (node.end_lineno or node.lineno) - node.lineno + 1
