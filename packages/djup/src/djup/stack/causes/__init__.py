"""What a service says of itself and has left behind, and the problem by its name that it means."""
