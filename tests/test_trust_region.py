"""The exact step against SciPy: a linear program and a convex programme."""

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from neurofreq import _neurofreq


def problem(seed, n):
    rng = np.random.default_rng(seed)
    origin = np.clip(rng.uniform(-0.2, 1.2, n), 0, 1)
    point = np.clip(origin + rng.normal(0, 0.1, n), 0, 1)
    normal = rng.normal(0, 1, n) * (rng.uniform(size=n) > 0.2)
    change = rng.normal(0, 0.05) * np.abs(normal).sum()
    return origin, point, normal, change


def solve(origin, point, normal, change, radius):
    return _neurofreq.linf_step(np.stack([origin, point, normal]), change, radius)


@pytest.mark.parametrize("seed", range(300))
def test_a_slack_radius_is_a_linear_program(seed):
    n = 1 + seed % 40
    origin, point, normal, change = problem(seed, n)
    if not normal.any():
        normal[0] = 1.0
    # Variables: the new point and its size.
    walls = np.block(
        [[np.eye(n), -np.ones((n, 1))], [-np.eye(n), -np.ones((n, 1))]],
    )
    expected = linprog(
        np.r_[np.zeros(n), 1.0],
        A_ub=walls,
        b_ub=np.r_[origin, -origin],
        A_eq=np.r_[normal, 0.0][None],
        b_eq=[change + normal @ point],
        bounds=[(0, 1)] * n + [(0, None)],
    )
    found, reached = solve(origin, point, normal, change, 1e3)
    assert reached == (expected.status == 0)
    if reached:
        assert np.abs(found - origin).max() == pytest.approx(expected.fun, abs=1e-7)
        assert normal @ (found - point) == pytest.approx(change, rel=1e-6, abs=1e-9)
    else:
        best = np.where(normal * change > 0, 1.0, np.where(normal == 0, point, 0.0))
        np.testing.assert_allclose(found, best, atol=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_a_binding_radius_is_a_convex_programme(seed):
    n = 2 + seed % 8
    origin, point, normal, change = problem(seed, n)
    change *= 0.2
    slack, reached = solve(origin, point, normal, change, 1e3)
    if not reached:
        return
    radius = 0.7 * np.linalg.norm(slack - point)
    found, reached = solve(origin, point, normal, change, radius)
    step = found - point
    assert np.linalg.norm(step) <= radius * (1 + 1e-9)
    if not reached:
        return
    constraints = [
        {"type": "eq", "fun": lambda v: normal @ (v[:-1] - point) - change},
        {"type": "ineq", "fun": lambda v: v[-1] - (v[:-1] - origin)},
        {"type": "ineq", "fun": lambda v: v[-1] + (v[:-1] - origin)},
        {"type": "ineq", "fun": lambda v: radius**2 - ((v[:-1] - point) ** 2).sum()},
    ]
    expected = minimize(
        lambda v: v[-1],
        np.r_[point, 1.0],
        jac=lambda v: np.r_[np.zeros(n), 1.0],
        method="SLSQP",
        bounds=[(0, 1)] * n + [(0, 1)],
        constraints=constraints,
        options={"maxiter": 500, "ftol": 1e-12},
    )
    if not expected.success:
        return
    size = np.abs(found - origin).max()
    assert size <= expected.fun * (1 + 1e-4) + 1e-9
    assert size >= expected.fun * (1 - 1e-4) - 1e-6


def test_a_zero_normal_is_no_step():
    point = np.array([0.2, 0.7])
    found, reached = solve(np.array([0.5, 0.5]), point, np.zeros(2), 1.0, 1.0)
    assert not reached
    np.testing.assert_array_equal(found, point)
