"""The table of a cache in PostgreSQL, made by the migrations; caches.py has the setting."""
