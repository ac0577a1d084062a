"""This folder: its `.env`, read or created, and hashes of the files that make a stack."""
