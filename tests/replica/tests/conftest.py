"""Marker of the tests that run a replica."""


def pytest_configure(config):
    config.addinivalue_line("markers", "integration: runs a replica; `-m 'not integration'` leaves them out")
