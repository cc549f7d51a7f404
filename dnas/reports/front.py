"""Pareto fronts: what nothing else beats in all objectives, and how much of the space of objectives that covers.

Axis letters: N points, M objectives, of each of which more is better.
"""

import numpy as np


def nondominated(points: np.ndarray) -> np.ndarray:
    """Which of points [N, M] no other is at least as good as in all objectives; of equal ones the first. Bool [N]."""
    found, kept = np.zeros(len(points), bool), list[int]()
    for i in np.lexsort((-np.arange(len(points)), *points.T[::-1]))[::-1]:  # whoever dominates comes before
        if not (points[kept] >= points[i]).all(1).any():
            kept.append(int(i))
    found[kept] = True
    return found


def hypervolume(points: np.ndarray) -> float:
    """The volume of all that points [N, M] are better than, above 0 in every objective (Zitzler and Thiele 1999)."""
    points = points[(points > 0).all(1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(-points[:, -1])]
    heights = points[:, -1] - np.append(points[1:, -1], 0)
    if points.shape[1] == 2:
        return float(heights @ np.maximum.accumulate(points[:, 0]))
    return float(sum(h * hypervolume(points[: i + 1, :-1]) for i, h in enumerate(heights) if h > 0))


def growing(points: np.ndarray) -> np.ndarray:
    """The volume of the first n points [N, M], for every n [N]."""
    volumes, front = np.zeros(len(points)), points[:0]
    for n, point in enumerate(points):
        if (front >= point).all(1).any():
            volumes[n] = volumes[n - 1]
            continue
        front = np.concatenate([front[~(point >= front).all(1)], point[None]])
        volumes[n] = hypervolume(front)
    return volumes
