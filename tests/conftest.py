"""For all suites: `ops` and `tasks` come from this checkout, wherever pytest is called."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
