"""This machine: its processes, ports, files and users, and the .venv of the checkout."""
