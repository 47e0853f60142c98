"""Times the compiled operators against what could be used instead, in one process, and compares two such runs."""
