"""What an API server refuses, or runs otherwise than meant, told without one.

names.py       names, labels, namespaces
pods.py        what is inside a pod: mounts, ports, probes, variables, quantities
workloads.py   Deployments and Jobs
references.py  what is named elsewhere must be there
networking.py  Services, policies, routes
scaling.py     autoscalers and disruption budgets
security.py    pod security `restricted`, and more

Each rule yields a sentence for each thing that is wrong.
"""

from tests.k8s.rules import (
    names,
    networking,
    pods,
    references,
    scaling,
    security,
    workloads,
)
from tests.k8s.rules.objects import Object

RULES = (
    *names.RULES,
    *pods.RULES,
    *workloads.RULES,
    *references.RULES,
    *networking.RULES,
    *scaling.RULES,
    *security.RULES,
)


def problems(objects: list[Object]) -> list[str]:
    """Returns everything that any rule finds wrong."""
    return [text for rule in RULES for text in rule(objects)]
