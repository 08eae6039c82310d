"""What Prometheus reads: TF Serving's metrics under their names, and our own."""
