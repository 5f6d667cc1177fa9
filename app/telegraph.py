"""The telegraph: texts that this service sends on a channel in Morse code. What else `Heliograph` gives to an application.

The application publishes and reads from its own code; a rule of its own keeps clients from publishing there; a check says whether
its key works.
"""

from __future__ import annotations

import wirecodes
from flask import Blueprint, Flask, Request, Response, jsonify, request

from app.models import SentTelegrams, Telegram
from heliograph import Heliograph
from heliograph.channels.errors import ChannelError
from heliograph.channels.problems import problem_of
from heliograph.channels.transports import access, http
from heliograph.channels.transports.current import current_channels, current_limits
from heliograph.problems import BadText, UnsupportedMediaType
from heliograph.request import answers, bodies
from heliograph.request.client import current_client
from heliograph.request.openapi import TEXT, Answer, operation
from heliograph.request.services import services

#: The channel, on which nothing else is published, and the path.
CHANNEL, PATH = "telegraph", "/telegrams"

#: Bytes of a text.
MAX_TEXT = 1024

#: Telegrams that are shown, the oldest that the channel keeps.
SHOWN = 100

TAG = "Telegraph"


def add_to(live: Heliograph, app: Flask) -> None:
    # About one channel only: it does not take the place of a secret.
    live.channels.authorize(may, protects=False)
    live.check("telegraph")(key_works)
    bp = Blueprint("telegraph", __name__)
    answers.register_errors(bp, {ChannelError: problem_of})

    @bp.post(PATH)
    @operation(
        "Send a text in Morse code",
        description=f"At most {MAX_TEXT} bytes. It is published on the channel `{CHANNEL}`, where clients publish nothing.",
        tag=TAG,
        body={"text/plain": TEXT},
        answers={201: Answer("Sent", model=Telegram)},
        problems=(*http.PUBLISHING_PROBLEMS, *bodies.PROBLEMS, UnsupportedMediaType),
    )
    def send_telegram() -> tuple[Response, int]:
        access.require_publish(current_channels(), CHANNEL)
        current_limits().require_rate(current_client())
        text = _text()
        morse = wirecodes.get("morse").encode(text, unknown="replace").decode()
        sent = live.channels.publish(CHANNEL, {"text": text, "morse": morse})
        return jsonify(offset=sent.offset, text=text, morse=morse), 201

    @bp.get(PATH)
    @operation(
        "What was sent",
        tag=TAG,
        answers={200: Answer("The oldest first", model=SentTelegrams)},
        problems=access.PROBLEMS,
    )
    def sent_telegrams() -> Response:
        access.require_subscribe(current_channels(), CHANNEL, "history")
        found = live.channels.history(CHANNEL, limit=SHOWN)
        return jsonify(telegrams=[{"offset": one.offset, **one.data} for one in found])

    app.register_blueprint(bp)


def may(action: str, channel: str, request: Request) -> bool:
    """Whether a client may do that: on this channel the application alone publishes, in the view above."""
    return channel != CHANNEL or action != "publish" or request.path == PATH


def key_works() -> bool:
    return wirecodes.get("morse").encode("SOS") == b"... --- ..."


def _text() -> str:
    if not request.mimetype.startswith("text/"):  # the text of a JSON document would be sent as it stands
        raise UnsupportedMediaType("A text is expected here: text/plain.")
    content = bodies.read_request(services().spool, MAX_TEXT).value()
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise BadText(f"Byte {exc.start} is not UTF-8.", position=exc.start) from exc
