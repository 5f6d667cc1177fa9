"""What a token or ticket allows, and until when. Pure.

A token is a JWT with the claims `sub`, `exp`, and `publish` and `subscribe`, which are lists of globs: `*` stands for any
characters, `?` for one. Only HS256 is accepted. A ticket is a token made here for clients that cannot send headers: it repeats what
the token allowed, lasts TICKET_TTL seconds, and has its own audience, so that neither can be used in place of the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALGORITHMS = ["HS256"]

#: Seconds in which a ticket has to be used.
TICKET_TTL = 30

#: Globs of a claim, and characters of one. Names have at most 128; each look at the list of channels tries them all.
MAX_GLOBS, MAX_GLOB = 100, 256

#: Characters of a subject.
MAX_SUBJECT = 256

_AUDIENCE = "heliograph-ticket"


class BadToken(ValueError):
    """Its text says why a token or ticket is refused."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`expires` is in seconds since 1970, None: never."""

    subject: str
    expires: float | None
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def may_publish(self, channel: str) -> bool:
        return _fits(channel, self.publish)

    def may_subscribe(self, channel: str) -> bool:
        return _fits(channel, self.subscribe)


#: Where there is no secret.
EVERYTHING = Grant("", None, ("*",), ("*",))


@dataclass(frozen=True, slots=True)
class Ticket:
    """`id` may be used once."""

    id: str
    grant: Grant


def read_token(token: str, secret: str) -> Grant:
    """Raises BadToken."""
    return _grant(_claims(token, secret, None))


def read_ticket(ticket: str, secret: str) -> Ticket:
    """Raises BadToken. Whether it was used before is not known here."""
    claims = _claims(ticket, secret, _AUDIENCE)
    return Ticket(str(claims.get("jti", "")), _grant({**claims, "exp": claims.get("until")}))


def new_ticket(grant: Grant, secret: str, now: float, id: str) -> str:
    claims = {
        "aud": _AUDIENCE,
        "jti": id,
        "exp": int(now) + TICKET_TTL,
        "sub": grant.subject,
        "until": grant.expires,
        "publish": list(grant.publish),
        "subscribe": list(grant.subscribe),
    }
    return str(_library().encode(claims, secret, algorithm=ALGORITHMS[0]))


def _claims(token: str, secret: str, audience: str | None) -> Mapping[str, Any]:
    jwt = _library()
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token, secret, algorithms=ALGORITHMS, audience=audience, options={"require": ["exp", "sub"]}
        )
    except jwt.ExpiredSignatureError as exc:
        raise BadToken("It has expired.") from exc
    except jwt.MissingRequiredClaimError as exc:
        raise BadToken(f"The claim {exc.claim} is missing.") from exc
    except jwt.InvalidTokenError as exc:
        raise BadToken("It is not valid.") from exc
    except (ValueError, TypeError, RecursionError) as exc:  # claims of kinds that the library does not expect
        raise BadToken("It is not valid.") from exc
    return claims


def _library() -> Any:
    """PyJWT, imported when it is first needed: it takes names out of `ssl`, and `python -m app` patches that after this file."""
    import jwt  # noqa: PLC0415

    return jwt


def _grant(claims: Mapping[str, Any]) -> Grant:
    subject = claims["sub"]
    if len(subject) > MAX_SUBJECT:
        raise BadToken(f"The claim sub has more than {MAX_SUBJECT} characters.")
    return Grant(subject, _time(claims["exp"]), _globs(claims, "publish"), _globs(claims, "subscribe"))


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadToken("The claim exp is not a time.")
    return float(value)


def _globs(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    globs = claims.get(name, [])
    if (
        not isinstance(globs, list)
        or len(globs) > MAX_GLOBS
        or not all(isinstance(glob, str) and len(glob) <= MAX_GLOB for glob in globs)
    ):
        raise BadToken(f"The claim {name} is not a list of at most {MAX_GLOBS} globs.")
    return tuple(globs)


def _fits(channel: str, globs: tuple[str, ...]) -> bool:
    return "*" in globs or any(_matches(channel, glob) for glob in globs)


def _matches(channel: str, glob: str) -> bool:
    """Piece by piece, each at the first place where it fits: unlike a regular expression's, the time of this has a bound."""
    if "*" not in glob:
        return re.fullmatch(_pattern(glob), channel) is not None
    first, *middle, last = [_pattern(piece) for piece in glob.split("*")]
    start, end = re.match(first, channel), re.search(f"(?:{last})\\Z", channel)
    if start is None or end is None:
        return False
    at = start.end()
    for piece in middle:
        found = re.compile(piece).search(channel, at)
        if found is None:
            return False
        at = found.end()
    return at <= end.start()


def _pattern(piece: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in piece)
