"""Making environments, reusing results and running sessions. Standard library only: it runs before anything is installed."""
