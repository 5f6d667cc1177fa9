"""`python -m heliograph.cli` is the command `heliograph`."""

import sys

from heliograph.cli import main

sys.exit(main())
