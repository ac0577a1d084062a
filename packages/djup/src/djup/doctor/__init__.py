"""`inv doctor`: what is wrong with this checkout, and what an error code means."""
