"""Describes a decision rule in words."""

import math

from sem_lightning.decision.intervals import clopper_pearson_upper, wilson_interval
from sem_lightning.decision.rule import Rule


def explain_rule(rule: Rule) -> str:
    """The rule, its risk bound and its overkill, in a few lines."""
    lines = [f"rule: {rule.kind}, temperature {rule.temperature:.3f}"]
    if rule.risk_bound is not None and rule.good_threshold is not None:
        bound = rule.risk_bound
        low, high = wilson_interval(bound.overkill, bound.good)
        upper = clopper_pearson_upper(bound.escapes, bound.defects, bound.confidence)
        lines += [
            f"passes as good with P(good) above {rule.good_threshold:.6g}",
            f"escape at most {bound.max_escape:g} with confidence {bound.confidence:g} (bound {upper:.5f}: "
            f"{bound.escapes} of {bound.defects} defective calibration images pass)",
            f"overkill {bound.overkill} of {bound.good} good ones: {bound.overkill / max(bound.good, 1):.4f} "
            f"[{low:.4f}, {high:.4f}]",
        ]
    unsure = []
    if math.isfinite(rule.ood_limit):
        unsure.append(f"out-of-distribution score above {rule.ood_limit:.1f}")
    if rule.margin:
        unsure.append(f"closer than {rule.margin:.2f} in log odds to another decision")
    lines.append(f"unsure: {' or '.join(unsure) or 'never'}")
    return "\n".join(lines)
