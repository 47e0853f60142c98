"""The engine: a study file in, maps and scores in a store, results out; it names no component."""
