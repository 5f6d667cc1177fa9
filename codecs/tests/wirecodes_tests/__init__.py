"""A package, so that pytest calls these modules wirecodes_tests.*.

Without it their names would begin with the folder's, `codecs`, and pytest would put a package of that name in
the place of Python's own module.
"""
