"""Why sums of losses over steps train as they do: what the paper says of it, measured."""
