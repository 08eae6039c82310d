"""The study's networks, its improvements one at a time, and ours, on the same data.

python -m pipeline.experiments --shards data/shards/NAME --test data/shards/SEALED

runs/experiments/NAME-SEED/           the run of a training
runs/experiments/NAME-SEED.test.npz   what its network says of every test slice
runs/experiments/apart.json           that no subject of the test is learned from
runs/experiments/experiments.json     the table; experiments.md to read
"""
