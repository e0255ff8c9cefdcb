"""A million windows of noise, and a thousand outages: azlin's own decision code beside the published comparison of detectors."""
import os, time

from e2e import Home

# false failovers in 10,000 windows at 2 % and 20 % loss; detection mean and max, seconds
PUBLISHED = (
    ("A  one check of 10 s, one vantage", "1,826", "10,000", "11.5 / 15"),
    ("B  fall 3, one vantage", "504", "2,075", "16 / 19"),
    ("C  fall 7, one vantage", "286", "298", "36 / 39"),
    ("D  C and self-check", "30", "35", "37"),
    ("F  fall 5, self-check, 1 of 2 witnesses", "13.5", "14.5", "27"),
    ("E  fall 7, self-check, 1 of 2 witnesses", "0.01", "0.03", "37 / 39"),
)
SCALE = float(os.environ.get("AZLIN_BENCH_SCALE", "1"))
ROW = "%-44s %12s %12s %14s"


def run(home, scenario, windows, *args):
    n = max(100, int(windows * SCALE))
    r = home.run("simulate", scenario, "--windows", str(n), "-o", "json", *args, timeout=3000)
    assert r.code in (0, 1) and r.out, r
    return r.json()


def rate(doc):
    return "%.4g" % (1e4 * doc["false_failovers"] / doc["windows"])


def times(doc):
    return "%.1f / %.1f" % (doc["detection_mean_s"], doc["detection_max_s"])


with Home() as home:
    begun = time.monotonic()
    quiet, loud = run(home, "noisy", 1000000), run(home, "noisy-20", 100000)
    real = run(home, "region-down", 1000, "--executions", "100")
    bad = {part: (run(home, "noisy", 20000, "--without", part), run(home, "noisy-20", 20000, "--without", part))
           for part in ("self-check", "veto", "witness")}
    seconds = time.monotonic() - begun
    print(ROW % ("false failovers in 10,000 windows", "loss 2 %", "loss 20 %", "detection, s"))
    for row in PUBLISHED:
        print(ROW % row)
    print(ROW % ("azlin", rate(quiet), rate(loud), times(real)))
    for part, (two, twenty) in bad.items():
        print(ROW % ("azlin without " + part, rate(two), rate(twenty), ""))
    partition = run(home, "asymmetric-partition", 10000), run(home, "asymmetric-partition", 10000, "--without", "veto")
    print("asymmetric partition: %d false in %d windows; without the veto %d"
          % (partition[0]["false_failovers"], partition[0]["windows"], partition[1]["false_failovers"]))
    print("noisy: %d false in %d windows, %.0f a second; noisy-20: %d in %d; outages: %d of %d detected, %d missed; "
          "%d of %d switches carried out, at most %.1f s each; %.0f s in all"
          % (quiet["false_failovers"], quiet["windows"], quiet["windows"] / quiet["duration_seconds"],
             loud["false_failovers"], loud["windows"], real["detected_outages"], real["outages"], real["missed_outages"],
             real["executed"] - real["failed_executions"], real["executed"], real["execution_max_s"], seconds))
