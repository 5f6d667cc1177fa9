"""What wsgi.py serves, with its JSON answers checked."""

from __future__ import annotations

import wsgi  # first: it patches
from tests.checked_answers import check_answers

app = wsgi.app
check_answers(app)
