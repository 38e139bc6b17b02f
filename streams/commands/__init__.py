"""What `holdfast` does, one module for each group of commands."""
