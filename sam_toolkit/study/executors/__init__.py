"""Executors: in this process, or in supervised processes beside it."""
