"""Before the first step: notes which processes run."""

from __future__ import annotations

from conftest import applications, note


def test_the_applications_run(app):
    note(applications(app))
