"""What is done with the code: linters, suites, and the locks of the requirements."""
