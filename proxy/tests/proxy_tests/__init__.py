"""A package, so that these modules have one name, proxy_tests.*, wherever pytest is started.

`backends`, `listening` and `processes` are tools: real servers and processes, used by the tests of the whole project
too. `conftest` starts a proxy in the test's process.
"""
