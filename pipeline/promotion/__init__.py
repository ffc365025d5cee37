"""Promotion: the environments' ledgers, and what may be written into them."""
