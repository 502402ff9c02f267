"""How the generated tests draw their examples."""

from __future__ import annotations

from hypothesis import settings

# The same examples in every run, so that a red build means a change and not a draw. To look further afield:
# pytest --hypothesis-profile=explore
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")
