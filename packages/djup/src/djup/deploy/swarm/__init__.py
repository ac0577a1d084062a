"""Docker Swarm as a stack sees it: nodes, services, jobs, secrets and configs.

A release is what it is handed: compose files, and the values that they are filled in with. Nothing
here knows `.env`, the checkout, or how a deploy goes.
"""
