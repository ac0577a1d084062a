"""What moves rows, or removes them: backups, snapshots, restores, upgrades, nuke, and undo."""
