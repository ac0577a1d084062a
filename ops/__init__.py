"""What the tasks are made of; each module is one subject."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the folder that holds tasks.py."""
