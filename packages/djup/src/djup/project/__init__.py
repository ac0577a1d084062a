"""How the toolkit gets into a repository: its wheels, and what a new project consists of."""
