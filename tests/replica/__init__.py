"""A small Tank of real parts on this machine: see README.md."""
