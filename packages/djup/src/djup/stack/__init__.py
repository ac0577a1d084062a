"""The services of a checkout, in containers or as processes of this machine."""
