"""Asks an mri-contrast server which contrast a brain MRI scan has."""
