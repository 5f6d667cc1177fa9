"""`python -P -m heliograph.cli.load APP`: loads an application as an instance does, and tells what is wrong. The exit status.

Without -P the modules of the project would be taken for those of the standard library that have their names.
"""

from gevent import monkey

from heliograph.server import plugins

with plugins.read_once():
    monkey.patch_all()

import os
import sys

from heliograph.server.loading import CannotLoad, load, tell

if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    try:
        load(sys.argv[1])
    except CannotLoad as error:
        tell(error)
        sys.exit(1)
