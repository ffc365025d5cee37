"""Gatehouse: a CI/CD pipeline whose promotion decision anyone can compute again from signed evidence."""

__version__ = "0.1.0"
