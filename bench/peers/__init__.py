"""Other loaders of the same slices, run by an interpreter of their own.

Nothing here imports TensorFlow or this project's parts that do: `.venv-peers` holds
what `bench/peers.lock` names and no more.
"""
