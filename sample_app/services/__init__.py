"""Business logic: what may be done, whatever asks for it and wherever it is stored."""
