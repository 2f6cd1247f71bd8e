"""Tests of the replica itself."""
