"""What a training leaves on the disk, and what its user sees."""
