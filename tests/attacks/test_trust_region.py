"""Exact trust-region steps, checked against SciPy and brute force."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from neurofreq import _neurofreq

NORMS = {
    "linf": lambda u: np.abs(u).max(axis=-1),
    "l2": lambda u: np.linalg.norm(u, axis=-1),
    "l1": lambda u: np.abs(u).sum(axis=-1),
    "l0": lambda u: np.count_nonzero(u, axis=-1),
}
SLACK = 1e3


def problem(seed, n):
    rng = np.random.default_rng(seed)
    origin = np.clip(rng.uniform(-0.2, 1.2, n), 0, 1)
    near = rng.choice([0, 1e-3, 0.1, 0.5])
    point = np.clip(origin + rng.normal(0, near, n), 0, 1)
    normal = rng.normal(0, 1, n) * (rng.uniform(size=n) > 0.2)
    change = rng.choice([0, 0.01, 0.05]) * rng.normal() * np.abs(normal).sum()
    return origin, point, normal, change


def solve(norm, origin, point, normal, change, radius):
    rows = (np.ascontiguousarray(row)[None] for row in (origin, point, normal))
    found, reached = _neurofreq.trust_region_steps(
        norm, *rows, np.array([change]), np.array([radius])
    )
    return found[0], reached[0]


def check(found, origin, point, normal, change, radius):
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.linalg.norm(found - point) <= radius * (1 + 1e-9)
    assert normal @ (found - point) == pytest.approx(change, rel=1e-9, abs=1e-12)


def furthest(origin, point, normal, change):
    return np.where(normal * change > 0, 1.0, np.where(normal == 0, point, 0.0))


def linear_program(norm, origin, point, normal, change):
    """Minimize over the new point and bounds of its change: one, or one per pixel."""
    n = len(origin)
    bounds = np.ones((n, 1)) if norm == "linf" else np.eye(n)
    k = bounds.shape[1]
    return linprog(
        np.r_[np.zeros(n), np.ones(k)],
        A_ub=np.block([[np.eye(n), -bounds], [-np.eye(n), -bounds]]),
        b_ub=np.r_[origin, -origin],
        A_eq=np.r_[normal, np.zeros(k)][None],
        b_eq=[change + normal @ point],
        bounds=[(0, 1)] * n + [(0, None)] * k,
    )


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("seed", range(300))
def test_a_slack_radius_is_a_linear_program(norm, seed):
    given = problem(seed, 1 + seed % 40)
    origin, _point, normal, change = given
    if not normal.any():
        normal[0] = 1.0
    expected = linear_program(norm, *given)
    found, reached = solve(norm, *given, SLACK)
    assert reached == (expected.status == 0)
    if reached:
        check(found, *given, SLACK)
        size = NORMS[norm](found - origin)
        assert size == pytest.approx(expected.fun, rel=1e-7, abs=1e-7)
    elif change:
        np.testing.assert_allclose(found, furthest(*given), atol=1e-12)


@pytest.mark.parametrize("seed", range(300))
def test_a_slack_radius_is_a_projection(seed):
    given = origin, point, normal, change = problem(seed, 1 + seed % 40)
    found, reached = solve("l2", *given, SLACK)
    if not reached:
        return
    check(found, *given, SLACK)
    height = change + normal @ (point - origin)

    def move(scale):
        return np.clip(scale * normal, -origin, 1 - origin)

    low, high = -1e6, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        if normal @ move(middle) < height:
            low = middle
        else:
            high = middle
    np.testing.assert_allclose(found - origin, move(high), atol=1e-8)


def convex_programme(norm, origin, point, normal, change, radius, start):
    """Minimize the norm with SLSQP, split in parts where it has kinks."""
    n = len(origin)
    # Variables: the parts of u = up - down, and the size for linf.
    split = norm != "l2"
    signs = np.hstack([np.eye(n), -np.eye(n)]) if split else np.eye(n)
    if norm == "linf":
        signs = np.hstack([signs, np.zeros((n, 1))])

    def objective(v):
        if norm == "l2":
            return v @ v / 2, v
        if norm == "l1":
            return v.sum(), np.ones(len(v))
        return v[-1], np.r_[np.zeros(2 * n), 1.0]

    def step(v):
        return signs @ v + origin - point

    constraints = [
        {
            "type": "eq",
            "fun": lambda v: normal @ step(v) - change,
            "jac": lambda v: normal @ signs,
        },
        {
            "type": "ineq",
            "fun": lambda v: radius**2 - step(v) @ step(v),
            "jac": lambda v: -2 * step(v) @ signs,
        },
    ]
    bounds = list(zip(-origin, 1 - origin, strict=True))
    u = start - origin
    v = u
    if split:
        bounds = [(0, high) for _, high in bounds] + [(0, -low) for low, _ in bounds]
        v = np.r_[np.maximum(u, 0), np.maximum(-u, 0)]
    if norm == "linf":
        bounds.append((0, 1))
        v = np.r_[v, np.abs(u).max()]
        sums = np.hstack([-np.eye(n), -np.eye(n), np.ones((n, 1))])
        constraints.append(
            {"type": "ineq", "fun": lambda v: sums @ v, "jac": lambda v: sums}
        )
    return minimize(
        objective,
        v,
        jac=True,
        method="SLSQP",
        bounds=bounds,
        constraints=constraints,
        options={"maxiter": 500, "ftol": 1e-13},
    )


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_binding_radius_is_a_convex_programme(norm):
    n_compared = 0
    for seed in range(120):
        given = origin, point, _normal, change = problem(seed, 2 + seed % 8)
        slack, reached = solve(norm, *given, SLACK)
        radius = (0.4 + 0.5 * (seed % 3) / 2) * np.linalg.norm(slack - point)
        found, fits = solve(norm, *given, radius)
        if not (reached and fits and change):
            continue
        check(found, *given, radius)
        expected = convex_programme(norm, *given, radius, found)
        if not expected.success:
            continue
        n_compared += 1
        size = NORMS[norm](found - origin)
        best = np.sqrt(2 * expected.fun) if norm == "l2" else expected.fun
        # A step may be shorter than the radius by 5e-7 of it (linf).
        assert size <= best * (1 + 1e-5) + 1e-7
        assert size >= best * (1 - 1e-5) - 1e-6
    assert n_compared >= 30


def shortest_on(free, origin, point, normal, change):
    """Length of the shortest step onto the plane if only `free` pixels leave origin."""
    low = np.where(free, -point, origin - point)
    high = np.where(free, 1 - point, origin - point)

    def along(scale):
        return normal @ np.clip(scale[:, None] * normal, low, high).T

    # Bisection for the scale at which the step reaches the plane.
    left, right = np.array([-1e4]), np.array([1e4])
    if not along(left)[0] <= change <= along(right)[0]:
        return np.inf
    for _ in range(60):
        middle = (left + right) / 2
        if along(middle)[0] < change:
            left = middle
        else:
            right = middle
    return np.linalg.norm(np.clip(right * normal, low, high))


def fewest(given, radius):
    n = len(given[0])
    for count in range(n + 1):
        for chosen in itertools.combinations(range(n), count):
            free = np.isin(np.arange(n), chosen)
            if shortest_on(free, *given) <= radius:
                return count
    return None


def test_the_fewest_pixels_by_brute_force():
    excess = []
    for seed in range(60):
        given = origin, point, _normal, _change = problem(seed, 2 + seed % 5)
        slack, reached = solve("l0", *given, SLACK)
        if not reached:
            continue
        assert NORMS["l0"](slack - origin) == fewest(given, SLACK)
        radius = 0.7 * np.linalg.norm(slack - point)
        found, fits = solve("l0", *given, radius)
        if fits:
            check(found, *given, radius)
            least = fewest(given, radius * (1 + 1e-9))
            excess.append(NORMS["l0"](found - origin) - least)
    assert len(excess) >= 20
    assert set(excess) <= {0, 1}
    assert np.mean(excess) < 0.1


@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_normal_is_no_step(norm):
    point = np.array([0.2, 0.7])
    found, reached = solve(norm, np.array([0.5, 0.5]), point, np.zeros(2), 1.0, 1.0)
    assert not reached
    np.testing.assert_array_equal(found, point)


@pytest.mark.parametrize("norm", NORMS)
def test_a_plane_too_far_is_approached(norm):
    for seed in range(50):
        given = _, point, normal, change = problem(seed, 10)
        if not normal.any() or not change:
            continue
        radius = 0.1 * abs(change) / np.linalg.norm(normal)
        found, reached = solve(norm, *given, radius)
        assert not reached
        assert np.linalg.norm(found - point) <= radius * (1 + 1e-9)
        assert np.sign(change) * normal @ (found - point) > 0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_is_its_rows(norm, dtype):
    rows = [problem(seed, 37) for seed in range(40)]
    images = [np.stack([row[k] for row in rows]).astype(dtype) for k in range(3)]
    changes = np.array([row[3] for row in rows])
    radii = np.resize([0.1, 0.5, 1e3], len(rows))
    found, reached = _neurofreq.trust_region_steps(norm, *images, changes, radii)
    assert found.dtype == dtype
    # Other strides give the same result.
    turned = [np.asfortranarray(image) for image in images]
    again, _ = _neurofreq.trust_region_steps(norm, *turned, changes, radii)
    np.testing.assert_array_equal(again, found)
    for i in range(len(rows)):
        alone, on_plane = solve(norm, *(x[i] for x in images), changes[i], radii[i])
        np.testing.assert_array_equal(alone, found[i])
        assert on_plane == reached[i]


def test_bad_rows_are_refused():
    rows = np.zeros((2, 3))
    row = np.zeros(2)
    call = _neurofreq.trust_region_steps
    with pytest.raises(ValueError, match=r"points: got shape \(2, 2\), expected"):
        call("l2", rows, rows[:, :2], rows, row, row)
    with pytest.raises(ValueError, match="radii: got shape 1, expected 2"):
        call("l2", rows, rows, rows, row, row[:1])
    with pytest.raises(ValueError, match="norm: got 'l3', expected"):
        call("l3", rows, rows, rows, row, row)
    with pytest.raises(TypeError, match="different dtypes"):
        call("l2", rows, rows.astype(np.float32), rows, row, row)
