"""How many servers a day of uploads needs: a load model and a queueing simulation."""
