"""In the kernel of a notebook: which cell a place of the user's code is in, and a banner that draws nothing."""

import sys


def tips(module):
    """IPython draws a tip from `random` for each client that asks who it is, which is a matter of time.

    The first of its tips is shown instead: the state of `random` is the code's own from the first cell on.
    """
    choices = module._tips["random"]

    def pick_tip():
        return choices[0]

    pick_tip.__module__, pick_tip.__doc__ = module.__name__, module.pick_tip.__doc__
    module.pick_tip = pick_tip


def cell(name):
    """``In[3]`` for the file that the third executed cell was compiled as; None where that is not known."""
    try:
        shell = sys.modules["IPython.core.interactiveshell"].InteractiveShell._instance
        return "In[%s]" % shell.compile._filename_map[name]
    except Exception:
        return None
