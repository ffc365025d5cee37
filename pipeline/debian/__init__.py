"""The base's packages: resolved through Debian's signed lists, locked, and fetched by hash."""
