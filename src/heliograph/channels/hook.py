"""The application's own rule for who may do what with its channels: `@live.channels.authorize`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

Action = Literal["subscribe", "publish", "presence", "history"]

#: Gets the action, the channel's name and the request; says whether it is allowed.
Rule = Callable[[str, str, Any], bool]


class AuthorizeHook:
    """Of one application. Without a rule everything is allowed that tokens allow."""

    def __init__(self) -> None:
        self.rule: Rule | None = None
        #: Whether the rule stands in for a secret, where the application listens beyond loopback.
        self.protects = False

    def allows(self, action: Action, channel: str, request: Any) -> bool:
        return self.rule is None or bool(self.rule(action, channel, request))
