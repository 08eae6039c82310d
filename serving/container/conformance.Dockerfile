# TF Serving's binary and what the conformance suite needs, in one image: the suite starts
# and stops many servers, which it can do only where they are its own processes.
# NOT RUN SO FAR: written where there was no container registry.
ARG SERVER=docker.io/tensorflow/serving:2.20.0
FROM ${SERVER} AS server

# Of a newer glibc than the one that the binary was linked with.
FROM docker.io/library/python:3.11-slim-bookworm

RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openssl \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/requirements.lock
RUN python -m pip install --quiet --no-cache-dir --require-hashes -r /tmp/requirements.lock
COPY --from=server /usr/bin/tensorflow_model_server /usr/bin/tensorflow_model_server

ENV PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
