"""What a token or ticket allows, and until when. Pure.

A token is a JWT with the claims `sub`, `exp`, and `publish` and `subscribe`, which are lists of globs (`globs.py`). Only HS256 is
accepted. A ticket is a token made here for clients that cannot send headers: it repeats what the token allowed, and has its own
audience, so that neither can be used in place of the other. Most are for one use within TICKET_TTL seconds; one for an EventSource
names its channel and lasts as long as the token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heliograph.channels.transports.globs import compiled
from heliograph.request.options import TICKET_AUDIENCE, AccessOptions

ALGORITHM = "HS256"

#: Seconds in which a ticket has to be used.
TICKET_TTL = 30

#: Globs of a claim, and characters of one. Names have at most 128.
MAX_GLOBS, MAX_GLOB = 100, 256

#: Characters of a subject.
MAX_SUBJECT = 256


#: Times after this one are taken for it: it is in the year 5138, and timers and dates can still count with it.
LAST_TIME = 1e11


class BadToken(ValueError):
    """Its text says why a token or ticket is refused."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`expires` is in seconds since 1970, with the leeway; None: never."""

    subject: str
    expires: float | None
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def may_publish(self, channel: str) -> bool:
        return channel in compiled(self.publish)

    def may_subscribe(self, channel: str) -> bool:
        return channel in compiled(self.subscribe)


#: Where there is no secret.
EVERYTHING = Grant("", None, ("*",), ("*",))


@dataclass(frozen=True, slots=True)
class Ticket:
    """`id` may be used once; or, where there is an `events_channel`, for one stream of events of this channel at a time."""

    id: str
    grant: Grant
    events_channel: str | None = None
    #: In seconds since 1970.
    issued: float = 0.0


def read_token(token: str, access: AccessOptions, now: float) -> Grant:
    """Raises BadToken."""
    claims = _signed_claims(token, access.auth_secret)
    audiences = _audiences(claims)
    if TICKET_AUDIENCE in audiences:
        raise BadToken("This is a ticket, not a token: it goes into ?ticket=.")
    if access.auth_audience:
        if "aud" not in claims:
            raise BadToken("The claim aud is missing.")
        if not set(audiences) & set(access.auth_audience):
            raise BadToken("The claim aud does not name this service (HELIOGRAPH_AUTH_AUDIENCE).")
    expires = _time(claims, "exp") + access.auth_leeway
    if expires <= now:
        raise BadToken("The claim exp is in the past: the token has expired.")
    for name in ("nbf", "iat"):
        if name in claims and _time(claims, name) > now + access.auth_leeway:
            raise BadToken(f"The claim {name} is in the future: the token is not valid yet.")
    return _grant(claims, expires)


def read_ticket(ticket: str, secrets: tuple[str, ...], now: float) -> Ticket:
    """Raises BadToken. Whether it was used before is not known here."""
    claims = _signed_claims(ticket, secrets)
    if TICKET_AUDIENCE not in _audiences(claims):
        raise BadToken("This is not a ticket: POST /channels/ticket gives one.")
    if _time(claims, "exp") <= now:
        raise BadToken("The ticket has expired.")
    until = None if claims.get("until") is None else _time(claims, "until")
    if until is not None and until <= now:
        raise BadToken("The token that this ticket was for has expired.")
    issued = _time(claims, "iat") if "iat" in claims else 0.0
    return Ticket(str(claims.get("jti", "")), _grant(claims, until), claims.get("events"), issued)


def new_ticket(ticket: Ticket, secret: str, now: float) -> str:
    """The text of a ticket."""
    grant, channel = ticket.grant, ticket.events_channel
    short = channel is None or grant.expires is None
    claims = {
        "aud": TICKET_AUDIENCE,
        "jti": ticket.id,
        "iat": now,
        "exp": int(now) + TICKET_TTL if short else grant.expires,
        "sub": grant.subject,
        "until": grant.expires,
        "publish": [] if channel else list(grant.publish),
        "subscribe": [channel] if channel else list(grant.subscribe),
        **({"events": channel} if channel else {}),
    }
    return str(_library().encode(claims, secret, algorithm=ALGORITHM))


def _signed_claims(token: str, secrets: tuple[str, ...]) -> Mapping[str, Any]:
    """The claims, of which nothing but the signature is checked yet: our words say which of them is wrong."""
    jwt = _library()
    options = {"verify_signature": True, **dict.fromkeys(_NOT_CHECKED, False)}
    for secret in secrets:
        try:
            claims: Mapping[str, Any] = jwt.decode(token, secret, algorithms=[ALGORITHM], options=options)
            return claims
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAlgorithmError as exc:
            raise BadToken(f"It is not signed by {ALGORITHM}.") from exc
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as exc:
            raise BadToken("It is not a JSON Web Token.") from exc
    raise BadToken("Its signature is not of this service's secret.")


#: What PyJWT would check of the claims.
_NOT_CHECKED = (
    "verify_exp",
    "verify_nbf",
    "verify_iat",
    "verify_aud",
    "verify_iss",
    "verify_sub",
    "verify_jti",
)


def _library() -> Any:
    """PyJWT, imported when it is first needed: it takes names out of `ssl`, and `python -m app` patches that after this file."""
    import jwt  # noqa: PLC0415

    return jwt


def _grant(claims: Mapping[str, Any], expires: float | None) -> Grant:
    subject = _claim(claims, "sub")
    if not isinstance(subject, str):
        raise BadToken("The claim sub is not a text.")
    if len(subject) > MAX_SUBJECT:
        raise BadToken(f"The claim sub has more than {MAX_SUBJECT} characters.")
    return Grant(subject, expires, _globs(claims, "publish"), _globs(claims, "subscribe"))


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if name not in claims:
        raise BadToken(f"The claim {name} is missing.")
    return claims[name]


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = _claim(claims, name)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return min(float(value), LAST_TIME)
    except OverflowError:  # more digits than a float has
        pass
    raise BadToken(f"The claim {name} is not a time in seconds since 1970.")


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    """What the claim aud names: a text, or a list of texts (RFC 7519, 4.1.3)."""
    value = claims.get("aud", [])
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(audience, str) for audience in found):
        raise BadToken("The claim aud is neither a text nor a list of texts.")
    return found


def _globs(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    globs = claims.get(name, [])
    if (
        not isinstance(globs, list)
        or len(globs) > MAX_GLOBS
        or not all(isinstance(glob, str) and len(glob) <= MAX_GLOB for glob in globs)
    ):
        raise BadToken(f"The claim {name} is not a list of at most {MAX_GLOBS} globs.")
    return tuple(globs)
