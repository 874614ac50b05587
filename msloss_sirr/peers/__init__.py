"""Methods side by side, removers or not: scores, time and memory on the same pairs, in one run."""
