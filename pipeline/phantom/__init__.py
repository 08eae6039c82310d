"""Simulated scans: subjects, protocols and scanners drawn at random.

    anatomy = render(sample_subject(rng))
    protocol = sample_protocol("FLAIR", rng)
    scan = acquire(anatomy, protocol, sample_acquisition(protocol, spacing, rng))

Sampling draws parameters; applying is pure. Every scan follows from (seed, index).
"""

from pipeline.phantom.scans import (
    SCANS_PER_SUBJECT,
    PhantomConfig,
    PhantomScan,
    phantom_scans,
)

__all__ = ["SCANS_PER_SUBJECT", "PhantomConfig", "PhantomScan", "phantom_scans"]
