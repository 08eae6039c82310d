"""From scans to an evaluated model."""
