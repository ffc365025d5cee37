"""GitHub workflows: read strictly, and held to rules that scanners lack."""
