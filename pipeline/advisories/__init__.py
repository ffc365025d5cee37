"""Known vulnerabilities: feeds behind one small interface, what they say of the locks, and how grave it is."""
