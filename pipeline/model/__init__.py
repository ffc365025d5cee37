"""Frozen types that every other part speaks in; imports nothing else of the package."""
