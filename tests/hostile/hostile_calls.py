"""Every public function with good arguments, and the kind of each argument."""

import hostile_calls_figures
import hostile_calls_measures
import hostile_calls_others
from hostile_made import CALLS, Call

__all__ = ["CALLS", "Call"]

# Importing a table fills it.
assert hostile_calls_figures
assert hostile_calls_measures
assert hostile_calls_others
