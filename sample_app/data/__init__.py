"""The data access layer: what is stored, behind one interface."""
