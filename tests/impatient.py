"""`python -m app` whose times are short enough for a test to wait for. Usage: impatient.py PORT"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402

os.environ["HELIOGRAPH_PORT_BASE"] = sys.argv.pop()

from heliograph_proxy import pace  # noqa: E402

from app import __main__ as server  # noqa: E402
from heliograph.server import body, state  # noqa: E402
from heliograph.server import loop as strict  # noqa: E402
from heliograph.websocket import connection  # noqa: E402

strict.IO_TIMEOUT = strict.HEAD_TIMEOUT = 0.4
state.IDLE_TIMEOUT = 0.8
body.DISCARD_TIMEOUT = 0.3
pace.BODY_SECONDS = 0.8
connection.CLOSE_TIMEOUT = 0.5
server.GRACE = 3

sys.exit(server.main())
