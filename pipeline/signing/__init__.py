"""Signing statements with Sigstore: the public instance, a private one, or the one embedded here."""
