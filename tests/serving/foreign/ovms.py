"""Asks the server by ovmsclient: ovms.py grpc|http HOST:PORT SLICES.npy, prints JSON.

Its clients send version 0 where none is named, which TensorFlow Serving does not have.
"""

import json
import sys

import numpy as np
import ovmsclient

transport, target, file = sys.argv[1:]
make = {"grpc": ovmsclient.make_grpc_client, "http": ovmsclient.make_http_client}
client = make[transport](target)
outputs = client.predict({"slices": np.load(file)}, "mri_contrast", model_version=1)
status = client.get_model_status("mri_contrast", model_version=1)
metadata = client.get_model_metadata("mri_contrast", model_version=1)
try:
    client.predict({"slices": np.zeros((1, 3, 3), np.uint8)}, "mri_contrast", 1)
except ovmsclient.tfs_compat.base.errors.InvalidInputError as error:
    refusal = str(error)
print(
    json.dumps(
        {
            "outputs": {name: values.tolist() for name, values in outputs.items()},
            "status": status,
            "metadata": metadata,
            "refusal": refusal,
        }
    )
)
