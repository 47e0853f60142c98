"""From nodes of a graph to operators: one reader for a module, the function and the method that do the same."""
