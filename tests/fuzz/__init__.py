r"""Coverage-guided fuzzing of the client's readers: `make fuzz SECONDS=600`.

Which branches the corpus and the readers' tests reach:

    PYTHONPATH=serving/client .venv-fuzz/bin/python -m coverage run --branch \
        --source=mri_contrast -m pytest tests/fuzz tests/client/test_{damage,dicom,\
images,limits,mgh,nifti,nrrd,scans}.py && .venv-fuzz/bin/python -m coverage report

`python -m tests.fuzz.seeds` makes the seeds anew. What breaks a promise goes, with its
mending, into `tests/fuzz/found/TARGET`, where `test_corpus.py` reads it ever after.
"""
