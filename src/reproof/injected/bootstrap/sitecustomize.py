"""The way in for environments that may not be touched: this folder stands first on PYTHONPATH.

It starts reproof's bootstrap and then gives way to the user's own ``sitecustomize``, failures included.
"""

import os
import sys


def _start_reproof(folder):
    try:
        import reproof_bootstrap  # noqa: F401
    except Exception:
        pass
    # The program, and the search for the user's own module, see the path without us.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder]


def _give_way():
    """Import the user's own module under the name that this one has; without one, this one stays."""
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        sys.modules["sitecustomize"] = ours
        if error.name != "sitecustomize":
            raise
    except BaseException:
        sys.modules["sitecustomize"] = ours
        raise


_start_reproof(os.path.dirname(os.path.abspath(__file__)))
_give_way()
