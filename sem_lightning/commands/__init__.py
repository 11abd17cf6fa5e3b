"""The commands, one short module each."""

import signal
import sys
from pathlib import Path

_IS_COMMAND = bool(sys.argv) and (Path(sys.argv[0]).name.startswith("sem-") or sys.argv[0] == "-m")
if _IS_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until the command runs there is nothing to tidy up, and Ctrl-C must not print where Python was in its imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
