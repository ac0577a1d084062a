"""What the web image consists of besides packages: `entrypoint`, `healthcheck`, bytecode.

The Dockerfile runs `python -m djup_web.image` once, at the end of each image.
"""
