"""Networks on one fold: transformer, GRU with hazards, GRU with a Weibull head; beside trees on the same rows."""

# ruff: noqa
# mypy: ignore-errors
from benchmarks.tried_once import DATA, FOLDER
import sys, time
from pathlib import Path
import importlib
import numpy as np

torch = importlib.import_module("torch")  # benchmarks have no torch of their own
nn = torch.nn
from benchmarks.events import events_at
from benchmarks.tried import blend, trees
from inference.binary import Binary
from inference.training import gru
from inference.training.gru import BATCH, EVENTS, KINDS, Network, _batches, _connections, _times
from inference.training.risk import folds, weights
from operators.signals import DAY_MS, NAMES, SPAN_MS
from streams.risk.log import read_log
from streams.risk.protocol import judged
from streams.risk.training import EARLIER, examples_of

BINS = np.array([0, 1, 2, 4, 7, 14, 21, 30, 45, 60.0])  # days after tau; the last is where it is cut off
P = Path(f"{FOLDER}/nets.npz")


class Transformer(nn.Module):
    def __init__(self, many=1, width=48, layers=2, heads=4):
        super().__init__()
        self.what = nn.Embedding(KINDS, 9)
        self.inn = nn.Linear(16, width)
        self.place = nn.Parameter(torch.zeros(EVENTS, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.1, batch_first=True, norm_first=True, activation="gelu"
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Sequential(
            nn.LayerNorm(2 * width),
            nn.Dropout(0.2),
            nn.Linear(2 * width, 64),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Linear(64, many),
        )

    def forward(self, rows):
        what, age_h, now_h = rows[:, :EVENTS].long(), rows[:, EVENTS:-1], rows[:, -1:]
        many = max(1, int((what > 0).sum(dim=1).max()))
        what, age_h = what[:, -many:], age_h[:, -many:]
        is_event = (what > 0)[..., None]
        numbers = torch.cat([_times(age_h, now_h), _connections(what)[..., None]], dim=2) * is_event
        x = self.inn(torch.cat([numbers, self.what(what)], dim=2)) + self.place[-many:]
        states = self.body(x, src_key_padding_mask=what == 0)
        states = torch.nan_to_num(states)
        mean = (states * is_event).sum(dim=1) / is_event.sum(dim=1).clamp(min=1)
        return self.head(torch.cat([states[:, -1], mean], dim=1))


class Gru(Network):
    def __init__(self, many):
        super().__init__()
        self.head[-1] = nn.Linear(gru.HIDDEN, many)

    def forward(self, rows):
        what, age_h, now_h = rows[:, :EVENTS].long(), rows[:, EVENTS:-1], rows[:, -1:]
        many = max(1, int((what > 0).sum(dim=1).max()))
        what, age_h = what[:, -many:], age_h[:, -many:]
        is_event = (what > 0)[..., None]
        numbers = torch.cat([_times(age_h, now_h), _connections(what)[..., None]], dim=2) * is_event
        states = self.recurrent(torch.cat([numbers, self.what(what)], dim=2))[0]
        mean = (states * is_event).sum(dim=1) / is_event.sum(dim=1).clamp(min=1)
        return self.head(torch.cat([states[:, -1], mean], dim=1))


def bce(out, days, seen, churned, weight):
    return nn.functional.binary_cross_entropy_with_logits(out[:, 0], churned, weight=weight)


def hazard(out, days, seen, churned, weight):
    edges = torch.tensor(BINS, dtype=torch.float32)
    begun, ended = days[:, None] >= edges[None, :-1], days[:, None] >= edges[None, 1:]
    hit = begun & ~ended & seen[:, None]
    alive = ended | hit  # a censored row says nothing of the bin it ends in
    loss = nn.functional.binary_cross_entropy_with_logits(out, hit.float(), reduction="none") * alive
    return (loss.sum(dim=1) * weight).mean()


def hazard_odds(out):
    p = nn.functional.logsigmoid(-out[:, :7]).sum(dim=1)  # up to 30 days
    return p - torch.log1p(-torch.exp(p).clamp(max=1 - 1e-6))


def weibull(out, days, seen, churned, weight):
    a, b = out[:, 0] + 1.5, nn.functional.softplus(out[:, 1] + 0.3) + 0.05
    t = torch.log(days.clamp(min=1 / 48))
    z = b * (t - a)
    ll = torch.where(seen, torch.log(b) + z - t - torch.exp(z.clamp(max=8)), -torch.exp(z.clamp(max=8)))
    return -(ll * weight).mean()


def weibull_odds(out):
    a, b = out[:, 0] + 1.5, nn.functional.softplus(out[:, 1] + 0.3) + 0.05
    p = -torch.exp(b * (np.log(30.0) - a))
    return p - torch.log(-torch.expm1(p.clamp(max=-1e-6)))


def fit(network, loss_of, odds_of, ex, days, seen, rate, epochs, clock_s=1000):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    dice = np.random.default_rng(1)
    network = network()
    rows = np.ascontiguousarray(ex.signals[:, len(NAMES) :])
    inputs = torch.from_numpy(rows)
    y = torch.from_numpy(ex.churned.astype(np.float32))
    w = torch.from_numpy(weights(ex).astype(np.float32))
    d = torch.from_numpy(days.astype(np.float32))
    s = torch.from_numpy(seen)
    opt = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
    steps = epochs * -(-len(rows) // BATCH)
    sch = torch.optim.lr_scheduler.OneCycleLR(opt, rate, total_steps=steps, pct_start=0.2)
    for e in range(epochs):
        t = time.process_time()
        tot = 0
        for batch in _batches(rows, dice):
            loss = loss_of(network(inputs[batch]), d[batch], s[batch], y[batch], w[batch])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            opt.step()
            sch.step()
            tot += loss.item()
        print("  epoch", e, round(tot / (steps / epochs), 4), round(time.process_time() - t, 1), flush=True)
    network.eval()

    @torch.no_grad()
    def answer(others):
        parts = torch.from_numpy(np.ascontiguousarray(others[:, len(NAMES) :])).split(1024)
        return torch.cat([odds_of(network(p)) for p in parts]).numpy().astype(np.float64)

    return answer


def data():
    log = read_log(Path(DATA + "/whatwg_irc_events.parquet"))
    ex = examples_of(log)
    sample = judged(log)[0]
    assert (sample.tau_ms == ex.tau_ms).all()
    ex = ex._replace(signals=np.concatenate([ex.signals, events_at(log, sample.cuts)], axis=1))
    from streams.risk.log import edges, Cuts

    _, nxt = edges(log, Cuts(sample.cuts.user, ex.tau_ms))
    ts = log.sequence.ts_ms
    end = ts.max()
    has = nxt < log.begin[sample.cuts.user + 1]
    when = np.where(has, ts[np.minimum(nxt, len(ts) - 1)], end)
    return ex, when


def main(names):
    ex, when = data()
    moments = np.unique(ex.tau_ms)
    border = moments[int(len(moments) * EARLIER)]
    fold0 = next(folds(np.concatenate([ex.user, ex.user]), 3))[: len(ex.user)]
    seen_rows = (ex.tau_ms + SPAN_MS <= border) & ~fold0
    asked_rows = (ex.tau_ms >= border) & fold0
    tr, te = ex.where(seen_rows), ex.where(asked_rows)
    # what comes after the border is not known then
    cut = np.minimum(border, tr.tau_ms + int(60 * DAY_MS))
    nxt = when[seen_rows]
    seen = nxt <= np.minimum(cut, when.max() - 1)
    days = (np.minimum(nxt, cut) - tr.tau_ms) / DAY_MS
    print(
        "rows",
        len(tr.user),
        len(te.user),
        "censored",
        1 - seen.mean(),
        "agree",
        ((days > 30) == tr.churned).mean(),
        flush=True,
    )
    RUN = {
        "trees": lambda: trees(tr._replace(signals=tr.signals)),
        "trees-lin": lambda: blend(tr),
        "gru": lambda: fit(lambda: Gru(1), bce, lambda o: o[:, 0], tr, days, seen, 4e-3, 8),
        "transformer": lambda: fit(Transformer, bce, lambda o: o[:, 0], tr, days, seen, 2e-3, 8),
        "gru-hazard": lambda: fit(lambda: Gru(len(BINS) - 1), hazard, hazard_odds, tr, days, seen, 4e-3, 8),
        "gru-weibull": lambda: fit(lambda: Gru(2), weibull, weibull_odds, tr, days, seen, 4e-3, 8),
        "transformer-hazard": lambda: fit(
            lambda: Transformer(len(BINS) - 1), hazard, hazard_odds, tr, days, seen, 2e-3, 8
        ),
    }
    got = dict(np.load(P)) if P.exists() else {}
    for n in names:
        t = time.process_time()
        answer = RUN[n]()
        got[n] = answer(te.signals if "tree" not in n else te.signals)
        np.savez(P, **got)
        for task, m in (("broad", np.ones(len(te.user), bool)), ("hard", te.is_hard)):
            b = Binary(te.churned[m], got[n][m])
            print(n, task, round(b.auc(b.ones), 4), round(b.pr_auc(b.ones), 4), flush=True)
        print(n, "cpu", round(time.process_time() - t), flush=True)
    np.savez(
        f"{FOLDER}/nets_rows.npz", churned=te.churned, is_hard=te.is_hard, user=te.user, tau_ms=te.tau_ms
    )


main(sys.argv[1:] or ["trees", "trees-lin", "gru", "transformer", "gru-hazard", "gru-weibull"])
