"""From locked Debian packages, locked wheels and a Dockerfile without RUN to a reproducible OCI image."""
