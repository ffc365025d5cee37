"""Request handlers: they parse, call a service, and answer. No rule of the board lives here."""
