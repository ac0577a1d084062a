"""From what a failed service left behind to the problem by its name."""
