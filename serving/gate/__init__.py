"""Decides whether an export may be published.

    answers.py       answers as Keras does, the same twice, refuses wrong shapes
    guards.py        every input has its shape checked
    session.py       loads it as TF Serving does
    warm_up.py       the requests that servers replay succeed
    interface.py     callers of the stable version can use it
    comparison.py    no less accurate, no worse calibrated than the stable version
    budget.py        small and fast enough; rules.py: what is allowed
    decision.py      all of it, with the evidence for the model card and the history

What would answer wrongly, or take a server down, is refused at once and always; what is
worse than the stable version is refused with all the reasons, and may be overridden.
"""

from serving.gate.answers import TOLERANCE, check
from serving.gate.decision import decide
from serving.gate.refusal import GateRefusedError
from serving.gate.rules import DEFAULT, Rules

__all__ = ["DEFAULT", "TOLERANCE", "GateRefusedError", "Rules", "check", "decide"]
