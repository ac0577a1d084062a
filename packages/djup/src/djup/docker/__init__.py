"""An engine: what it holds of this project, and why it does not answer."""
