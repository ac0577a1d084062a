"""What `inv doctor` looks at: a module for each subject."""
