"""The data: backups, restores, snapshots, and the way back from each of them."""
