"""Docker Swarm as a stack sees it: nodes, services, jobs, secrets and configs."""
