"""What an instance and its manager say to each other, a word a line, over a pair of sockets. Pure.

The manager says BESIDE before the instance begins: another process accepts on the same socket, so this one is not to accept
before it is ready. The instance says LOADED, READY, and STOPPING when its shutdown begins. LEAVE asks it to accept no more, LEFT
says that it does so.
"""

from __future__ import annotations

from heliograph.given import PREFIX

#: The variable that has the descriptor of the instance's end.
REPORT_VARIABLE = f"{PREFIX}REPORT_FD"

LOADED, READY, STOPPING, LEFT = b"loaded", b"ready", b"stopping", b"left"
BESIDE, LEAVE = b"beside", b"leave"
