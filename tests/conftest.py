"""What holds for all tests."""

from hypothesis import settings

# The same examples in each run: a test that fails says something about the change, not about luck.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")
