"""Checks objects by the API's own schemas, strictly: run by the Python that has them.

Reads a JSON list of objects; prints one of what is wrong. An object without a schema is
wrong, too, unless its API is one of --custom, which other schemas are for.
"""

import argparse
import functools
import json
import sys
from typing import Any

import jsonschema
from kubernetes_validate import utils

# It would read the same megabytes again for each object.
utils.schema_contents = functools.cache(utils.schema_contents)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--custom", nargs="*", default=[])
    given = parser.parse_args()
    problems = []
    for each in json.load(sys.stdin):
        if each["apiVersion"].split("/")[0] in given.custom:
            continue
        where = f"{each['kind']}/{each['metadata']['name']}"
        problems += [f"{where}: {text}" for text in check(each, given.version)]
    json.dump(problems, sys.stdout)


def check(each: dict[str, Any], version: str) -> list[str]:
    try:
        utils.validate(each, version, strict=True)
    except utils.SchemaNotFoundError as error:
        return [error.message]
    except utils.ValidationError as error:
        return [f"{'/'.join(map(str, error.path))}: {error.message}"]
    except jsonschema.ValidationError as error:
        return [error.message]
    return []


if __name__ == "__main__":
    main()
