"""Environments, reuse and sessions. Standard library only: it runs before anything is installed."""
