"""The photo tool: from a photograph's file to that of its transmission."""
