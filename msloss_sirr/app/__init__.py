"""The web page: a photograph in, its transmission out, on this machine alone."""
