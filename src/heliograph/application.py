"""How an application is named: `module:callable`, `module:factory("x", 2)` or `module`. Pure.

Nothing is imported here: the manager checks what it was given, and only an instance loads it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What a module is looked through for, in this order, where only the module is named. A factory is called without arguments.
CALLABLES, FACTORY = ("app", "application"), "create_app"

ALLOWED = 'module:callable, module:factory("x", 2) with literals, or a module that has app, application or create_app, is allowed'


@dataclass(frozen=True)
class Call:
    """The arguments of a factory."""

    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ApplicationName:
    """Where an application is found. No attribute: the module is looked through."""

    module: str
    attribute: tuple[str, ...] = ()
    call: Call | None = None


def read(text: str) -> ApplicationName:
    """Raises ValueError, whose text says what is wrong."""
    module, colon, expression = text.strip().partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{module!r} is no module's name")
    if not colon:
        return ApplicationName(module)
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as exc:  # ValueError: a null character
        raise ValueError(f"{expression!r} is neither a name nor a call") from exc
    if isinstance(node, ast.Call):
        return ApplicationName(module, _names(node.func, expression), _call(node))
    return ApplicationName(module, _names(node, expression))


def _names(node: ast.expr, expression: str) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (*_names(node.value, expression), node.attr)
    raise ValueError(f"{expression!r} is neither a name nor a call of one")


def _call(node: ast.Call) -> Call:
    if any(one.arg is None for one in node.keywords):
        raise ValueError("** has no place in a factory's arguments")
    try:
        return Call(
            tuple(ast.literal_eval(one) for one in node.args),
            {str(one.arg): ast.literal_eval(one.value) for one in node.keywords},
        )
    except ValueError as exc:
        raise ValueError('a factory\'s arguments are literals, such as "x", 2 or True') from exc
