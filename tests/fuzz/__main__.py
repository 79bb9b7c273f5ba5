"""Feed one target with what atheris makes up.

python -m tests.fuzz TARGET [CORPUS…] [-runs=N] [-max_total_time=SECONDS]
"""

import importlib
import sys
from typing import Any

atheris: Any = importlib.import_module("atheris")  # an extra, and for few versions of Python

with atheris.instrument_imports(include=["comfylock"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until told to stop; what makes a target fail is written to a file of its own."""
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
