"""See the package."""

# ruff: noqa
# mypy: ignore-errors
from benchmarks.tried_once import DATA, FOLDER
import sys, numpy as np
from benchmarks.tried_once.learn import *
from inference.binary import Binary

NAME = {"held_Ww": "Ww", "held_Wmw": "Wmw", "held_Yw": "Yw"}


def path(n):
    return f"{FOLDER}/p_{n.replace(' ', '_').replace(',', '')}.npz"


def mix(v, s):
    return (1 - s) * v[0] + s * v[1]


def boot(truth, a, b, users, draws=300):
    A, B = Binary(truth, a), Binary(truth, b)
    _, g = np.unique(users, return_inverse=True)
    m = g.max() + 1
    d = np.random.default_rng(7)
    out = []
    for _ in range(draws):
        w = np.bincount(d.integers(m, size=m), minlength=m)[g].astype(float)
        out.append(A.auc(w) - B.auc(w))
    return np.quantile(out, [0.025, 0.975])


def show(n, ref="base", s=0.3, sref=0.3, only=None, draws=300):
    p = dict(np.load(path(n)))
    r = dict(np.load(path(ref)))
    line = [f"{n:26s}"]
    for k in ("held_Ww", "held_Wmw", "held_Yw", "Yw", "Sw", "Dw", "Ww"):
        if k not in p or (only and k not in only):
            continue
        ex = get(NAME.get(k, k))
        v = mix(p[k], s)
        for task in ("broad", "hard"):
            ok = ~np.isnan(v) & (ex.is_hard | (task == "broad"))
            B = Binary(ex.churned[ok], v[ok])
            a = B.auc(B.ones)
            t = f"{k}/{task} {a:.4f} pr {B.pr_auc(B.ones):.3f}"
            if k in r and (n != ref or s != sref):
                x = mix(r[k], sref)[ok]
                C = Binary(ex.churned[ok], x)
                lo, hi = boot(ex.churned[ok], v[ok], x, ex.user[ok], draws)
                t += f" d {a - C.auc(C.ones):+.4f} [{lo:+.4f},{hi:+.4f}]"
            line.append(t)
    print("\n   ".join(line), flush=True)


if __name__ == "__main__":
    for n in sys.argv[1:]:
        show(n, "y base" if n.startswith("y ") else "base")
