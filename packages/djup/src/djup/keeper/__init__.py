"""The keeper: a service of production that makes backups, ships them, and tries them out.

It runs in a container of its own (Dockerfile here), from a copy of this package, and holds no
Docker socket. times and thinning decide, pure; store speaks to rclone, seal to age; uploads keeps
the files; work does one round, tell says how it went. __main__ is what the container runs.
"""
