"""`.env` as data: its format, its keys, and what each value may be."""
