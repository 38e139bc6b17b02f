"""See the package."""

# ruff: noqa
# mypy: ignore-errors
from benchmarks.tried_once import DATA, FOLDER
import sys, time
import numpy as np, lightgbm, msgspec
from inference.training import linear
from inference.training.risk import Examples, PARAMETERS, folds, TREE_SHARE, MOST_TREE_ROWS, MOST_LEAF_ROWS
from inference.training.trees import in_single_precision
from operators.signals import NAMES, SPAN_MS


def load(n):
    return Examples(**np.load(f"{FOLDER}/{n}.npz"))


_c = {}
import os

RANK = os.environ.get("RANK")


def ranked(x, ref):
    out = np.empty_like(x)
    for j in range(x.shape[1]):
        r = np.sort(ref[:, j])
        out[:, j] = (np.searchsorted(r, x[:, j], "left") + np.searchsorted(r, x[:, j], "right")) / (
            2 * len(r)
        )
    return out


def get(n):
    if n not in _c:
        e = load(n)
        if RANK:
            ref = "Wm" if n == "Wmw" else n[0] + "2"
            e = e._replace(signals=ranked(e.signals, load(ref).signals))
        _c[n] = e
    return _c[n]


def cat(parts):
    return Examples(*(np.concatenate(c) for c in zip(*parts)))


MONO = {}


def learn(ex, w, mono=None, share=0.3, rounds=300, **par):
    many = len(ex.user)
    p = (
        PARAMETERS
        | {
            "min_child_samples": min(300, max(20, round(0.02 * many))),
            "bagging_fraction": min(0.7, MOST_TREE_ROWS / many),
        }
        | par
    )
    if mono is not None:
        p |= {"monotone_constraints": mono, "monotone_constraints_method": "advanced" if False else "basic"}
    b = lightgbm.train(p, lightgbm.Dataset(ex.signals, ex.churned, weight=w), rounds)
    lin = linear.fit(ex.signals, ex.churned, w)

    def f(rows):
        t = b.predict(rows, raw_score=True)
        own = lin.bias + lin.effects(rows).sum(axis=1)
        return np.stack([t, own]).astype(np.float32)

    return f


def w_of(ex, hard=2.0):
    return np.where(ex.is_hard, hard, 1.0)


def border(asked):
    m = np.unique(asked.tau_ms)
    return m[int(len(m) * 0.6)]


def train_on(groups, copies, sel, hard, scale, **k):
    """groups: list of (base, [copies]); sel(group index, ex)->mask."""
    exs, ws = [], []
    for g, (base, cps) in enumerate(groups):
        parts = [get(base)] + [get(c) for c in cps]
        parts = [p.where(sel(g, p)) for p in parts]
        if not sum(len(p.user) for p in parts):
            continue
        ww = [w_of(p, hard) for p in parts]
        # a copy counts as its base does, in all
        tot = sum(w.sum() for w in ww)
        for i, (p, w) in enumerate(zip(parts, ww)):
            if i > 0 and "copyweight" in scale:
                w = w * scale["copyweight"] * ww[0].sum() / w.sum()
            exs.append(p)
            ws.append((w, g))
    if scale.get("equal"):
        tots = {g: sum(w.sum() for w, h in ws if h == g) for g in {h for _, h in ws}}
        mean = sum(tots.values()) / len(tots)
        ws = [(w * mean / tots[h], h) for w, h in ws]
    if "share" in scale:
        tots = {g: sum(w.sum() for w, h in ws if h == g) for g in {h for _, h in ws}}
        ws = [(w * (1 if h == 0 else scale["share"] * tots[0] / tots[h]), h) for w, h in ws]
    return learn(cat(exs), np.concatenate([w for w, _ in ws]), **k)


