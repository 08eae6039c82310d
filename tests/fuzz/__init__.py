"""Coverage-guided fuzzing of the client's readers: `make fuzz SECONDS=600`."""