def held(groups, g, asked, hard=2.0, scale={}, transform=None, extra=(), **k):
    """Held out users and time of group g's log; other groups fully seen."""
    a = get(asked)
    bd = border(a)
    later = a.tau_ms >= bd
    allu = np.concatenate([get(groups[g][0]).user, a.user])
    users = np.unique(allu)
    fold = np.random.default_rng(1).permutation(len(users)) % 3
    fo = dict(zip(users.tolist(), fold.tolist()))
    lut = np.full(users.max() + 1, -1)
    lut[users] = fold
    out = np.full((2, len(later)), np.nan, dtype=np.float32)
    outs = {e: np.full((2, len(get(e).user)), np.nan, dtype=np.float32) for e in extra}
    for one in range(3):

        def sel(h, p):
            if h != g:
                return np.ones(len(p.user), bool)
            return (p.tau_ms + SPAN_MS <= bd) & (lut[np.minimum(p.user, len(lut) - 1)] != one)

        f = train_on(groups, None, sel, hard, scale, **k)
        m = later & (lut[a.user] == one)
        out[:, m] = f(a.signals[m])
        for e in extra:
            x = get(e)
            m = (x.tau_ms >= bd) & (lut[x.user] == one)
            outs[e][:, m] = f(x.signals[m])
    return out, outs


def full(groups, targets, hard=2.0, scale={}, **k):
    f = train_on(groups, None, lambda h, p: np.ones(len(p.user), bool), hard, scale, **k)
    return {t: f(get(t).signals) for t in targets}


S = {n: i for i, n in enumerate(NAMES)}
UP = ["quiet", "quiet_of_uses", "quiet_of_logins", "hours_away", "state_for"][:1] + [
    "hours_away",
    "longest_gap",
][:1]
DOWN = [
    "active_days_7d",
    "active_days_14d",
    "active_days_30d",
    "active_hours_7d",
    "active_hours_14d",
    "active_hours_30d",
    "active_weeks",
    "active_days_worst_week",
    "there_7d",
    "there_30d",
    "days_there",
    "faded_days_2d",
    "faded_days_5d",
    "faded_days_12d",
    "use_days_30d",
    "connections",
    "longest_streak",
    "daily_regularity",
    "weekly_overlap",
    "daily_overlap",
]
mono = [0] * len(NAMES)
for n in UP:
    mono[S[n]] = 1
for n in DOWN:
    mono[S[n]] = -1
W = [("W2", [])]
CAND = {
    "base": dict(groups=W),
    "a1 msgs copy": dict(groups=[("W2", ["Wm"])]),
    "a2 half copy": dict(groups=[("W2", ["Wh"])]),
    "b1 thinned copy": dict(groups=[("W2", ["Wt"])]),
    "b2 partly logged copy": dict(groups=[("W2", ["Wp"])]),
    "b3 zones copy": dict(groups=[("W2", ["Wz"])]),
    "b4 all copies": dict(groups=[("W2", ["Wm", "Wt", "Wp", "Wz"])]),
    "d1 monotone": dict(groups=W, mono=mono),
    "d2 ranks": dict(groups=W),
    "e4 hard 4": dict(groups=W, hard=4.0),
    "e8 hard 8": dict(groups=W, hard=8.0),
    "c1 with yocto, equal": dict(groups=[("W2", []), ("Y2", [])], scale={"equal": 1}),
    "c2 with yocto": dict(groups=[("W2", []), ("Y2", [])]),
    "c3 with yocto, 365, DTM": dict(
        groups=[("W2", []), ("Y2", []), ("S2", []), ("D2", [])], scale={"equal": 1}
    ),
    "c4 yocto 30, mono": dict(groups=[("W2", []), ("Y2", [])], scale={"share": 0.3}, mono=mono),
    "f msgs copy, mono": dict(groups=[("W2", ["Wm"])], mono=mono),
    "y base": dict(groups=[("Y2", [])]),
    "y thinned": dict(groups=[("Y2", ["Yt"])]),
}
if __name__ == "__main__":
    for n in sys.argv[1:] or CAND:
        if n not in CAND:
            continue
        t = time.process_time()
        c = dict(CAND[n])
        groups = c.pop("groups")
        logs = [g[0][0] for g in groups]
        res = {}
        for g, l in enumerate(logs):
            if l in "WY":
                o, x = held(groups, g, l + "w", extra=("Wmw",) if l == "W" else (), **c)
                res["held_" + l + "w"] = o
                for e, v in x.items():
                    res["held_" + e] = v
        targets = [l + "w" for l in "WYSD" if l not in logs]
        if targets:
            res |= full(groups, targets, **c)
        np.savez(f"{FOLDER}/p_{n.replace(' ', '_').replace(',', '')}.npz", **res)
        print(n, round(time.process_time() - t, 1), flush=True)
